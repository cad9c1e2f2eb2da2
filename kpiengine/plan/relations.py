"""Steps that aggregate one fact's measures in one frame, at the keys of one level.

Each gives back a `Relation`: a step with some of the level's keys and a column per measure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from sqlglot import exp

from kpiengine.plan.calls import VALUE, BoundCall
from kpiengine.plan.expressions import (
    all_of,
    any_of,
    both_equal,
    column,
    qualified,
    whole_number,
    with_filter,
)
from kpiengine.plan.facts import Fact, present
from kpiengine.plan.steps import Aggregate, Link, Named, Select, Step
from kpiengine.records import dataclass

DAY = "day"
HOUR = "hour"
ENDINGS = ("_day", "_days", "_periods", "_per", "_per_per", "_per_per_per")
"""What names of steps on the way to a relation have behind the relation's."""


@dataclass(frozen=True)
class Relation:
    """A step keyed by `keys`, and which of its columns holds which measure."""

    step: str
    keys: tuple[str, ...]
    columns: dict[int, str] = field(hash=False, compare=False)


@dataclass(frozen=True)
class Around:
    """The days that count for each period: columns of the step `periods` with the first and the last of them.

    `first` None: from the beginning. `period` is the periods' own column. Where that is `hour`, hours count, not days.
    `reach`: so many days after a day no window holds it any more; None where one always does. `whole`: each window is
    made of whole periods, so that what adds up is known of those, and not only of days.
    """

    periods: str
    period: str
    first: str | None
    last: str
    reach: int | None = None
    whole: bool = False

    def moment(self, fact: Fact) -> exp.Expr:
        """The day of a row of the fact, or its hour."""
        found = fact.keys[HOUR] if self.period == HOUR else fact.day
        assert found is not None
        return found

    def part(self, fact: Fact) -> tuple[str, exp.Expr]:
        """What the windows are made of, and that of a row of the fact: periods, or days (or hours)."""
        if self.whole and self.period in fact.keys:
            return self.period, fact.keys[self.period]
        return DAY, self.moment(fact)

    def condition(self, day: exp.Expr) -> tuple[exp.Expr, ...]:
        """That `day` is one of them."""
        until = exp.LTE(this=day.copy(), expression=column(self.last, self.periods))
        if self.first is None:
            return (until,)
        return (exp.GTE(this=day.copy(), expression=column(self.first, self.periods)), until)


def sifted(
    calls: dict[int, BoundCall], others: Sequence[BoundCall] = ()
) -> tuple[tuple[exp.Expr, ...], dict[int, tuple[exp.Expr, ...]]]:
    """Filters of several calls over one pass: what holds for all rows, and what is left for each call's FILTER.

    Rows that no call (and none of `others`) wants are left out, so that a group is there only where one has rows.
    """
    everyone = [*calls.values(), *others]
    common = [f for f in everyone[0].filters if all(f in c.filters for c in everyone)] if everyone else []
    rest = {n: tuple(f for f in c.filters if f not in common) for n, c in calls.items()}
    wanted = [tuple(f for f in c.filters if f not in common) for c in everyone]
    conditions = list(dict.fromkeys(wanted))
    if conditions and all(conditions):
        either = [c for c in (all_of(w) for w in conditions) if c is not None]
        common.append(either[0] if len(either) == 1 else exp.paren(any_of(either), copy=False))
        if len(either) == 1:
            rest = dict.fromkeys(rest, ())
    return tuple(common), rest


