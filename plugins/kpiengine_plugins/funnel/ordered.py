"""Ordered funnels whose steps no event can confuse: each event belongs to one step.

From an event that starts a chain it is best to go on with the earliest event of the next step, and so on. Backwards
in time, that is the last one seen, with the way on from there, which was known when it was seen. So the events are
gone through once in that order, one level a step from the last to the second: each event of an earlier step learns
of the next event of the level's step and of that one's further times. In the end the events of the first step know
their whole chains. Of an entity's the one that gets furthest within its window counts, of several the first.

DuckDB sorts the events once, and windows without partitions run through them as they stream by: what they carry over
from another entity is told by the entity that is carried with it. Other engines sort each entity's events by
themselves, for all levels alike.
"""

from __future__ import annotations

from sqlglot import exp

from kpiengine.kind import Cte
from kpiengine_plugins.funnel.work import ALL_BEFORE, Work, column, known, number, over, rank, when

UP_TO_HERE = ALL_BEFORE | {"end": "CURRENT ROW"}
"""A window's frame that ends with the row itself."""


def chains(work: Work) -> list[Cte]:
    """Steps of which the last is `chains`: entity, time_1, … and the `by` columns that the first event gives."""
    made = [work.step("events", _events(work))]
    if work.streams and len(work.steps) > 1:
        made.append(work.step("first_events", _first_of_alike(work)))
    for step in reversed(work.steps.numbers[1:]):
        made.append(work.step(f"next_{step}", _next(work, made[-1].name, step)))
    made.append(work.step("starts", _starts(work, made[-1].name)))
    return [*made, *(_streamed_chains(work) if work.streams else _ranked_chains(work))]


def _events(work: Work) -> exp.Select:
    conditions = [work.condition(step) for step in work.steps.numbers]
    which = exp.case()
    for step, condition in zip(work.steps.numbers, conditions, strict=True):
        which = which.when(condition.copy(), number(step))
    # A narrow row sorts faster.
    query = work.events((exp.cast(which, "TINYINT") if work.streams else which).as_("step")).where(exp.or_(*conditions))
    return query.order_by(column("entity"), *_backwards(work)) if work.streams else query


def _backwards(work: Work) -> list[exp.Expr]:
    """Of one instant the last step first: two events may follow each other however they are stored. Of several that
    may be a chain's first event, the one with the smallest `by` values comes last, where NULL is the largest."""
    latest_first = [exp.Ordered(this=column(name), desc=True, nulls_first=False) for name in ("moment", "step")]
    return [*latest_first, *(exp.Ordered(this=column(name), desc=True, nulls_first=True) for name in work.carried)]


def _first_of_alike(work: Work) -> exp.Select:
    """The events without those of a later step that come right after one of the same step: that one is as good."""
    columns = [column(name) for name in ("entity", "moment", "step", *work.carried)]
    before = [over(exp.Lead(this=column(name)), [], [], None).as_(f"{name}_before") for name in ("entity", "step")]
    beside = exp.select(*columns, *before).from_(work.name("events")).subquery("beside")
    kept: list[exp.Expr] = [exp.EQ(this=column("step"), expression=number(1))]
    kept += [exp.NullSafeNEQ(this=column(f"{name}_before"), expression=column(name)) for name in ("step", "entity")]
    return exp.select(*(c.copy() for c in columns)).from_(beside).where(exp.or_(*kept))


def _next(work: Work, source: str, step: int) -> exp.Select:
    """The events up to a step, each with the next event of that step (`time_n`) and the times that follow it.

    In the stream also that event's entity, `next_entity`, and how many steps can follow it, `next_more`.
    """
    last = step == len(work.steps)
    carried: list[exp.Expr] = [_carried(work, step, column("moment")).as_(f"time_{step}")]
    carried += [_carried(work, step, column(time)).as_(time) for time in work.times[step:]]
    if work.streams:
        carried.append(_carried(work, step, column("entity")).as_("next_entity"))
        carried.append(number(0).as_("next_more") if last else _carried(work, step, _more()).as_("next_more"))
    columns = [column(name) for name in ("entity", "moment", "step", *work.carried)]
    query = exp.select(*columns, *carried).from_(source)
    return query if last else query.where(exp.LTE(this=column("step"), expression=number(step)), copy=False)


def _carried(work: Work, step: int, value: exp.Expr) -> exp.Window:
    """The value of the next event of a step, the event itself being one."""
    of_step = when(exp.EQ(this=column("step"), expression=number(step)), value)
    if work.streams:
        return over(exp.IgnoreNulls(this=exp.LastValue(this=of_step)), [], [], UP_TO_HERE)
    # The later an event, the later what follows it: so the least is that of the next one.
    return over(exp.Min(this=of_step), [column("entity")], _backwards(work)[:2], UP_TO_HERE)


