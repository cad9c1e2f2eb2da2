"""Division: DOUBLE by DOUBLE, as DuckDB's `/` is."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.families import family
from kpiengine.sql.dialects.rewriting import Unsayable


def divided_in_double(tree: exp.Expr) -> exp.Expr:
    """a / NULLIF(b, 0) → both sides DOUBLE: other engines divide integers, or decimals to a few digits.

    A division that a dialect itself has made says so (`typed`), and stays.
    """
    for node in tree.find_all(exp.Div):
        if node.args.get("typed"):
            continue
        node.set("this", as_double(node.this))
        divisor = node.expression
        if isinstance(divisor, exp.Nullif):
            divisor.set("this", as_double(divisor.this))
    return tree


def as_double(tree: exp.Expr) -> exp.Expr:
    """The expression as a DOUBLE, cast where it is none."""
    return tree if isinstance(tree, exp.Cast) and tree.is_type("double") else exp.cast(tree.copy(), "DOUBLE")


def whole_numbers_alone(node: exp.IntDiv) -> exp.Expr:
    """a // b of integers, as a division that cuts the fraction off; of others DuckDB's has a fraction."""
    for side in (node.this, node.expression):
        if family(side) in ("double", "decimal"):
            raise Unsayable("// divides integers alone here; of others / says the same")
    return exp.Div(this=node.this, expression=node.expression, typed=True)
