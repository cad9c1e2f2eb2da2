"""Exports written by executors: partitioned Parquet in a folder that they and this machine see, or in a store."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpiengine.engine import Writing
from kpiengine.errors import EngineError

if TYPE_CHECKING:
    import pyarrow

    from kpiengine_plugins.engines._spark_session import SparkEngineSession

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
"""The folder of rows whose partition column is NULL, as Hive, Spark and DuckDB name it."""

_UNSAFE = re.compile(r"[*?{}\[\]\\:%#`]")
"""What a path of Hadoop's, or a URL's, would not take literally."""


def written_by_executors(session: SparkEngineSession, writing: Writing) -> bool:
    """Writes the rows into the folder or URL `writing.place`; False where executors cannot, before any is written.

    A single file is not theirs to write, nor is a column whose type has to be looked at value by value.
    """
    url = _url(writing.place, session.shared_files)
    if url is None:
        return False
    with session.watched(f"export of {', '.join(writing.schema.names)}"):
        frame = session.spark.sql(writing.statement).toDF(*writing.schema.names)
        if not all(
            _fits(field.dataType.simpleString(), wanted.type)
            for field, wanted in zip(frame.schema.fields, writing.schema, strict=True)
        ):
            return False
        frame = frame.select(*_columns(writing.schema, writing.partition_by))
        observed = None
        if not session.is_sail:
            # The files of a partition come from few tasks, however the statement's last stage was split.
            frame = frame.hint("rebalance", *writing.partition_by)
            frame, observed = _observed(frame)
        writer = frame.write.mode("append").option("compression", "zstd").partitionBy(*writing.partition_by)
        writer.parquet(url)
        rows = observed.get["rows"] if observed is not None else None
    _require_whole(session, writing, rows)
    return True


def _url(place: Path | str, shared_files: bool) -> str | None:
    """What executors are told to write to; None where they would not write to what this machine reads."""
    if isinstance(place, Path):
        place = f"file://{place}" if place.is_dir() else ""
    scheme, _, path = place.partition(":")
    if not path or _UNSAFE.search(path) or (scheme == "file" and not shared_files):
        return None
    return place


def _observed(frame: Any) -> tuple[Any, Any]:
    """The frame, and what will tell how many rows went through it."""
    from pyspark.sql.connect import functions
    from pyspark.sql.connect.observation import Observation

    observation = Observation("kpi_export")
    return frame.observe(observation, functions.count(functions.lit(1)).alias("rows")), observation


def _fits(given: str, wanted: pyarrow.DataType) -> bool:
    """Whether each value of Spark's type `given` is one of the type wanted, or Spark says where one is not."""
    import pyarrow.types as types

    if types.is_floating(wanted):
        return given in ("float", "double", "void") or given.startswith("decimal") or given in _INTEGERS
    if types.is_integer(wanted):
        return given in _INTEGERS or given == "void"
    if types.is_decimal(wanted):
        found = re.fullmatch(r"decimal\(\d+,(\d+)\)", given)
        return given in _INTEGERS or given == "void" or (found is not None and int(found[1]) <= wanted.scale)
    if types.is_timestamp(wanted):
        return given in ("timestamp" if wanted.tz else "timestamp_ntz", "void")
    plain = {"date32[day]": "date", "string": "string", "bool": "boolean"}.get(str(wanted))
    return plain is not None and given in (plain, "void")


_INTEGERS = ("tinyint", "smallint", "int", "bigint")


def _columns(schema: pyarrow.Schema, partition_by: Sequence[str]) -> list[Any]:
    """The columns in the types wanted; those that name folders as text, in which NULL has its name."""
    from pyspark.sql.connect import functions

    made = []
    for field in schema:
        column = functions.col(f"`{field.name.replace('`', '``')}`")
        if field.name in partition_by:
            text = column.cast("string")
            empty = functions.raise_error(functions.lit(f'partition column "{field.name}" holds an empty text'))
            # A folder cannot be named by it: Spark would write it as NULL.
            column = functions.when(text == "", empty).otherwise(
                functions.coalesce(text, functions.lit(NULL_PARTITION))
            )
        else:
            column = column.cast(_spark_type(field.type))
        made.append(column.alias(field.name))
    return made


def _spark_type(wanted: pyarrow.DataType) -> str:
    import pyarrow.types as types

    if types.is_decimal(wanted):
        return f"decimal({wanted.precision},{wanted.scale})"
    if types.is_timestamp(wanted):
        return "timestamp" if wanted.tz else "timestamp_ntz"
    names = {"int8": "tinyint", "int16": "smallint", "int32": "int", "int64": "bigint", "date32[day]": "date"}
    return {**names, "bool": "boolean"}.get(str(wanted), str(wanted))


def _require_whole(session: SparkEngineSession, writing: Writing, rows: int | None) -> None:
    """Removes what Hadoop leaves beside the data. EngineError where not every row is in sight."""
    place = writing.place
    if isinstance(place, Path):
        for left in [place / "_SUCCESS", *place.rglob(".*.crc")]:
            left.unlink(missing_ok=True)
    seen = writing.seen()
    if rows is not None and seen != rows:
        cure = "give a path that its executors share with this machine, or set shared_files: false"
        if not str(place).startswith(("/", "file:")):
            cure = "its executors and this machine have to be given the same store"
        raise EngineError(f"{session.server.name} wrote {rows} rows to {place}, and {seen} of them are there: {cure}")
