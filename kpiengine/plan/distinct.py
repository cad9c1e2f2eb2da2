"""Distinct counts over days around each period, in time linear in the rows.

A value seen on day d, and next on day d', counts in every period that ends on d or later, before d' comes into sight,
and whose window still holds d. Windows only move forward, so those periods stand in a row: +1 where they start, -1
behind their end, and a running sum gives each period's count. No row is looked at once per window.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from sqlglot import exp

from kpiengine.calendar import plus_days
from kpiengine.plan.calls import BoundCall
from kpiengine.plan.expressions import all_of, both_equal, column, is_null, not_null, whole_number
from kpiengine.plan.facts import Fact
from kpiengine.plan.relations import Around, Relation
from kpiengine.plan.steps import Aggregate, Link, Named, Select, Step, Union
from kpiengine.records import dataclass

ENDINGS = ("_seen", "_next", "_pairs", "_days", "_gone", "_left", "_moves", "_changes", "_groups")
"""What names of steps on the way to a count have behind the count's."""


@dataclass(frozen=True)
class _Names:
    """The columns that the steps have beside the query's, named so that they clash with none of its."""

    value: str
    seen_on: str
    next_period: str
    next_seen: str
    gone: str
    enters: str
    leaves: str
    times: str
    change: str

    @classmethod
    def beside(cls, keys: Iterable[str]) -> _Names:
        taken = {k.lower() for k in keys}
        found: dict[str, str] = {}
        for field in fields(cls):
            name = field.name
            while name in taken:
                name += "_"
            found[field.name] = name
        return cls(**found)


def distinct_of(call: BoundCall) -> tuple[exp.Expr, tuple[exp.Expr, ...]] | None:
    """What `count(distinct x)` counts and its own conditions; None for any other call."""
    tree = call.tree
    own: tuple[exp.Expr, ...] = ()
    if isinstance(tree, exp.Filter):
        tree, own = tree.this, (tree.expression.this,)
    if not isinstance(tree, exp.Count) or not isinstance(tree.this, exp.Distinct) or len(tree.this.expressions) != 1:
        return None
    value = tree.this.expressions[0]
    return None if isinstance(value, exp.Tuple | exp.Case) else (value, own)


def around_distinct(
    name: str, fact: Fact, keys: dict[str, exp.Expr], number: int, call: BoundCall, measure: str, around: Around
) -> tuple[list[Step], Relation]:
    """The steps of one distinct count over the days around each period, at `keys`."""
    counted = distinct_of(call)
    assert counted is not None and fact.day is not None
    value, own = counted
    others = [k for k in keys if k != around.period]
    period = around.period
    names = _Names.beside(keys)
    grouped = tuple(Named(k, keys[k]) for k in others)
    seen = Select(
        f"{name}_seen", fact.rows.step,
        (*grouped, Named(names.value, value), Named(names.seen_on, fact.day), Named(period, keys[period])),
        filters=(*fact.where, *call.filters, *own, not_null(value.copy()), not_null(fact.day.copy())),
    )  # fmt: skip
    kept = tuple(Named(k, column(k)) for k in (*others, names.seen_on, period))
    then: exp.Expr = column(names.next_period)
    coming = [Named(names.next_period, _next(period, others, names))]
    if around.reach is not None:  # what comes after the last window's end is as good as nothing, and makes no pair
        coming.append(Named(names.next_seen, _next(names.seen_on, others, names)))
        soon = exp.LT(this=column(names.next_seen), expression=plus_days(column(names.seen_on), around.reach))
        then = exp.Case(ifs=[exp.If(this=soon, true=then)])
    following = Select(f"{name}_next", seen.name, (*kept, *coming))
    # A value seen twice on a day leaves when it enters, once. From here on there are as many rows as pairs of days.
    pairs = Aggregate(
        f"{name}_pairs", following.name, (*kept, Named(names.next_period, then)),
        (Named(names.times, exp.Count(this=exp.Star())),),
    )  # fmt: skip
    steps: list[Step] = [seen, following, pairs]
    left: exp.Expr = column(names.next_period, pairs.name)
    links: tuple[Link, ...] = ()
    if around.first is not None:
        ends = _ends(name, around, pairs.name, names)
        steps += ends
        links = (Link(ends[-1].name, ends[-1].name, (_same(names.seen_on, pairs.name, ends[-1].name),)),)
        left = _earlier(left, column(names.gone, ends[-1].name))
    leaving = Select(
        f"{name}_left", pairs.name,
        (*(Named(k, column(k, pairs.name)) for k in others), Named(names.enters, column(period, pairs.name)),
         Named(names.leaves, left), Named(names.times, column(names.times, pairs.name))), links,
    )  # fmt: skip
    steps.append(leaving)
    changes = _changes(name, leaving.name, others, period, names)
    steps += changes
    steps += _counts(name, changes[-1].name, others, around, measure, names)
    return steps, Relation(name, tuple(keys), {number: measure})


