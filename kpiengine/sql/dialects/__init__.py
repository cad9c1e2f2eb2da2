"""The last pass: a statement in DuckDB's dialect → text for an engine.

sqlglot writes what is the same everywhere. What engines understand differently is said here per dialect, as
rewritings of the tree: sqlglot's classes are not subclassed, so that its compiled form works too. A dialect is a file
with its rewritings in order, imported when it is asked for; a rewriting that several share is a file of its own.
"""

from __future__ import annotations

from importlib import import_module

from sqlglot import ErrorLevel, exp
from sqlglot.errors import UnsupportedError

from kpiengine.errors import UsageError, listing, suggest
from kpiengine.sql.dialects.rewriting import Dialect, Rewriting

__all__ = ["DIALECTS", "Dialect", "Rewriting", "dialect_named", "in_dialect"]

DIALECTS = (
    "duckdb",
    "spark",
    "databricks",
    "postgres",
    "snowflake",
    "bigquery",
    "trino",
    "clickhouse",
    "datafusion",
)
"""Every dialect's name, which is its module's name too."""


def dialect_named(name: str) -> Dialect:
    """The dialect of that name. Raises UsageError where there is none."""
    if name not in DIALECTS:
        raise UsageError(f'no dialect "{name}"; there are: {listing(DIALECTS, 20)}{suggest(name, DIALECTS)}')
    dialect: Dialect = import_module(f"{__name__}.{name}").DIALECT
    return dialect


def in_dialect(statement: exp.Query, dialect: str = "duckdb", *, pretty: bool = True) -> str:
    """The statement as text. Raises UsageError for an unknown dialect, or for what it cannot say."""
    known = dialect_named(dialect)
    tree: exp.Expr = statement.copy()
    for rewriting in known.rewritings:
        tree = rewriting(tree)
    try:
        return tree.sql(
            dialect=known.writer,
            pretty=pretty,
            unsupported_level=ErrorLevel.IGNORE if dialect == "duckdb" else ErrorLevel.RAISE,
        )
    except UnsupportedError as error:
        raise UsageError(f"{dialect} cannot say this: {error}") from None
