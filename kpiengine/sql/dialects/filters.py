"""FILTER over aggregates that a dialect writes as several."""

from __future__ import annotations

from sqlglot import exp

MADE = "aggregate"
"""Marks the nodes that are an aggregate call where sqlglot would not know them."""


def aggregate(node: exp.Expr) -> exp.Expr:
    """Marks `node` as an aggregate call."""
    node.meta[MADE] = True
    return node


def filter_moved_in(node: exp.Filter) -> exp.Expr:
    """An expression over aggregates with FILTER → the expression with the FILTER at each aggregate in it."""
    if _is_call(node.this):
        return node
    condition = node.expression.this
    inner: exp.Expr = node.this.copy()
    for inside in [n for n in inner.walk() if _is_call(n) and not _within_call(n)]:
        if isinstance(inside, exp.Filter):
            both = exp.and_(inside.expression.this.copy(), condition.copy())
            inside.set("expression", exp.Where(this=both))
        else:
            filtered = exp.Filter(this=inside.copy(), expression=exp.Where(this=condition.copy()))
            if inside is inner:
                return filtered
            inside.replace(filtered)
    return inner


def _is_call(node: exp.Expr) -> bool:
    if isinstance(node, exp.WithinGroup | exp.Filter | exp.AggFunc):
        return True
    return MADE in node.meta if node._meta else False


def _within_call(node: exp.Expr) -> bool:
    parent = node.parent
    while parent is not None:
        if _is_call(parent):
            return True
        parent = parent.parent
    return False
