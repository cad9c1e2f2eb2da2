"""Whether two results are the same: names of columns, order of rows, and values by what they mean."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

CLOSE = 1e-9
"""How far two floating point numbers may be apart, relative to the larger; near zero, absolutely a thousandth of it."""


def same_value(left: Any, right: Any, close: float = CLOSE) -> bool:
    """Whether two values are equal; floats within `close`, everything else exactly, however many digits a type has."""
    if left is None or right is None:
        return left is right
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, int | float | Decimal) and isinstance(right, int | float | Decimal):
        if isinstance(left, float) or isinstance(right, float):
            return math.isclose(left, right, rel_tol=close, abs_tol=close / 1000)
        return Decimal(left) == Decimal(right)
    return bool(_moment(left) == _moment(right))


def _moment(value: Any) -> Any:
    """A timestamp that is a midnight may be written as a date; a zone is told by UTC."""
    if isinstance(value, dt.datetime):
        return value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
    if isinstance(value, dt.date):
        return dt.datetime.combine(value, dt.time())
    return value


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    """A table's names of columns, then its rows."""
    columns = [column.to_pylist() for column in table.columns]
    return [tuple(table.column_names), *(zip(*columns, strict=True) if columns else [])]


def difference(actual: Sequence[Sequence[Any]], expected: Sequence[Sequence[Any]], close: float = CLOSE) -> str | None:
    """What differs, as a text to show, or None where nothing does. The first row of each names the columns."""
    if list(actual[0]) != list(expected[0]):
        return f"columns: {list(actual[0])}, expected: {list(expected[0])}"
    wrong = [
        n
        for n, (got, wanted) in enumerate(zip(actual[1:], expected[1:], strict=False), 1)
        if len(got) != len(wanted) or not all(same_value(*pair, close) for pair in zip(got, wanted, strict=True))
    ]
    if not wrong and len(actual) == len(expected):
        return None
    count = f"{len(actual) - 1} rows, expected: {len(expected) - 1}"
    first = wrong[0] if wrong else min(len(actual), len(expected))
    return f"{count}; first difference in row {first}\n{_shown(actual, first)}\nexpected:\n{_shown(expected, first)}"


def _shown(rows: Sequence[Sequence[Any]], marked: int, most: int = 40) -> str:
    lines = [[_text(value) for value in row] for row in rows]
    widths = [max((len(line[i]) for line in lines if i < len(line)), default=0) for i in range(len(lines[0]))]
    return "\n".join(_line(n == marked, line, widths) for n, line in enumerate(lines[: marked + most]))


def _line(marked: bool, cells: Iterable[str], widths: Sequence[int]) -> str:
    return ("> " if marked else "  ") + "  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=False)).rstrip()


def _text(value: Any) -> str:
    return "NULL" if value is None else str(value)
