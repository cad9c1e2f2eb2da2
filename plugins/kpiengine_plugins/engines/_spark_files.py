"""Parquet files as Spark reads them by itself: "parquet.`path`" in a FROM clause."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sqlglot import exp

from kpiengine.connector import SqlRelation

MOST_FILES = 64
"""Files that are not a folder's all are read one by one, up to this number."""

_PATTERN = re.compile(r"[*?{}\[\]\\:`]")
"""What means something else in a path of Hadoop's."""


def readable_files(relation: SqlRelation) -> exp.Expr | None:
    """What stands in a FROM clause; None where Spark would not read the same rows, or not in the same types."""
    if not isinstance(relation.expression, exp.ReadParquet) or not relation.files:
        return None
    settings = {a.this.name: a.expression for a in relation.expression.expressions if isinstance(a, exp.EQ)}
    if any(_PATTERN.search(str(file)) for file in relation.files) or not _alike(relation.files):
        return None
    hive = settings.get("hive_partitioning")
    if hive is not None and hive.this:
        root = _partitioned_root(relation.files)
        return _path(root) if root is not None else None
    if len(relation.files) == 1:
        return _path(relation.files[0])
    folder = relation.files[0].parent
    if all(file.parent == folder for file in relation.files) and _whole(folder, relation.files):
        return _path(folder)
    if len(relation.files) > MOST_FILES:
        return None
    arms = [exp.select("*").from_(_path(file)) for file in relation.files]
    return exp.union(*arms, distinct=False).subquery("files")


def _path(path: Path) -> exp.Table:
    return exp.Table(this=exp.to_identifier(str(path), quoted=True), db=exp.to_identifier("parquet"))


def _alike(files: Sequence[Path]) -> bool:
    """Whether all files have the same columns: Spark goes by one of them, DuckDB unites them."""
    import pyarrow
    import pyarrow.parquet

    try:
        schemas = [pyarrow.parquet.read_schema(file).remove_metadata() for file in files]
    except (OSError, pyarrow.ArrowException):
        return False
    return all(schema.equals(schemas[0]) and _readable(schema) for schema in schemas)


def _readable(schema: object) -> bool:
    """Whether Spark has each column's type as DuckDB has it: neither unsigned numbers nor times of day, nor
    nanoseconds."""
    import pyarrow.types as types

    def known(kind: object) -> bool:
        if types.is_timestamp(kind):
            return str(getattr(kind, "unit", "")) != "ns"
        return not (types.is_unsigned_integer(kind) or types.is_time(kind) or types.is_float16(kind))

    return all(known(kind) for kind in getattr(schema, "types", ()))


def _whole(folder: Path, files: Sequence[Path]) -> bool:
    """Whether these are all that Spark finds in a folder, at any depth."""
    shown = {
        path
        for path in folder.rglob("*")
        if path.is_file() and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    }
    return shown == set(files)


def _partitioned_root(files: Sequence[Path]) -> Path | None:
    """The folder above those named `column=value`, where it holds these files and no others."""
    first = next((parent for parent in reversed(files[0].parents) if "=" in parent.name), None)
    root = first.parent if first is not None else None
    return root if root is not None and _whole(root, files) else None
