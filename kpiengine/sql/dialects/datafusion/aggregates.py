"""Aggregates on DataFusion."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.aggregates import (
    count_if,
    joined,
    mean,
    number_alone,
    of_truth,
    ordered,
    share,
    spread,
)
from kpiengine.sql.dialects.families import family
from kpiengine.sql.dialects.filters import aggregate, filter_moved_in, window_moved_in
from kpiengine.sql.dialects.rewriting import Forms, Unsayable, call, not_null


def total(node: exp.Sum) -> exp.Expr:
    """sum(x) of integers, where an overflow is an error: a sum of BIGINTs runs over without a word."""
    value = node.this
    if family(value) not in ("int", "bool") or _small(value):
        return node
    wide: exp.Expr
    if isinstance(value, exp.Distinct):
        wide = exp.Distinct(expressions=[exp.cast(e, "DECIMAL(38, 0)") for e in value.expressions])
    else:
        wide = exp.cast(value, "DECIMAL(38, 0)")
    return exp.cast(exp.Sum(this=wide), "BIGINT")


def _small(value: exp.Expr) -> bool:
    """Whether no table has rows enough to overflow: conditions counted as 0 and 1, and INTEGERs."""
    if isinstance(value, exp.Cast):
        return bool(value.is_type("int", "smallint", "tinyint"))
    if isinstance(value, exp.Case):
        branches = [*(branch.args["true"] for branch in value.args["ifs"]), value.args.get("default")]
        return all(b is None or isinstance(b, exp.Null) or (b.is_int and len(b.sql()) < 9) for b in branches)
    return isinstance(value, exp.Literal)


def quantile(node: exp.Median | exp.PercentileCont) -> exp.Expr:
    """median(x), quantile_cont(x, q): between values, of numbers alone."""
    if isinstance(node, exp.PercentileCont) and node.expression is None:
        raise Unsayable("written quantile_cont(x, q)")
    return aggregate(call("PERCENTILE_CONT", number_alone(node.this), share(node)))


def extreme(node: exp.ArgMax | exp.ArgMin) -> exp.Expr:
    """arg_max(x, y): x where y is greatest, of the rows that have both."""
    key = exp.Ordered(this=node.expression.copy(), desc=isinstance(node, exp.ArgMax), nulls_first=False)
    both = exp.and_(not_null(node.this), not_null(node.expression))
    return exp.Filter(this=_first(node.this, [key]), expression=exp.Where(this=both))


def picked(node: exp.First | exp.Last) -> exp.Expr:
    """first(x order by y), last(x order by y)."""
    return _first(*ordered(node))


def any_value(node: exp.AnyValue) -> exp.Expr:
    """any_value(x): one that is not NULL."""
    return exp.Filter(this=_first(node.this, []), expression=exp.Where(this=not_null(node.this)))


def _first(value: exp.Expr, order: list[exp.Ordered]) -> exp.Expr:
    taken = exp.Order(this=value, expressions=order) if order else value
    return aggregate(call("FIRST_VALUE", taken))


FORMS: Forms = {
    exp.Sum: total,
    exp.Median: quantile,
    exp.PercentileCont: quantile,
    exp.ArgMax: extreme,
    exp.ArgMin: extreme,
    exp.First: picked,
    exp.Last: picked,
    exp.AnyValue: any_value,
    exp.CountIf: count_if,
    exp.Max: of_truth,
    exp.Min: of_truth,
    exp.GroupConcat: joined,
    exp.Avg: mean,
    exp.Stddev: spread,
    exp.StddevSamp: spread,
    exp.StddevPop: spread,
    exp.Variance: spread,
    exp.VariancePop: spread,
    exp.LogicalAnd: lambda node: node,
    exp.LogicalOr: lambda node: node,
    exp.CovarPop: lambda node: node,
    exp.CovarSamp: lambda node: node,
    exp.Filter: filter_moved_in,
    exp.Window: window_moved_in,
}