def _more() -> exp.Expr:
    """In the stream: how many steps can follow an event, by what it has learnt of the next one."""
    one_more = exp.Add(this=column("next_more"), expression=number(1))
    return when(exp.EQ(this=column("next_entity"), expression=column("entity")), one_more).else_(number(0))


def _starts(work: Work, source: str) -> exp.Select:
    """The events of the first step, each with its chain, and the step that it reaches: `reached`."""
    reached, numbers = list[exp.If](), work.steps.numbers
    for step in reversed(numbers[1:]):
        there: exp.Expr = known(column(f"time_{step}"))
        if work.streams:
            there = exp.GTE(this=_more(), expression=number(step - 1))
        if work.window:
            in_time = work.in_time(column(f"time_{step}"), work.deadline(column("moment")))
            there = exp.and_(there, in_time, copy=False)
        reached.append(exp.If(this=there, true=number(step)))
    later = map(column, work.times[1:])
    value: exp.Expr = exp.Case(ifs=reached, default=number(1)) if reached else number(1)
    columns = [column("entity"), column("moment").as_("time_1"), *later, *map(column, work.carried)]
    first = exp.EQ(this=column("step"), expression=number(1))
    return exp.select(*columns, value.as_("reached")).from_(source).where(first)


def _ranked_chains(work: Work) -> list[Cte]:
    order = [_most_first(), *(column(name) for name in ("time_1", *work.carried))]
    choice = rank([column("entity")], order).as_("choice")
    ranked = exp.select("*", choice).from_(work.name("starts")).subquery("ranked")
    return [work.step("chains", _cut(work, ranked).where(exp.EQ(this=column("choice"), expression=number(1))))]


def _most_first() -> exp.Expr:
    return exp.Ordered(this=column("reached"), desc=True, nulls_first=False)


def _cut(work: Work, table: exp.Expr | str) -> exp.Select:
    """The chains without the times after the step that they reach."""
    later = [
        when(exp.GTE(this=column("reached"), expression=number(step)), column(f"time_{step}")).as_(f"time_{step}")
        for step in work.steps.numbers[1:]
    ]
    return exp.select(column("entity"), column("time_1"), *later, *map(column, work.carried)).from_(table)


def _streamed_chains(work: Work) -> list[Cte]:
    """Backwards in time, the last of an entity's chains that get as far as any seen before, if not further.

    Entities have the larger scores the later they come, so that one running maximum serves for all.
    """
    starts, scored, records = work.name("starts"), work.name("scored"), work.name("records")
    ahead = [over(exp.Lead(this=column(name)), [], [], None).as_(f"{name}_ahead") for name in ("entity", "reached")]
    beside = exp.select("*", *ahead).from_(starts).subquery("beside")
    further = [  # an earlier chain that gets as far comes next in the stream
        exp.NullSafeNEQ(this=column("entity_ahead"), expression=column("entity")),
        exp.LT(this=column("reached_ahead"), expression=column("reached")),
    ]
    peaks = exp.select("*").from_(beside).where(exp.or_(*further)).subquery("peaks")
    place, before = over(exp.RowNumber(), [], [], None), over(exp.Lag(this=column("entity")), [], [], None)
    placed = exp.select("*", place.as_("place"), before.as_("before")).from_(peaks).subquery("placed")
    new = when(exp.NullSafeNEQ(this=column("before"), expression=column("entity")), column("place"))
    first_place = over(exp.IgnoreNulls(this=exp.LastValue(this=new)), [], [], UP_TO_HERE)
    of_entity = exp.Mul(this=first_place, expression=number(len(work.steps) + 1))
    score = exp.Add(this=of_entity, expression=column("reached")).as_("score")
    best = over(exp.Max(this=column("score")), [], [], UP_TO_HERE).as_("best")
    following = over(exp.Lead(this=column("entity")), [], [], None).as_("following")
    as_good = exp.EQ(this=column("score"), expression=column("best"))
    last = exp.select("*", following).from_(records).where(as_good).subquery("as_good")
    changes = exp.NullSafeNEQ(this=column("following"), expression=column("entity"))
    return [
        work.step("scored", exp.select("*", score).from_(placed)),
        work.step("records", exp.select("*", best).from_(scored)),
        work.step("chains", _cut(work, last).where(changes)),
    ]
