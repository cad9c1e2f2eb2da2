"""Types of PostgreSQL's columns as DuckDB has them, and rows in types that PostgreSQL has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sqlglot import exp

from kpiengine.errors import EngineError

if TYPE_CHECKING:
    import pyarrow

_SAME = {
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "float4": "FLOAT",
    "float8": "DOUBLE",
    "bool": "BOOLEAN",
    "text": "VARCHAR",
    "varchar": "VARCHAR",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "time": "TIME",
    "interval": "INTERVAL",
    "bytea": "BLOB",
}
_AS_TEXT = ("bpchar", "name", "uuid", "json", "jsonb", "citext", "inet", "cidr", "xml", "char")


def duckdb_type(name: str, modifier: int, kind: str) -> tuple[str | None, bool]:
    """The DuckDB type of a column, None where there is none like it, and whether it is read cast to text.

    `name` and `modifier` are those of the system catalog (of a domain: those of its base), `kind` is `e` for an enum.
    A number without a precision is DOUBLE: no DECIMAL holds all of its values.
    """
    if name == "numeric":
        precision, scale = ((modifier - 4) >> 16) & 0xFFFF, (modifier - 4) & 0x7FF
        fits = modifier >= 0 and precision <= 38 and scale <= precision
        return (f"DECIMAL({precision},{scale})" if fits else "DOUBLE"), False
    if kind == "e" or name in _AS_TEXT:
        return "VARCHAR", True
    return _SAME.get(name), False


def storable(rows: pyarrow.RecordBatchReader) -> pyarrow.RecordBatchReader:
    """The same rows, columns of types that PostgreSQL lacks in wider ones. EngineError for one that has no place."""
    import pyarrow

    fields = [pyarrow.field(field.name, _storable_type(field)) for field in rows.schema]
    schema = pyarrow.schema(fields)

    def batches() -> Iterator[pyarrow.RecordBatch]:
        for batch in rows:
            columns = [column.cast(field.type) for column, field in zip(batch.columns, schema, strict=True)]
            yield pyarrow.RecordBatch.from_arrays(columns, schema=schema)

    return pyarrow.RecordBatchReader.from_batches(schema, batches())


def temporary_table(name: str, schema: pyarrow.Schema) -> exp.Create:
    """CREATE TEMPORARY TABLE for rows of these types. What DECIMAL says of its digits stays: `1.50` is written so."""
    columns = [
        exp.ColumnDef(this=exp.to_identifier(field.name, quoted=True), kind=exp.DataType.build(_sql_type(field.type)))
        for field in schema
    ]
    table = exp.Schema(this=exp.to_table(name), expressions=columns)
    return exp.Create(this=table, kind="TABLE", properties=exp.Properties(expressions=[exp.TemporaryProperty()]))


def _sql_type(kind: pyarrow.DataType) -> str:
    import pyarrow

    if pyarrow.types.is_decimal(kind):
        return f"DECIMAL({kind.precision}, {kind.scale})"
    if pyarrow.types.is_timestamp(kind):
        return "TIMESTAMPTZ" if kind.tz else "TIMESTAMP"
    return _SQL_TYPES.get(str(kind), "TEXT")


_SQL_TYPES = {
    "bool": "BOOLEAN",
    "int16": "SMALLINT",
    "int32": "INT",
    "int64": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "date32[day]": "DATE",
    "time64[us]": "TIME",
    "month_day_nano_interval": "INTERVAL",
    "binary": "VARBINARY",
    "large_binary": "VARBINARY",
}


def _storable_type(field: pyarrow.Field) -> pyarrow.DataType:
    import pyarrow

    wider = {
        pyarrow.int8(): pyarrow.int16(),
        pyarrow.uint8(): pyarrow.int16(),
        pyarrow.uint16(): pyarrow.int32(),
        pyarrow.uint32(): pyarrow.int64(),
        pyarrow.uint64(): pyarrow.decimal128(20, 0),
        pyarrow.date64(): pyarrow.date32(),
        pyarrow.null(): pyarrow.string(),
        pyarrow.timestamp("ns"): pyarrow.timestamp("us"),
        pyarrow.timestamp("ms"): pyarrow.timestamp("us"),
        pyarrow.timestamp("s"): pyarrow.timestamp("us"),
    }
    kind = wider.get(field.type, field.type)
    if pyarrow.types.is_dictionary(kind):
        return kind.value_type
    if pyarrow.types.is_nested(kind):
        message = f'column "{field.name}" is {kind}, which PostgreSQL has no type for; map its parts under columns:'
        raise EngineError(message)
    return kind
