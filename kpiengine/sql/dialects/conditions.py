"""FILTER where an engine has none: the condition goes into what each aggregate takes."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.filters import filter_moved_in
from kpiengine.sql.dialects.rewriting import Unsayable, not_null, number


def filter_as_condition(node: exp.Filter) -> exp.Expr:
    """sum(x) filter (where c) → sum(if(c, x, NULL)): aggregates leave NULL out."""
    moved = filter_moved_in(node)
    if isinstance(moved, exp.Filter):
        return _conditioned(moved)
    for each in list(moved.find_all(exp.Filter)):
        each.replace(_conditioned(each))
    return moved


def _conditioned(node: exp.Filter) -> exp.Expr:
    call: exp.Expr = node.this.copy()
    condition = node.expression.this
    if isinstance(call, exp.WithinGroup):  # what it is sorted by is what it takes
        slot = call.expression.expressions[0]
        slot.set("this", _held(condition, slot.this))
        return call
    if isinstance(call, exp.ArgMax | exp.ArgMin):  # rows that are not to be looked at have nothing to be compared
        call.set("expression", _held(condition, call.expression))
        return call
    if isinstance(call, exp.Count) and isinstance(call.this, exp.Star):
        call.set("this", _held(condition, number(1)))
        return call
    holder: exp.Expr = call
    while isinstance(holder.this, exp.Order | exp.IgnoreNulls | exp.Distinct):
        holder = holder.this
    if isinstance(holder, exp.Distinct):
        if len(holder.expressions) != 1:
            raise Unsayable("no condition on several values at once")
        holder.set("expressions", [_held(condition, holder.expressions[0])])
    else:
        holder.set("this", _held(condition, holder.this))
    return call


def extreme_of_pairs(node: exp.ArgMax | exp.ArgMin) -> exp.Expr:
    """arg_max(x, y): x where y is greatest, of the rows that have both."""
    if node.args.get("count") is not None:
        raise Unsayable("one value at a time")
    node.set("expression", _held(not_null(node.this), node.expression))
    some = exp.GT(this=exp.Count(this=node.expression.copy()), expression=number(0))
    return exp.case().when(some, node)


def _held(condition: exp.Expr, value: exp.Expr) -> exp.Expr:
    return exp.If(this=condition.copy(), true=value.copy(), false=exp.null())
