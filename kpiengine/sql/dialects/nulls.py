"""NULL: forms where an engine takes it otherwise."""

from __future__ import annotations

from sqlglot import exp


def extreme_of_known(node: exp.Greatest | exp.Least) -> exp.Expr:
    """greatest(a, b), least(a, b) of the values that are not NULL, where an engine's is NULL as soon as one is.

    Each value stands for itself or, where it is NULL, for another one that is there.
    """
    values: list[exp.Expr] = [node.this, *node.expressions]
    if len(values) == 1:
        return values[0]
    known: list[exp.Expr] = [value for value in values if isinstance(value, exp.Literal)]
    told: list[exp.Expr] = []
    for place, value in enumerate(values):
        others = known[:1] or [*values[place + 1 :], *values[:place]]
        is_known = isinstance(value, exp.Literal)
        told.append(value if is_known else exp.Coalesce(this=value.copy(), expressions=[o.copy() for o in others]))
    return type(node)(this=told[0], expressions=told[1:], ignore_nulls=False)


def is_truth(node: exp.Is) -> exp.Expr:
    """b IS TRUE, b IS FALSE: never NULL, where sqlglot prints the bare condition."""
    wanted = node.expression
    if not isinstance(wanted, exp.Boolean):
        return node
    known = exp.Coalesce(this=node.this, expressions=[exp.Boolean(this=not wanted.this)])
    return known if wanted.this else exp.paren(exp.Not(this=known))
