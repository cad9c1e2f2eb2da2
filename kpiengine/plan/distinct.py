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
from kpiengine.plan.expressions import all_of, both_equal, column, is_null, not_null, whole_number, with_filter
from kpiengine.plan.facts import Fact
from kpiengine.plan.relations import Around, Relation
from kpiengine.plan.steps import Aggregate, Link, Named, Select, Step, Union
from kpiengine.records import dataclass

ENDINGS = (
    "_firsts", "_entered", "_entered_left", "_seen", "_next", "_again", "_again_left", "_days", "_gone", "_moves",
    "_changes", "_groups",
)  # fmt: skip
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
    names = _Names.beside(keys)
    rows = _Counted(fact, keys, call, *counted)
    others = [k for k in keys if k != around.period]
    steps = _first_seen(name, rows, others, around, names)
    if around.reach is not None:
        steps = _seen_on_days(name, rows, others, around, around.reach, names)
    changes = Aggregate(
        f"{name}_changes", steps[-1].name, _columns((*others, around.period)),
        (Named(names.change, whole_number(exp.Sum(this=column(names.change)))),),
    )  # fmt: skip
    steps += [changes, *_counts(name, changes.name, others, around, measure, names)]
    return steps, Relation(name, tuple(keys), {number: measure})


@dataclass(frozen=True)
class _Counted:
    """The rows whose values are counted. `own` are the count's own conditions."""

    fact: Fact
    keys: dict[str, exp.Expr]
    call: BoundCall
    value: exp.Expr
    own: tuple[exp.Expr, ...]

    @property
    def step(self) -> str:
        return self.fact.rows.step

    @property
    def day(self) -> exp.Expr:
        assert self.fact.day is not None
        return self.fact.day

    @property
    def filters(self) -> tuple[exp.Expr, ...]:
        """Those that the groups' own step has, too: rows are read once for both."""
        return (*self.fact.where, *self.call.filters)

    @property
    def present(self) -> tuple[exp.Expr, ...]:
        """The filters, and that there are a value and a day to count."""
        return (*self.filters, *self.own, not_null(self.value.copy()), not_null(self.day.copy()))

    def named(self, names: Iterable[str]) -> tuple[Named, ...]:
        return tuple(Named(k, self.keys[k]) for k in names)


def _columns(names: Iterable[str]) -> tuple[Named, ...]:
    return tuple(Named(name, column(name)) for name in names)


def _first_seen(name: str, rows: _Counted, others: list[str], around: Around, names: _Names) -> list[Step]:
    """Windows that start at the beginning: a value enters once, and stays."""
    period = around.period
    firsts = Aggregate(
        f"{name}_firsts", rows.step, (*rows.named(others), Named(names.value, rows.value)),
        (Named(period, exp.Min(this=rows.keys[period])),), rows.present,
    )  # fmt: skip
    change = Named(names.change, exp.Count(this=exp.Star()))
    return [firsts, Aggregate(f"{name}_moves", firsts.name, _columns((*others, period)), (change,))]


def _seen_on_days(
    name: str, rows: _Counted, others: list[str], around: Around, reach: int, names: _Names
) -> list[Step]:
    """Windows that move on: a value enters with each row and leaves when no window holds the row's day any more; where
    it is seen again before that, it leaves in the period of the next row.

    Only the second needs rows in order, and there are few of those: a group for each day and day soon after it.
    """
    period, seen_on = around.period, names.seen_on
    count = with_filter(exp.Count(this=rows.value.copy()), list(rows.own))
    entered = Aggregate(
        f"{name}_entered", rows.step, (*rows.named(others), Named(seen_on, rows.day), *rows.named((period,))),
        (Named(names.times, count),), rows.filters,
    )  # fmt: skip
    seen = Select(
        f"{name}_seen", rows.step,
        (*rows.named(others), Named(names.value, rows.value), Named(seen_on, rows.day), *rows.named((period,))),
        filters=rows.present,
    )  # fmt: skip
    coming = ((names.next_period, period), (names.next_seen, seen_on))
    kept = (*others, seen_on)
    following = Select(
        f"{name}_next", seen.name,
        (*_columns(kept), *(Named(told, _next(moment, others, names)) for told, moment in coming)),
    )  # fmt: skip
    soon = exp.LT(this=column(names.next_seen), expression=plus_days(column(seen_on), reach))
    again = Aggregate(
        f"{name}_again", following.name, _columns((*kept, names.next_period)),
        (Named(names.times, exp.Count(this=exp.Star())),), (soon,),
    )  # fmt: skip
    ends = _ends(name, around, entered.name, names)
    moves = _moves(name, entered.name, again.name, ends[-1].name, others, period, names)
    return [entered, seen, following, again, *ends, *moves]


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


def _moves(name: str, entered: str, again: str, gone: str, others: list[str], period: str, names: _Names) -> list[Step]:
    """By period and group, how many enter and how many leave."""

    def left(step: str, *columns: Named) -> Select:
        """The step's rows with the period in which no window holds their day any more."""
        link = Link(gone, gone, (_same(names.seen_on, step, gone),))
        own = (*(Named(k, column(k, step)) for k in others), Named(names.times, column(names.times, step)))
        return Select(f"{step}_left", step, (*own, Named(names.gone, column(names.gone, gone)), *columns), (link,))

    def arm(step: Select, moment: str, leaves: bool) -> Select:
        times = column(names.times)
        change = exp.Neg(this=times) if leaves else times
        columns = (*_columns(others), Named(period, column(moment)), Named(names.change, change))
        return Select("", step.name, columns, filters=(not_null(column(moment)),))

    once = left(entered, Named(names.enters, column(period, entered)))
    sooner = _earlier(column(names.next_period, again), column(names.gone, gone))
    twice = left(again, Named(names.leaves, sooner))
    arms = (
        arm(once, names.enters, False), arm(once, names.gone, True),
        arm(twice, names.gone, False), arm(twice, names.leaves, True),
    )  # fmt: skip
    return [once, twice, Union(f"{name}_moves", arms)]


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