def plain(
    name: str, fact: Fact, keys: dict[str, exp.Expr], calls: dict[int, BoundCall], names: dict[int, str],
    others: Sequence[BoundCall], cut: dict[int, tuple[exp.Expr, ...]], conditions: tuple[exp.Expr, ...],
) -> tuple[list[Step], Relation]:  # fmt: skip
    """Measures over a fact's own rows in one pass. `others` are calls whose rows make groups, though not measured here;
    `cut` are further conditions of single measures, `conditions` of all."""
    common, rest = sifted(calls, others)
    measures: dict[str, exp.Expr] = {}
    columns: dict[int, str] = {}
    for number, call in calls.items():
        tree = filtered(call.tree, (*rest[number], *cut.get(number, ())))
        same = next((n for n, t in measures.items() if t == tree), None)
        columns[number] = same or _free(names[number], measures, keys)
        measures[columns[number]] = tree
    step = Aggregate(
        name, fact.rows.step,
        tuple(Named(k, e) for k, e in keys.items()), tuple(Named(n, e) for n, e in measures.items()),
        (*fact.where, *conditions, *common),
    )  # fmt: skip
    return [step], Relation(name, tuple(keys), columns)


def _free(name: str, *taken: dict[str, exp.Expr]) -> str:
    found, n = name, 2
    while any(found in names for names in taken):
        found, n = f"{name}_{n}", n + 1
    return found


def filtered(tree: exp.Expr, conditions: Sequence[exp.Expr]) -> exp.Expr:
    """An aggregate expression (a call, perhaps cast) over the rows for which the conditions hold."""
    if not conditions:
        return tree.copy()
    if isinstance(tree, exp.Cast):
        new = tree.copy()
        new.set("this", filtered(tree.this, conditions))
        return new
    return with_filter(tree, conditions)


def two_level(
    name: str, fact: Fact, keys: dict[str, exp.Expr], number: int, call: BoundCall, column_name: str,
    conditions: tuple[exp.Expr, ...], around: Around | None = None,
) -> tuple[list[Step], Relation]:  # fmt: skip
    """A measure that aggregates twice or more: by the keys of its per() and the level's, then by the level's."""
    steps: list[Step] = []
    source, group = fact.rows.step, dict(keys)
    links: tuple[Link, ...] = ()
    conditions = (*fact.where, *conditions, *call.filters)
    if around is not None:
        links, group, conditions = _linked(fact.rows.step, around, fact, keys, conditions)
        source = around.periods
    steps += _levels(f"{name}_per", source, links, group, call, conditions, fact.rows.step if around else None)
    last = steps[-1]
    outer = tuple(Named(k, column(k)) for k in keys)
    steps.append(Aggregate(name, last.name, outer, (Named(column_name, call.tree),)))
    return steps, Relation(name, tuple(keys), {number: column_name})


def _levels(
    name: str, source: str, links: tuple[Link, ...], group: dict[str, exp.Expr], call: BoundCall,
    conditions: tuple[exp.Expr, ...], table: str | None,
) -> list[Step]:  # fmt: skip
    """The levels below `call`, innermost first; the last has the columns of `group` and the values."""
    per = call.per
    assert per is not None
    of_rows = (lambda e: qualified(e, table)) if table else (lambda e: e.copy())
    keys = [of_rows(k) for k in per.keys]
    named = {f"key_{len(group)}_{n}": k for n, k in enumerate(keys, 1)}
    nested = [c for c in per.calls if c.per is not None]
    if not nested:
        values = tuple(Named(f"{VALUE}_{n}", of_rows(c.tree)) for n, c in enumerate(per.calls, 1))
        grouped = tuple(Named(k, e) for k, e in {**group, **named}.items())
        return [Aggregate(name, source, grouped, values, (*conditions, *present(keys)), links)]
    inner = nested[0]
    below = _levels(f"{name}_per", source, links, {**group, **named}, inner, (*conditions, *present(keys)), table)
    grouped = tuple(Named(k, column(k)) for k in (*group, *named))
    return [*below, Aggregate(name, below[-1].name, grouped, (Named(f"{VALUE}_1", inner.tree),))]


