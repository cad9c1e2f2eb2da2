"""Small expressions that steps are made of, all in DuckDB's dialect."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlglot import exp

from kpiengine.calendar import Calendar
from kpiengine.model.source import identifier


def column(name: str, table: str | None = None) -> exp.Column:
    """A reference to a column, of a step's alias where `table` is given."""
    return exp.column(identifier(name), table=table, copy=False)


def date_literal(day: dt.date) -> exp.Expr:
    """DATE '2026-01-31', or a TIMESTAMP for a datetime."""
    if isinstance(day, dt.datetime):
        return exp.cast(exp.Literal.string(day.isoformat(sep=" ")), "TIMESTAMP")
    return exp.cast(exp.Literal.string(day.isoformat()), "DATE")


def local_time(time: exp.Expr, kind: str, timezone: str) -> exp.Expr:
    """A point in time as the clock on the wall showed it in `timezone`; a time without a zone is that already."""
    if kind in ("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"):
        return exp.AtTimeZone(this=time.copy(), zone=exp.Literal.string(timezone))
    return time.copy()


def day_of(time: exp.Expr, kind: str, timezone: str) -> exp.Expr:
    """The calendar day of a point in time."""
    local = local_time(time, kind, timezone)
    return local if kind == "DATE" else exp.cast(local, "DATE")


def period_of(time: exp.Expr, kind: str, unit: str, timezone: str, calendar: Calendar) -> exp.Expr:
    """The first day of the period, or for `hour` its first instant."""
    if unit == "hour":
        local = local_time(time, kind, timezone)
        return exp.TimestampTrunc(this=exp.cast(local, "TIMESTAMP"), unit=exp.var("HOUR"))
    return calendar.start(day_of(time, kind, timezone), unit)


def both_equal(left: exp.Expr, right: exp.Expr) -> exp.Expr:
    """left = right, where NULL equals NULL."""
    return exp.NullSafeEQ(this=left, expression=right)


def is_null(tree: exp.Expr) -> exp.Expr:
    """tree IS NULL."""
    return exp.Is(this=tree, expression=exp.null())


def not_null(tree: exp.Expr) -> exp.Expr:
    """NOT tree IS NULL."""
    return exp.Not(this=is_null(tree))


def all_of(conditions: Iterable[exp.Expr]) -> exp.Expr | None:
    """The conjunction, or None where there is nothing to hold."""
    found = [c.copy() for c in conditions]
    return exp.and_(*found, copy=False) if found else None


def any_of(conditions: Iterable[exp.Expr]) -> exp.Expr:
    """The disjunction of at least one condition."""
    return exp.or_(*[c.copy() for c in conditions], copy=False)


def with_filter(call: exp.Expr, conditions: Iterable[exp.Expr]) -> exp.Expr:
    """The aggregate `call` over the rows for which all conditions hold, beside the FILTER that it may have."""
    own = call.expression.this if isinstance(call, exp.Filter) else None
    bare = call.this if isinstance(call, exp.Filter) else call
    condition = all_of([*conditions, *([own] if own is not None else [])])
    if condition is None:
        return bare.copy()
    return exp.Filter(this=bare.copy(), expression=exp.Where(this=condition))


def renamed(tree: exp.Expr, new: Callable[[exp.Column], exp.Expr]) -> exp.Expr:
    """A copy of `tree` with each column replaced by `new(column)`."""
    return tree.transform(lambda n: new(n) if isinstance(n, exp.Column) and not isinstance(n.this, exp.Star) else n)


def qualified(tree: exp.Expr, table: str) -> exp.Expr:
    """A copy of `tree` with each bare column said to be of `table`."""

    def of_table(node: exp.Column) -> exp.Expr:
        return node if node.table else exp.column(node.this.copy(), table=table)

    return renamed(tree, of_table)


def filled_in(tree: exp.Expr, values: Mapping[int, exp.Expr] | Sequence[exp.Expr]) -> exp.Expr:
    """`tree` with each placeholder `:n` replaced by value n, in parentheses where it needs them and nowhere else."""
    if isinstance(tree, exp.Placeholder):
        return values[int(tree.name)].copy()
    new = tree.copy()
    for node in list(new.find_all(exp.Placeholder)):
        value = values[int(node.name)].copy()
        needs = isinstance(value, exp.Binary | exp.Unary)
        place = node.parent if isinstance(node.parent, exp.Paren) and not needs else node
        if place is new:
            return value
        wraps = needs and not isinstance(node.parent, exp.Paren | exp.Func)
        place.replace(exp.paren(value, copy=False) if wraps else value)
    return new


def whole_number(tree: exp.Expr) -> exp.Expr:
    """Cast to BIGINT, which fails where the value does not fit."""
    return exp.cast(tree, "BIGINT")


def free(name: str, taken: Iterable[str]) -> str:
    """`name`, with a number behind it where it is taken."""
    names = {t.lower() for t in taken}
    found, n = name, 2
    while found.lower() in names:
        found, n = f"{name}_{n}", n + 1
    return found
