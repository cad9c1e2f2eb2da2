"""A funnel's tables, made from its chains (entity, time_1, …, NULL from the first step that was not reached on)."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.kind import Cte
from kpiengine_plugins.funnel.work import Work, column, known, number, rank

MICROSECONDS_A_DAY = 86_400_000_000


def grouped(work: Work, first_event: exp.Expr | None, *, by_moments: bool) -> list[Cte]:
    """`grouped`: the chains with the `by` columns of their first events, which those have where no test is given.

    Where several events of one instant may each be the first, the one with the smallest values is taken, NULL being
    the largest, so that the order of rows does not matter. `by_moments` joins the instant's counts as `m`.
    """
    by = [work.periods[name].as_(name) if name in work.periods else column(name) for name in work.by]
    query = exp.select(column("entity"), *map(column, work.times), *by)
    if first_event is None or not work.carried:
        return [work.step("grouped", query.from_(work.name("chains")))]
    ranked = _ranked(work, first_event)
    if by_moments:
        here = exp.and_(
            exp.EQ(this=column("entity", "m"), expression=column("entity", "c")),
            exp.EQ(this=column("moment", "m"), expression=column("time_1", "c")),
        )
        ranked = ranked.join(exp.to_table(work.name("moments")).as_("m"), on=here)
    chosen = query.from_(ranked.subquery("ranked")).where(exp.EQ(this=column("choice"), expression=number(1)))
    return [work.step("grouped", chosen)]


def _ranked(work: Work, first_event: exp.Expr) -> exp.Select:
    same_entity = exp.EQ(this=column("entity", "e"), expression=column("entity", "c"))
    same_moment = exp.EQ(this=column("moment", "e"), expression=column("time_1", "c"))
    choice = rank([column("entity", "c")], [column(name, "e") for name in work.carried])
    return (
        exp.select(
            column("entity", "c"),
            *(column(time, "c") for time in work.times),
            *(column(name, "e") for name in work.carried),
            choice.as_("choice"),
        )
        .from_(exp.to_table(work.name("chains")).as_("c"))
        .join(exp.to_table(work.name("events")).as_("e"), on=exp.and_(same_entity, same_moment))
        .where(first_event)
    )


def _by_columns(work: Work) -> list[exp.Expr]:
    return [
        column(inside).as_(exp.to_identifier(name, quoted=True))
        for inside, name in zip(work.by, work.context.by, strict=True)
    ]


def _days(step: int, mean: type[exp.Median] | type[exp.Avg]) -> exp.Expr:
    """The median or the mean of fractional days from the step before."""
    later, earlier = (exp.UnixMicros(this=column(f"time_{place}")) for place in (step, step - 1))
    microseconds = mean(this=exp.Sub(this=later, expression=earlier))
    return exp.Div(this=exp.cast(microseconds, "DOUBLE"), expression=number(MICROSECONDS_A_DAY))


def summary(work: Work, chains: str) -> list[Cte]:
    """`counts`, `steps` and `summary`: by group and step the entities, rates and times."""
    numbers = work.steps.numbers
    counts: list[exp.Expr] = [exp.Count(this=column(f"time_{step}")).as_(f"entities_{step}") for step in numbers]
    for step in numbers[1:]:
        counts.append(_days(step, exp.Median).as_(f"median_days_{step}"))
        counts.append(_days(step, exp.Avg).as_(f"mean_days_{step}"))
    counted = exp.select(*map(column, work.by), *counts).from_(chains)
    if work.by:
        counted = counted.group_by(*map(column, work.by))
    names: list[exp.Query] = [
        exp.select(number(step).as_("step"), exp.Literal.string(name).as_("step_name"))
        for step, name in zip(numbers, work.steps.names, strict=True)
    ]
    steps = exp.union(*names, distinct=False) if len(names) > 1 else names[0]
    return [
        work.step("counts_by_step" if work.by else "totals", counted),
        work.step("steps", steps),
        work.step("summary", _summary(work, "counts_by_step" if work.by else "totals")),
    ]


def _summary(work: Work, counts: str) -> exp.Select:
    numbers = work.steps.numbers

    def of_step(prefix: str, shift: int = 0) -> exp.Expr:
        """The step's own count or time, or that of the step `shift` before."""
        told = numbers[max(shift, 0 if prefix == "entities" else 1) :]
        values = [exp.If(this=number(step), true=column(f"{prefix}_{step - shift}")) for step in told]
        return exp.Case(this=column("step"), ifs=values) if values else exp.cast(exp.null(), "DOUBLE")

    def share(of: exp.Expr) -> exp.Expr:
        return exp.Div(
            this=exp.cast(of_step("entities"), "DOUBLE"), expression=exp.Nullif(this=of, expression=number(0))
        )

    before = of_step("entities", 1) if len(numbers) > 1 else None
    lost = exp.Sub(this=before.copy(), expression=of_step("entities")) if before else number(0)
    return (
        exp.select(
            *_by_columns(work),
            exp.cast(column("step"), "BIGINT").as_("step"),
            column("step_name"),
            exp.cast(of_step("entities"), "BIGINT").as_("entities"),
            share(column("entities_1")).as_("from_first"),
            (share(before) if before else exp.cast(exp.null(), "DOUBLE")).as_("from_previous"),
            exp.cast(exp.Coalesce(this=lost, expressions=[number(0)]), "BIGINT").as_("dropped"),
            of_step("median_days").as_("median_days"),
            of_step("mean_days").as_("mean_days"),
        )
        .from_(work.name(counts))
        .join(work.name("steps"), join_type="cross")
    )


def members(work: Work, chains: str) -> list[Cte]:
    """`members`: each entity that reached a step, its furthest one, and the times of its first chain that got there."""
    furthest, name = exp.case(), exp.case()
    for step in reversed(work.steps.numbers):
        reached = known(column(f"time_{step}"))
        furthest = furthest.when(reached, number(step))
        name = name.when(reached.copy(), exp.Literal.string(work.steps.names[step - 1]))
    query = exp.select(
        column("entity").as_(exp.to_identifier(work.context.entity, quoted=True)),
        exp.cast(furthest, "BIGINT").as_("step"),
        name.as_("step_name"),
        *map(column, work.times),
        *_by_columns(work),
    ).from_(chains)
    return [work.step("members", query)]