def _linked(
    step: str, around: Around, fact: Fact, keys: dict[str, exp.Expr], conditions: tuple[exp.Expr, ...]
) -> tuple[tuple[Link, ...], dict[str, exp.Expr], tuple[exp.Expr, ...]]:
    """The join of periods with the rows around them, and keys and conditions said of the joined rows."""
    link = Link(step, step, around.condition(qualified(around.moment(fact), step)), required=True)
    group = {k: column(k, around.periods) if k == around.period else qualified(e, step) for k, e in keys.items()}
    return (link,), group, tuple(qualified(c, step) for c in conditions)


def around_rows(
    name: str, fact: Fact, keys: dict[str, exp.Expr], calls: dict[int, BoundCall], names: dict[int, str],
    around: Around,
) -> tuple[list[Step], Relation]:  # fmt: skip
    """Measures over the days around each period. What adds up is folded into days first, or into the periods that the
    days make up; the rest joins rows."""
    folds = {n: fold(c.tree) for n, c in calls.items()}
    steps: list[Step] = []
    part, moment = around.part(fact)
    below = f"{name}_days" if part == DAY else f"{name}_periods"
    if all(f is not None for f in folds.values()):
        common, rest = sifted(calls)
        partials: dict[str, exp.Expr] = {}
        measures: dict[int, exp.Expr] = {}
        for number, folded in folds.items():
            assert folded is not None
            made = {f"{names[number]}_{n}" if n else names[number]: p for n, p in enumerate(folded.partials)}
            partials |= {n: filtered(p, rest[number]) for n, p in made.items()}
            measures[number] = folded.whole([column(n, below) for n in made])
        others = {k: e for k, e in keys.items() if k != around.period}
        grouped = (Named(part, moment), *(Named(k, e) for k, e in others.items()))
        days = Aggregate(
            below,
            fact.rows.step,
            grouped,
            tuple(Named(n, p) for n, p in partials.items()),
            (*fact.where, *common),
        )
        link = Link(days.name, days.name, around.condition(column(part, days.name)), required=True)
        outer = (
            Named(around.period, column(around.period, around.periods)),
            *(Named(k, column(k, days.name)) for k in others),
        )
        outer = tuple(sorted(outer, key=lambda n: list(keys).index(n.name)))
        steps = [
            days,
            Aggregate(name, around.periods, outer, tuple(Named(names[n], m) for n, m in measures.items()), (), (link,)),
        ]
        return steps, Relation(name, tuple(keys), {n: names[n] for n in calls})
    common, rest = sifted(calls)
    links, group, conditions = _linked(fact.rows.step, around, fact, keys, (*fact.where, *common))
    table = fact.rows.step
    made_of = tuple(
        Named(names[n], filtered(qualified(c.tree, table), [qualified(f, table) for f in rest[n]]))
        for n, c in calls.items()
    )
    steps = [Aggregate(name, around.periods, tuple(Named(k, e) for k, e in group.items()), made_of, conditions, links)]
    return steps, Relation(name, tuple(keys), {n: names[n] for n in calls})


@dataclass(frozen=True)
class Fold:
    """An aggregate as parts that can be taken per day, and the whole made of the parts' columns."""

    partials: tuple[exp.Expr, ...]
    combine: str
    type_cast: exp.DataType | None = None

    def whole(self, parts: Sequence[exp.Expr]) -> exp.Expr:
        """The aggregate over the parts."""
        if self.combine == "avg":
            total, rows = exp.Sum(this=parts[0]), exp.Sum(this=parts[1])
            return exp.Div(
                this=exp.cast(total, "DOUBLE"), expression=exp.Nullif(this=rows, expression=exp.Literal.number(0))
            )
        if self.combine == "count":
            return whole_number(exp.Sum(this=parts[0]))
        whole: exp.Expr = {"sum": exp.Sum, "min": exp.Min, "max": exp.Max}[self.combine](this=parts[0])
        return exp.cast(whole, self.type_cast.copy()) if self.type_cast is not None else whole


_FOLDS: dict[type[exp.Expr], str] = {
    exp.Sum: "sum", exp.Min: "min", exp.Max: "max", exp.Count: "count", exp.CountIf: "count",
}  # fmt: skip


