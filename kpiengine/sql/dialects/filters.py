"""FILTER and OVER behind what a dialect writes as an expression over aggregates: they belong to those."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

MADE = "aggregate"
"""Marks the nodes that are an aggregate call where sqlglot would not know them."""


def aggregate(node: exp.Expr) -> exp.Expr:
    """Marks `node` as an aggregate call."""
    node.meta[MADE] = True
    return node


def filter_moved_in(node: exp.Filter) -> exp.Expr:
    """FILTER at each aggregate of an expression, beside what filters that already."""
    condition = node.expression.this

    def filtered(call: exp.Expr) -> exp.Expr:
        if isinstance(call, exp.Filter):
            both = exp.and_(call.expression.this.copy(), condition.copy())
            return exp.Filter(this=call.this, expression=exp.Where(this=both))
        return exp.Filter(this=call, expression=exp.Where(this=condition.copy()))

    return _at_calls(node.this, filtered)


def window_moved_in(node: exp.Window) -> exp.Expr:
    """OVER at each aggregate of an expression."""
    if is_aggregate_call(node.this) or not any(map(is_aggregate_call, node.this.walk())):
        return node
    over = node.copy()

    def windowed(call: exp.Expr) -> exp.Expr:
        window = over.copy()
        window.set("this", call)
        return window

    return _at_calls(node.this, windowed)


def _at_calls(tree: exp.Expr, changed: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    root = tree.copy()
    if is_aggregate_call(root):
        return changed(root)
    for call in [n for n in root.walk() if is_aggregate_call(n) and not _within_call(n)]:
        call.replace(changed(call.copy()))
    return root


def is_aggregate_call(node: exp.Expr) -> bool:
    """Whether a node is an aggregate call, with its FILTER or WITHIN GROUP where it has one."""
    if isinstance(node, exp.WithinGroup | exp.Filter | exp.AggFunc):
        return True
    return bool(node._meta) and MADE in node.meta


def _within_call(node: exp.Expr) -> bool:
    parent = node.parent
    while parent is not None:
        if is_aggregate_call(parent):
            return True
        parent = parent.parent
    return False
