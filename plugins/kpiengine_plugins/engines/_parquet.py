"""Parquet files that an engine inside this process reads by itself, where it sees just what DuckDB sees."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from sqlglot import exp

from kpiengine.connector import SqlRelation

MOST_FILES = 64
"""Files that are read one by one, up to this number."""

_PATTERN = re.compile(r"[*?{}\[\]\\'\"]")
"""What means something else in an engine's paths."""


def readable_files(relation: SqlRelation, table: Callable[[Path], exp.Table]) -> exp.Expr | None:
    """What stands in a FROM clause, `table` for each file; None where rows have to be loaded.

    Files are read here, and loaded, where folders name columns, columns differ from file to file, or a type is one
    that other engines have otherwise.
    """
    if not isinstance(relation.expression, exp.ReadParquet) or relation.hive or not relation.files:
        return None
    if len(relation.files) > MOST_FILES or any(_PATTERN.search(str(file)) for file in relation.files):
        return None
    if not _alike(relation.files):
        return None
    if len(relation.files) == 1:
        return table(relation.files[0])
    arms = [exp.select("*").from_(table(file)) for file in relation.files]
    return exp.union(*arms, distinct=False).subquery("files")


def _alike(files: tuple[Path, ...]) -> bool:
    import pyarrow
    import pyarrow.parquet

    try:
        schemas = [pyarrow.parquet.read_schema(file).remove_metadata() for file in files]
    except (OSError, pyarrow.ArrowException):
        return False
    return all(schema.equals(schemas[0]) and all(map(_known, schema.types)) for schema in schemas)


def _known(kind: object) -> bool:
    """Whether a type is read alike: of times those in microseconds, no times of day, no binary, nothing nested."""
    import pyarrow.types as types

    if types.is_timestamp(kind):
        return str(getattr(kind, "unit", "")) == "us"
    plain = types.is_integer(kind) or types.is_boolean(kind) or types.is_decimal(kind) or types.is_date32(kind)
    return bool(plain or types.is_float64(kind) or types.is_string(kind) or types.is_large_string(kind))
