"""Forms of dialects whose engines are not to be had here: what is known to differ is said as it is meant, or refused.

The rest of a statement is as sqlglot prints it; nothing of it was run.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from kpiengine.sql.dialects.dates import Part, differences, no_intervals, part_forms
from kpiengine.sql.dialects.division import as_double
from kpiengine.sql.dialects.families import family, family_of_type
from kpiengine.sql.dialects.numbers import half_to_even
from kpiengine.sql.dialects.rewriting import Forms, Unsayable, refused

_NONE = refused("there is none")
_SINCE_1970 = refused("the time since 1970 is not known to be the same")
_BY_ORDER = refused("there is no first by an order: write arg_min(x, y) or arg_max(x, y)")

_ESTIMATES = refused("there are no exact quantiles of groups, only estimates")

NO_QUANTILES: Forms = {
    exp.Median: _ESTIMATES,
    exp.PercentileCont: _ESTIMATES,
    exp.PercentileDisc: _ESTIMATES,
    exp.Quantile: _ESTIMATES,
    exp.Mode: _NONE,
}
"""Forms where quantiles of groups are estimates."""


def cast(node: exp.Cast) -> exp.Expr:
    """A DOUBLE becomes the nearest integer, of two the even one; those engines take the one away from zero."""
    if family_of_type(node.to.sql("duckdb")) == "int" and family(node.this) == "double":
        return exp.cast(half_to_even(node.this), node.to)
    return node


def to_base_ten(written: Callable[[exp.Expr], exp.Expr]) -> Forms:
    """log(x) is to base 10; to another base it is refused, since engines turn the two round."""

    def logarithm(node: exp.Log) -> exp.Expr:
        if node.expression is not None:
            raise Unsayable("to base 10 alone; ln(x) / ln(base) is to any")
        return written(as_double(node.this))

    return {exp.Log: logarithm}


def any_value(node: exp.AnyValue) -> exp.Expr:
    """any_value(x): one that is not NULL, of which the smallest is one."""
    return exp.Min(this=node.this)


def forms(part: Part, days: Callable[[exp.Expr, exp.Expr], exp.Expr]) -> Forms:
    """Those of every such dialect. `part` says a part of a date, `days` the number of days between two."""
    return {
        **part_forms(part),
        exp.DateDiff: differences(part, days, lambda node: node),
        exp.Sub: no_intervals,
        exp.Cast: cast,
        exp.AnyValue: any_value,
        exp.IgnoreNulls: lambda node: node.this if isinstance(node.this, exp.Min) else node,
        exp.First: _BY_ORDER,
        exp.Last: _BY_ORDER,
        exp.Glob: _NONE,
        exp.UnixMicros: _SINCE_1970,
        exp.UnixToTime: _SINCE_1970,
        "date_sub": _NONE,
        exp.ApproxDistinct: refused("an estimate is another on each engine; count(distinct x) is exact"),
    }


def no_epoch(word: str) -> None:
    """Refuses the time since 1970, which is not counted alike."""
    if word == "EPOCH":
        raise Unsayable("the time since 1970, and differences in hours or less, are not known to be the same")
