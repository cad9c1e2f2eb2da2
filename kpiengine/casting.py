"""What another engine gives, in the names and types that DuckDB would have given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kpiengine.errors import EngineError

if TYPE_CHECKING:
    import pyarrow


def cast_rows(rows: pyarrow.RecordBatchReader, schema: pyarrow.Schema, engine: str) -> pyarrow.RecordBatchReader:
    """The same rows with the columns of `schema`, by their order. `engine` is named in what goes wrong.

    Raises EngineError, at once for another number of columns, while reading for a value that is not exactly one of
    the type wanted (a number too large, a fraction where there is none). A DOUBLE takes the nearest.
    """
    import pyarrow

    if len(rows.schema) != len(schema):
        raise EngineError(f"{engine} gave {len(rows.schema)} columns instead of {len(schema)}: please report this")

    def batches() -> Iterator[pyarrow.RecordBatch]:
        for batch in rows:
            columns = [_cast(batch.column(n), field, engine) for n, field in enumerate(schema)]
            yield pyarrow.RecordBatch.from_arrays(columns, schema=schema)

    return pyarrow.RecordBatchReader.from_batches(schema, batches())


def _cast(column: pyarrow.Array, field: pyarrow.Field, engine: str) -> pyarrow.Array:
    import pyarrow

    if isinstance(column, pyarrow.ExtensionArray):  # PostgreSQL's numbers: texts that bear their type's name
        column = column.storage
    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if column.type == field.type:
        return column
    try:
        made = column.cast(field.type, safe=not pyarrow.types.is_floating(field.type))
        if _loses(column.type, field.type) and not made.cast(column.type).equals(column):
            raise pyarrow.ArrowInvalid("a value would be cut")
    except pyarrow.ArrowException as error:
        reason = str(error).split("\n", 1)[0]
        told = (
            f'{engine} gave column "{field.name}" as {column.type}, which does not fit {field.type} exactly: {reason}'
        )
        raise EngineError(told) from error
    return made


def _loses(given: pyarrow.DataType, wanted: pyarrow.DataType) -> bool:
    """Whether Arrow casts with a loss that it does not tell: a time of day, digits of a float, a number as a truth."""
    import pyarrow.types as types

    return bool(
        (types.is_timestamp(given) and types.is_date(wanted))
        or (types.is_floating(given) and types.is_decimal(wanted))
        or (types.is_integer(given) and types.is_boolean(wanted))
    )
