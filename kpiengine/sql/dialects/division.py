"""Division: DOUBLE by DOUBLE, as DuckDB's `/` is."""

from __future__ import annotations

from sqlglot import exp


def divided_in_double(tree: exp.Expr) -> exp.Expr:
    """a / NULLIF(b, 0) → both sides DOUBLE: other engines divide integers, or decimals to a few digits."""
    for node in tree.find_all(exp.Div):
        node.set("this", _as_double(node.this))
        divisor = node.expression
        if isinstance(divisor, exp.Nullif):
            divisor.set("this", _as_double(divisor.this))
    return tree


def _as_double(tree: exp.Expr) -> exp.Expr:
    return tree if isinstance(tree, exp.Cast) and tree.is_type("double") else exp.cast(tree.copy(), "DOUBLE")
