"""The last pass: a statement in DuckDB's dialect → text for an engine.

sqlglot writes what is the same everywhere. What engines understand differently is said here per dialect, as forms of
single expressions and rewritings of the tree: sqlglot's classes are not subclassed, so that its compiled form works
too. A dialect is a module (a package where it has many forms), imported when it is asked for; a rewriting that several
share is a file of its own.
"""

from __future__ import annotations

from importlib import import_module

from sqlglot import ErrorLevel, exp
from sqlglot.errors import UnsupportedError

from kpiengine.errors import UsageError, listing, suggest
from kpiengine.sql.dialects.families import families_noted
from kpiengine.sql.dialects.known import refuse_unknown, refuse_unnamed
from kpiengine.sql.dialects.rewriting import Dialect, Rewriting, Unsayable, in_forms
from kpiengine.sql.dialects.spellings import spelled_alike

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
    """The statement as text. Raises UsageError for an unknown dialect, or for what it cannot say exactly."""
    known = dialect_named(dialect)
    tree: exp.Expr = statement.copy()
    try:
        if known.checked or known.named:
            tree = spelled_alike(tree)
            (refuse_unknown if known.checked else refuse_unnamed)(tree, known.forms)
        if known.forms or known.rewritings:
            tree = in_forms(families_noted(tree), known.forms)
        for rewriting in known.rewritings:
            tree = rewriting(tree)
        return tree.sql(
            dialect=known.writer,
            pretty=pretty,
            copy=False,
            unsupported_level=ErrorLevel.IGNORE if dialect == "duckdb" else ErrorLevel.RAISE,
        )
    except (Unsayable, UnsupportedError) as error:
        raise UsageError(f"{dialect} cannot say {error}") from None
