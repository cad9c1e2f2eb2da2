"""The last pass: a statement in DuckDB's dialect → text for an engine.

sqlglot writes what is the same everywhere. What engines understand differently is said here per dialect, as
rewritings of the tree: sqlglot's classes are not subclassed, so that its compiled form works too.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import ErrorLevel, exp
from sqlglot.errors import UnsupportedError

from kpiengine.errors import UsageError, listing, suggest

Rewriting = Callable[[exp.Expr], exp.Expr]


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


def exact_percentiles(tree: exp.Expr) -> exp.Expr:
    """quantile_cont(x, q) → percentile(x, q), which is exact on Spark where percentile_cont may not be."""
    for node in list(tree.find_all(exp.PercentileCont)):
        call = exp.Anonymous(
            this="PERCENTILE", expressions=[exp.cast(node.this.copy(), "DOUBLE"), node.expression.copy()]
        )
        node.replace(call)
    return tree


REWRITINGS: dict[str, tuple[Rewriting, ...]] = {
    "duckdb": (),
    "spark": (divided_in_double, exact_percentiles),
    "databricks": (divided_in_double, exact_percentiles),
    "postgres": (divided_in_double,),
    "snowflake": (divided_in_double,),
    "bigquery": (),
    "trino": (divided_in_double,),
    "clickhouse": (divided_in_double,),
}


def in_dialect(statement: exp.Query, dialect: str = "duckdb", *, pretty: bool = True) -> str:
    """The statement as text. Raises UsageError for an unknown dialect, or for what it cannot say."""
    if dialect not in REWRITINGS:
        raise UsageError(f'no dialect "{dialect}"; there are: {listing(REWRITINGS, 20)}{suggest(dialect, REWRITINGS)}')
    tree: exp.Expr = statement.copy()
    for rewriting in REWRITINGS[dialect]:
        tree = rewriting(tree)
    try:
        return tree.sql(
            dialect=dialect,
            pretty=pretty,
            unsupported_level=ErrorLevel.IGNORE if dialect == "duckdb" else ErrorLevel.RAISE,
        )
    except UnsupportedError as error:
        raise UsageError(f"{dialect} cannot say this: {error}") from None
