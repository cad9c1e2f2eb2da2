"""Rows made from one."""

from __future__ import annotations

from sqlglot import exp


def bare_generators(tree: exp.Expr) -> exp.Expr:
    """CAST(EXPLODE(sequence(a, b)) AS t) → EXPLODE(sequence(CAST(a AS t), CAST(b AS t))): Spark explodes in no other
    expression."""
    for node in list(tree.find_all(exp.Explode)):
        series, cast = node.this, node.parent
        if isinstance(series, exp.GenerateSeries) and isinstance(cast, exp.Cast):
            for edge in ("start", "end"):
                series.set(edge, exp.cast(series.args[edge], cast.to.copy()))
            cast.replace(node)
    return tree
