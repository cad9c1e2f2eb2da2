"""Aggregates: forms that several dialects share."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.division import as_double
from kpiengine.sql.dialects.families import family
from kpiengine.sql.dialects.rewriting import Unsayable, number


def count_if(node: exp.CountIf) -> exp.Sum:
    """count_if(condition), which is NULL in DuckDB where the condition always is."""
    held = exp.case().when(node.this.copy(), number(1)).when(exp.Not(this=exp.paren(node.this)), number(0))
    return exp.Sum(this=held)


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


def one_extreme(node: exp.Max | exp.Min) -> exp.Expr:
    """max(x), min(x); not the n largest."""
    if node.expressions or node.args.get("count"):
        raise Unsayable("one value at a time")
    return node


def of_truth(node: exp.Max | exp.Min) -> exp.Expr:
    """The largest or smallest of truth values."""
    one_extreme(node)
    if family(node.this) != "bool":
        return node
    return (exp.LogicalOr if isinstance(node, exp.Max) else exp.LogicalAnd)(this=node.this)


def share(node: exp.Expr) -> exp.Expr:
    """Which quantile `median(x)` and `quantile_cont(x, q)` ask for, as a number."""
    if isinstance(node, exp.Median):
        return number("0.5")
    told = node.args.get("expression")
    while isinstance(told, exp.Cast):
        told = told.this
    if not isinstance(told, exp.Literal):
        raise Unsayable("which one has to be written out as a number")
    return number(told.this)


def number_alone(node: exp.Expr) -> exp.Expr:
    """What a quantile is taken of, as a DOUBLE. Raises Unsayable where it is no number."""
    if family(node) not in ("int", "decimal", "double", ""):
        raise Unsayable("of numbers alone")
    return as_double(node)


def ordered(node: exp.First | exp.Last) -> tuple[exp.Expr, list[exp.Ordered]]:
    """What first(x order by y) takes, and in which order; last is first in the order turned round."""
    value = node.this
    if not isinstance(value, exp.Order):
        raise Unsayable("without an order it is any row's value: write first(x order by …), or any_value(x)")
    order = [key.copy() for key in value.expressions]
    if isinstance(node, exp.Last):
        for key in order:
            key.set("desc", not key.args.get("desc"))
            key.set("nulls_first", not key.args.get("nulls_first"))
    return value.this, order