def fold(tree: exp.Expr) -> Fold | None:
    """How an aggregate is folded into days, or None for one that has to see the rows."""
    cast = tree.args["to"] if isinstance(tree, exp.Cast) else None
    call = tree.this if isinstance(tree, exp.Cast) else tree
    condition = call.expression.this if isinstance(call, exp.Filter) else None
    bare = call.this if isinstance(call, exp.Filter) else call
    argument = bare.this if isinstance(bare, exp.Func) else None
    if isinstance(argument, exp.Distinct | exp.Order) or (
        isinstance(argument, exp.Expr) and argument.find(exp.Distinct)
    ):
        return None
    own = [condition] if condition is not None else []
    if isinstance(bare, exp.Avg) and isinstance(argument, exp.Expr):
        return Fold(
            (with_filter(exp.Sum(this=argument.copy()), own), with_filter(exp.Count(this=argument.copy()), own)), "avg"
        )
    combine = _FOLDS.get(type(bare))
    if combine is None or (isinstance(bare, exp.Min | exp.Max) and bare.expressions):
        return None
    partial = filtered(exp.cast(bare.copy(), cast.copy()), own) if cast is not None else with_filter(bare, own)
    return Fold((partial,), combine, cast)


def on_edge_day(
    name: str, fact: Fact, keys: dict[str, exp.Expr], calls: dict[int, BoundCall], names: dict[int, str],
    edge: str, period: str | None, conditions: tuple[exp.Expr, ...], around: Around | None = None,
) -> tuple[list[Step], Relation]:  # fmt: skip
    """Measures on the last ("closing") or first ("opening") day with rows, the same day for every group."""
    assert fact.day is not None
    call = next(iter(calls.values()))
    table = fact.rows.step
    where = (*fact.where, *conditions, *call.filters)
    marked = f"{edge}_day"
    edge_of = exp.Max if edge == "closing" else exp.Min
    if around is not None and period:
        links, group, linked = _linked(table, around, fact, {period: fact.keys[period]}, where)
        days = Aggregate(f"{name}_day", around.periods, tuple(Named(k, e) for k, e in group.items()),
                         (Named(marked, edge_of(this=qualified(fact.day, table))),), linked, links)  # fmt: skip
    else:
        grouped = (Named(period, fact.keys[period]),) if period else ()
        days = Aggregate(f"{name}_day", table, grouped, (Named(marked, edge_of(this=fact.day.copy())),), where)
    on: list[exp.Expr] = [exp.EQ(this=qualified(fact.day, table), expression=column(marked, days.name))]
    if around is not None and period == HOUR:
        on.append(exp.LTE(this=qualified(fact.keys[HOUR], table), expression=column(HOUR, days.name)))
    if period and around is None:
        on.append(both_equal(qualified(fact.keys[period], table), column(period, days.name)))
    group = {k: qualified(e, table) for k, e in keys.items()}
    if around is not None and period in group:
        group[period] = column(period, days.name)
    link = Link(days.name, days.name, tuple(on), required=True)
    conditions = tuple(qualified(c, table) for c in where)
    if call.per is not None:
        number = next(iter(calls))
        inner = _levels(f"{name}_per", table, (link,), group, call, conditions, table)
        outer = tuple(Named(k, column(k)) for k in keys)
        whole = Aggregate(name, inner[-1].name, outer, (Named(names[number], call.tree),))
        return [days, *inner, whole], Relation(name, tuple(keys), {number: names[number]})
    made_of = tuple(Named(names[n], qualified(c.tree, table)) for n, c in calls.items())
    step = Aggregate(name, table, tuple(Named(k, e) for k, e in group.items()), made_of, conditions, (link,))
    return [days, step], Relation(name, tuple(keys), {n: names[n] for n in calls})


__all__ = ["Around", "Fold", "Relation", "Select", "around_rows", "fold", "on_edge_day", "plain", "sifted", "two_level"]
