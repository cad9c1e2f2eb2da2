"""What another engine gives, in the names and types that DuckDB would have given."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import TYPE_CHECKING, Any

from kpiengine.errors import EngineError

if TYPE_CHECKING:
    import pyarrow


def cast_rows(rows: pyarrow.RecordBatchReader, schema: pyarrow.Schema, engine: str) -> pyarrow.RecordBatchReader:
    """The same rows with the columns of `schema`, by their order. `engine` is named in what goes wrong.

    Raises EngineError, at once for another number of columns, while reading for a value that is not exactly one of
    the type wanted (a number too large, a fraction where there is none).
    """
    import pyarrow

    if len(rows.schema) != len(schema):
        raise EngineError(
            f"{engine} gave {len(rows.schema)} columns where there are {len(schema)}: this is a bug of ours"
        )

    def batches() -> Iterator[pyarrow.RecordBatch]:
        for batch in rows:
            columns = [_cast(batch.column(n), field, engine) for n, field in enumerate(schema)]
            yield pyarrow.RecordBatch.from_arrays(columns, schema=schema)

    return pyarrow.RecordBatchReader.from_batches(schema, batches())


def _cast(column: pyarrow.Array, field: pyarrow.Field, engine: str) -> pyarrow.Array:
    import pyarrow
    import pyarrow.compute

    kind = field.type
    if isinstance(column, pyarrow.ExtensionArray):  # PostgreSQL's numbers: texts that bear their type's name
        column = column.storage
    if pyarrow.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if column.type == kind:
        return column
    try:
        if pyarrow.types.is_decimal(kind):
            return _decimals(column, kind)
        if pyarrow.types.is_floating(kind):
            return column.cast(kind, safe=False)  # from a decimal: the nearest
        return column.cast(kind)
    except (pyarrow.ArrowException, ArithmeticError) as error:
        reason = str(error).split("\n", 1)[0]
        message = f'{engine} gave column "{field.name}" as {column.type}, which does not fit {kind} exactly: {reason}'
        raise EngineError(message) from error


def _decimals(column: pyarrow.Array, kind: Any) -> pyarrow.Array:
    """Decimals with just so many digits behind the point; zeros more or fewer are no loss."""
    import pyarrow

    if not pyarrow.types.is_string(column.type) and not pyarrow.types.is_large_string(column.type):
        return column.cast(kind)
    step = Decimal(1).scaleb(-kind.scale)
    values = [None if text is None else _exactly(Decimal(text), step) for text in column.to_pylist()]
    return pyarrow.array(values, kind)


def _exactly(value: Decimal, step: Decimal) -> Decimal:
    return value.quantize(step, context=Context(prec=76, traps=[Inexact, InvalidOperation]))
