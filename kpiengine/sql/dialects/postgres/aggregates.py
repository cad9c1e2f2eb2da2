"""Aggregates on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable

from sqlglot import exp

from kpiengine.sql.dialects.division import as_double
from kpiengine.sql.dialects.families import family
from kpiengine.sql.dialects.filters import filter_moved_in
from kpiengine.sql.dialects.rewriting import Forms, Unsayable, not_null, number


def quantile(node: exp.Expr) -> exp.Expr:
    """median(x), quantile_cont(x, q): between values, of numbers alone."""
    if isinstance(node, exp.PercentileCont) and node.expression is None:  # within a WITHIN GROUP already
        return node
    share = node.expression if isinstance(node, exp.PercentileCont) else number("0.5")
    if family(node.this) not in ("int", "decimal", "double", ""):
        raise Unsayable("of numbers alone")
    if isinstance(share, exp.Array):
        raise Unsayable("one quantile at a time")
    return _within(exp.PercentileCont(this=share), as_double(node.this))


def discrete_quantile(node: exp.PercentileDisc) -> exp.Expr:
    """quantile_disc(x, q)."""
    if node.expression is None:
        return node
    return _within(exp.PercentileDisc(this=node.expression), node.this)


def mode(node: exp.Mode) -> exp.Expr:
    """mode(x). Of several most frequent values PostgreSQL takes the smallest, and DuckDB the first that it meets."""
    return _within(exp.Anonymous(this="MODE"), node.this)


def _within(call: exp.Expr, value: exp.Expr) -> exp.Expr:
    ordered = exp.Ordered(this=value)
    return exp.WithinGroup(this=call, expression=exp.Order(expressions=[ordered]))


def extreme(node: exp.ArgMax | exp.ArgMin) -> exp.Expr:
    """arg_max(x, y): x where y is greatest, of the rows that have both."""
    ordered = exp.Ordered(this=node.expression, desc=isinstance(node, exp.ArgMax))
    return _first(node.this, [ordered], [node.this, node.expression])


def picked(node: exp.First | exp.Last | exp.AnyValue) -> exp.Expr:
    """first(x order by y), last(x order by y); any_value(x) is one that is not NULL."""
    value = node.this
    order = [o.copy() for o in value.expressions] if isinstance(value, exp.Order) else []
    bare = value.this if isinstance(value, exp.Order) else value
    if isinstance(node, exp.AnyValue):
        return _first(bare, order, [bare])
    if not order:
        raise Unsayable("without an order it is any row's value: write first(x order by …), or any_value(x)")
    if isinstance(node, exp.Last):
        for key in order:
            key.set("desc", not key.args.get("desc"))
            key.set("nulls_first", not key.args.get("nulls_first"))
    return _first(bare, order, [])


def _first(value: exp.Expr, order: list[exp.Ordered], known: Iterable[exp.Expr]) -> exp.Expr:
    inner = exp.Order(this=value.copy(), expressions=order) if order else value.copy()
    found: exp.Expr = exp.ArrayAgg(this=inner, nulls_excluded=False)
    conditions = [not_null(k) for k in known]
    if conditions:
        found = exp.Filter(this=found, expression=exp.Where(this=exp.and_(*conditions)))
    return exp.Bracket(this=exp.paren(found), expressions=[number(0)])


def count_if(node: exp.CountIf) -> exp.Expr:
    """count_if(condition), which is NULL in DuckDB where the condition always is."""
    held = exp.case().when(node.this.copy(), number(1)).when(exp.Not(this=exp.paren(node.this)), number(0))
    return exp.Sum(this=held)


def of_truth(node: exp.Max | exp.Min) -> exp.Expr:
    """The largest or smallest of truth values."""
    if node.expressions or node.args.get("count"):
        raise Unsayable("one value at a time")
    if family(node.this) != "bool":
        return node
    return (exp.LogicalOr if isinstance(node, exp.Max) else exp.LogicalAnd)(this=node.this)


def joined(node: exp.GroupConcat) -> exp.Expr:
    """string_agg(x, separator order by y)."""
    if not isinstance(node.this, exp.Order):
        raise Unsayable("without an order it is not the same twice: string_agg(x, ',' order by x)")
    return node


def mean(node: exp.Avg) -> exp.Expr:
    """avg(x) as a DOUBLE."""
    value = node.this
    if isinstance(value, exp.Distinct):
        return exp.Avg(this=exp.Distinct(expressions=[as_double(e) for e in value.expressions]))
    return exp.Avg(this=as_double(value))


def spread(node: exp.Func) -> exp.Expr:
    """Deviations and variances as a DOUBLE."""
    if not isinstance(node.this, exp.Distinct):
        node.set("this", as_double(node.this))
    return node


FORMS: Forms = {
    exp.Median: quantile,
    exp.PercentileCont: quantile,
    exp.PercentileDisc: discrete_quantile,
    exp.Mode: mode,
    exp.ArgMax: extreme,
    exp.ArgMin: extreme,
    exp.First: picked,
    exp.Last: picked,
    exp.AnyValue: picked,
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
}
