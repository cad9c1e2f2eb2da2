"""Types of ClickHouse's columns as DuckDB has them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kpiengine.errors import DataError

if TYPE_CHECKING:
    import pyarrow

_SAME = {
    "Bool": "BOOLEAN",
    "Int8": "TINYINT",
    "Int16": "SMALLINT",
    "Int32": "INTEGER",
    "Int64": "BIGINT",
    "UInt8": "UTINYINT",
    "UInt16": "USMALLINT",
    "UInt32": "UINTEGER",
    "UInt64": "UBIGINT",
    "Float32": "FLOAT",
    "Float64": "DOUBLE",
    "String": "VARCHAR",
    "UUID": "VARCHAR",
    "Date": "DATE",
    "Date32": "DATE",
}
_WRAPPED = re.compile(r"^(Nullable|LowCardinality)\((.*)\)$")


def _bare(kind: str) -> str:
    while found := _WRAPPED.match(kind):
        kind = found[2]
    return kind


def duckdb_type(kind: str) -> str | None:
    """The DuckDB type of a column (`Nullable(Decimal(10, 2))`); None where there is none like it.

    A DateTime with a zone of its own is a point in time, another what it says.
    """
    bare = _bare(kind)
    decimal = re.match(r"^Decimal\((\d+), (\d+)\)$", bare)
    if decimal:
        return f"DECIMAL({decimal[1]},{decimal[2]})" if int(decimal[1]) <= 38 else None
    if bare.startswith("DateTime"):
        return "TIMESTAMP WITH TIME ZONE" if "'" in bare else "TIMESTAMP"
    if bare.startswith(("Enum", "FixedString")):
        return "VARCHAR"
    return _SAME.get(bare)


def read_as(kind: str) -> str | None:
    """The type that a column is cast to before anything else; None where it is read as it is.

    Dates and times are read in their widest types, which reach beyond 1970 and 2149, and enumerations as texts.
    """
    bare = _bare(kind)
    if bare == "Date":
        return "Date32"
    if bare.startswith("DateTime") and not bare.startswith("DateTime64(6") and "'" not in bare:
        return "DateTime64(6)"
    return "String" if bare.startswith(("Enum", "FixedString", "UUID")) else None


def column_type(field: pyarrow.Field) -> str:
    """The type of a column that takes such values. DataError where there is none like it."""
    import pyarrow.types as types

    kind = field.type
    plain = _OF_ARROW.get(str(kind))
    if types.is_decimal(kind):
        plain = f"Decimal({kind.precision}, {kind.scale})"
    elif types.is_timestamp(kind):
        plain = "DateTime64(6, 'UTC')" if kind.tz else "DateTime64(6)"
    if plain is None:
        raise DataError(
            f'ClickHouse has no column for "{field.name}", which is {kind}: cast it under columns:, to a text say'
        )
    return f"Nullable({plain})"


_OF_ARROW = {
    "bool": "Bool", "int8": "Int8", "int16": "Int16", "int32": "Int32", "int64": "Int64", "uint8": "UInt8",
    "uint16": "UInt16", "uint32": "UInt32", "uint64": "UInt64", "float": "Float32", "double": "Float64",
    "string": "String", "large_string": "String", "date32[day]": "Date32",
}  # fmt: skip
