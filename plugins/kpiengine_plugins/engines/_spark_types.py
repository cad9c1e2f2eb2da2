"""Types of Spark's columns as DuckDB has them, and rows in types that Spark has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kpiengine.errors import EngineError

if TYPE_CHECKING:
    import pyarrow

_SAME = {
    "boolean": "BOOLEAN",
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "int": "INTEGER",
    "bigint": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "date": "DATE",
    "timestamp_ntz": "TIMESTAMP",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "binary": "BLOB",
}


def duckdb_type(name: str) -> str | None:
    """The DuckDB type of Spark's `name` (`decimal(10,2)`, `varchar(3)`); None where there is none like it."""
    if name.startswith("decimal("):
        return name.upper()
    if name.startswith(("varchar(", "char(", "string ")):
        return "VARCHAR"
    return _SAME.get(name)


def storable(rows: pyarrow.RecordBatchReader) -> pyarrow.Table:
    """The rows as a table, columns of types that Spark lacks in wider ones. EngineError for one that has no place."""
    import pyarrow

    schema = pyarrow.schema([pyarrow.field(field.name, _storable_type(field)) for field in rows.schema])

    def batches() -> Iterator[pyarrow.RecordBatch]:
        for batch in rows:
            columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
            yield pyarrow.RecordBatch.from_arrays(columns, schema=schema)

    return pyarrow.Table.from_batches(batches(), schema)


def _storable_type(field: pyarrow.Field) -> pyarrow.DataType:
    import pyarrow

    types: Any = pyarrow.types
    wider = {
        pyarrow.uint8(): pyarrow.int16(),
        pyarrow.uint16(): pyarrow.int32(),
        pyarrow.uint32(): pyarrow.int64(),
        pyarrow.uint64(): pyarrow.decimal128(20, 0),
        pyarrow.float16(): pyarrow.float32(),
        pyarrow.date64(): pyarrow.date32(),
        pyarrow.null(): pyarrow.string(),
        pyarrow.large_string(): pyarrow.string(),
        pyarrow.string_view(): pyarrow.string(),
    }
    kind = wider.get(field.type, field.type)
    if types.is_dictionary(kind):
        return wider.get(kind.value_type, kind.value_type)
    if types.is_timestamp(kind):
        return pyarrow.timestamp("us", kind.tz)
    if types.is_nested(kind) or types.is_time(kind) or types.is_interval(kind) or types.is_duration(kind):
        message = f'column "{field.name}" is {kind}, which Spark has no type for; map its parts under columns:'
        raise EngineError(message)
    return kind
