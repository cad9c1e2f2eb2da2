"""Aggregates on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable

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
from kpiengine.sql.dialects.filters import filter_moved_in, window_moved_in
from kpiengine.sql.dialects.rewriting import Forms, not_null, number


def quantile(node: exp.Median | exp.PercentileCont) -> exp.Expr:
    """median(x), quantile_cont(x, q): between values, of numbers alone."""
    if isinstance(node, exp.PercentileCont) and node.expression is None:  # within a WITHIN GROUP already
        return node
    return _within(exp.PercentileCont(this=share(node)), number_alone(node.this))


def discrete_quantile(node: exp.PercentileDisc) -> exp.Expr:
    """quantile_disc(x, q)."""
    if node.expression is None:
        return node
    return _within(exp.PercentileDisc(this=share(node)), node.this)


def mode(node: exp.Mode) -> exp.Expr:
    """mode(x). Of several most frequent values PostgreSQL takes the smallest, and DuckDB the first that it meets."""
    return _within(exp.Anonymous(this="MODE"), node.this)


def _within(call: exp.Expr, value: exp.Expr) -> exp.Expr:
    return exp.WithinGroup(this=call, expression=exp.Order(expressions=[exp.Ordered(this=value)]))


def extreme(node: exp.ArgMax | exp.ArgMin) -> exp.Expr:
    """arg_max(x, y): x where y is greatest, of the rows that have both."""
    key = exp.Ordered(this=node.expression, desc=isinstance(node, exp.ArgMax))
    return _first(node.this, [key], [node.this, node.expression])


def picked(node: exp.First | exp.Last) -> exp.Expr:
    """first(x order by y), last(x order by y)."""
    value, order = ordered(node)
    return _first(value, order, [])


def any_value(node: exp.AnyValue) -> exp.Expr:
    """any_value(x): one that is not NULL."""
    return _first(node.this, [], [node.this])


def _first(value: exp.Expr, order: list[exp.Ordered], known: Iterable[exp.Expr]) -> exp.Expr:
    inner = exp.Order(this=value.copy(), expressions=order) if order else value.copy()
    found: exp.Expr = exp.ArrayAgg(this=inner, nulls_excluded=False)
    conditions = [not_null(k) for k in known]
    if conditions:
        found = exp.Filter(this=found, expression=exp.Where(this=exp.and_(*conditions)))
    return exp.Bracket(this=exp.paren(found), expressions=[number(0)])


FORMS: Forms = {
    exp.Median: quantile,
    exp.PercentileCont: quantile,
    exp.PercentileDisc: discrete_quantile,
    exp.Mode: mode,
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
