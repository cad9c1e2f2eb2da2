"""Aggregates on Spark."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.aggregates import count_if, joined, mean, number_alone, one_extreme, share, spread
from kpiengine.sql.dialects.families import family
from kpiengine.sql.dialects.filters import aggregate, filter_moved_in, window_moved_in
from kpiengine.sql.dialects.rewriting import Forms, Unsayable, call, not_null, refused


def quantile(node: exp.Median | exp.PercentileCont) -> exp.Expr:
    """median(x), quantile_cont(x, q): PERCENTILE is exact, where PERCENTILE_CONT may not be."""
    if isinstance(node, exp.PercentileCont) and node.expression is None:
        raise Unsayable("written quantile_cont(x, q)")
    return aggregate(call("PERCENTILE", number_alone(node.this), share(node)))


def extreme(node: exp.ArgMax | exp.ArgMin) -> exp.Expr:
    """arg_max(x, y): x where y is greatest, of the rows that have both."""
    if node.args.get("count") is not None:
        raise Unsayable("one value at a time")
    both = exp.and_(not_null(node.this), not_null(node.expression))
    return exp.Filter(this=node, expression=exp.Where(this=both))


def any_value(node: exp.AnyValue) -> exp.Expr:
    """any_value(x): one that is not NULL."""
    return exp.Filter(this=node, expression=exp.Where(this=not_null(node.this)))


def bits(node: exp.BitwiseOrAgg) -> exp.Expr:
    """bit_or(n)."""
    if family(node.this) not in ("int", ""):
        raise Unsayable("of whole numbers alone")
    return node


_BY_ORDER = refused("there is no first by an order: write arg_min(x, y) or arg_max(x, y)")

FORMS: Forms = {
    exp.Median: quantile,
    exp.PercentileCont: quantile,
    exp.ArgMax: extreme,
    exp.ArgMin: extreme,
    exp.First: _BY_ORDER,
    exp.Last: _BY_ORDER,
    exp.AnyValue: any_value,
    exp.CountIf: count_if,
    exp.Max: one_extreme,
    exp.Min: one_extreme,
    exp.GroupConcat: joined,
    exp.Avg: mean,
    exp.Stddev: spread,
    exp.StddevSamp: spread,
    exp.StddevPop: spread,
    exp.Variance: spread,
    exp.VariancePop: spread,
    exp.BitwiseOrAgg: bits,
    exp.LogicalAnd: lambda node: node,
    exp.LogicalOr: lambda node: node,
    exp.CovarPop: lambda node: node,
    exp.CovarSamp: lambda node: node,
    exp.Filter: filter_moved_in,
    exp.Window: window_moved_in,
}
