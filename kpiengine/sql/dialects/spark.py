"""Spark, and what speaks its SQL."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.division import divided_in_double
from kpiengine.sql.dialects.once import computed_once
from kpiengine.sql.dialects.rewriting import Dialect


def exact_percentiles(tree: exp.Expr) -> exp.Expr:
    """quantile_cont(x, q) → percentile(x, q), which is exact on Spark where percentile_cont may not be."""
    for node in list(tree.find_all(exp.PercentileCont)):
        call = exp.Anonymous(
            this="PERCENTILE", expressions=[exp.cast(node.this.copy(), "DOUBLE"), node.expression.copy()]
        )
        node.replace(call)
    return tree


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


DIALECT = Dialect("spark", "spark", (divided_in_double, exact_percentiles, bare_generators, computed_once))