def _next(moment: str, others: list[str], names: _Names) -> exp.Expr:
    """The period or the day on which the same value is seen next, in the same group."""
    return exp.Window(
        this=exp.Lead(this=column(moment)),
        partition_by=[*(column(k) for k in others), column(names.value)],
        order=exp.Order(expressions=[exp.Ordered(this=column(names.seen_on), nulls_first=False)]),
    )


def _same(name: str, left: str, right: str) -> exp.Expr:
    return exp.EQ(this=column(name, left), expression=column(name, right))


def _ends(name: str, around: Around, seen: str, names: _Names) -> list[Step]:
    """For each day, the first period whose window does not hold it any more."""
    seen_on = names.seen_on
    days = Select(f"{name}_days", seen, (Named(seen_on, column(seen_on)),), distinct=True)
    later = exp.GT(this=column(str(around.first), around.periods), expression=column(seen_on, days.name))
    gone = exp.Min(this=column(around.period, around.periods))
    link = Link(around.periods, around.periods, (later,), required=True)
    by_day = (Named(seen_on, column(seen_on, days.name)),)
    ends = Aggregate(f"{name}_gone", days.name, by_day, (Named(names.gone, gone),), (), (link,))
    return [days, ends]


def _earlier(one: exp.Expr, other: exp.Expr) -> exp.Expr:
    """The earlier of two periods, either of which may be missing."""
    first = all_of([not_null(one.copy()), exp.paren(_no_later(one, other), copy=False)])
    return exp.Case(ifs=[exp.If(this=first, true=one.copy())], default=other.copy())


def _no_later(one: exp.Expr, other: exp.Expr) -> exp.Expr:
    return exp.or_(is_null(other.copy()), exp.LTE(this=one.copy(), expression=other.copy()), copy=False)


def _changes(name: str, leaving: str, others: list[str], period: str, names: _Names) -> list[Step]:
    def arm(moment: str, change: exp.Expr) -> Select:
        columns = (*(Named(k, column(k)) for k in others), Named(period, column(moment)), Named(names.change, change))
        return Select("", leaving, columns, filters=(not_null(column(moment)),))

    times = column(names.times)
    both = Union(f"{name}_moves", (arm(names.enters, times), arm(names.leaves, exp.Neg(this=times.copy()))))
    keys = tuple(Named(k, column(k)) for k in (*others, period))
    total = whole_number(exp.Sum(this=column(names.change)))
    return [both, Aggregate(f"{name}_changes", both.name, keys, (Named(names.change, total),))]


def _counts(name: str, changes: str, others: list[str], around: Around, measure: str, names: _Names) -> list[Step]:
    """The running sum of changes, for every period and group."""
    period, links = around.period, []
    steps: list[Step] = []
    groups = f"{name}_groups"
    if others:
        steps.append(Select(groups, changes, tuple(Named(k, column(k)) for k in others), distinct=True))
        links.append(Link(groups, groups, (exp.true(),), required=True))
    on = [_same(period, around.periods, changes), *(both_equal(column(k, groups), column(k, changes)) for k in others)]
    links.append(Link(changes, changes, tuple(on)))
    total = exp.Window(
        this=exp.Sum(this=exp.Coalesce(this=column(names.change, changes), expressions=[exp.Literal.number(0)])),
        partition_by=[column(k, groups) for k in others],
        order=exp.Order(expressions=[exp.Ordered(this=column(period, around.periods), nulls_first=False)]),
        spec=exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW"),
    )
    columns = (
        Named(period, column(period, around.periods)), *(Named(k, column(k, groups)) for k in others),
        Named(measure, whole_number(total)),
    )  # fmt: skip
    steps.append(Select(name, around.periods, columns, tuple(links)))
    return steps
