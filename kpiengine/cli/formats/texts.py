"""Arrow arrays as texts: exact, ISO, NULL staying NULL; whole columns at once, so that a million rows are no matter."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from kpiengine.cli.formats import Rows

CHUNK_ROWS = 65_536
"""Rows that are turned into text at a time."""


def chunks(stream: Rows, rows: int = CHUNK_ROWS) -> Iterator[pa.RecordBatch]:
    """The batches of a stream, none longer than `rows`, the empty ones left out."""
    for batch in stream.batches:
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


def is_nested(kind: pa.DataType) -> bool:
    """Whether values of this type have parts (lists, structs, maps)."""
    return bool(pa.types.is_nested(kind)) and not pa.types.is_dictionary(kind)


def is_number(kind: pa.DataType) -> bool:
    """Whether values of this type are numbers."""
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether values of this type are texts."""
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def decoded(array: pa.Array) -> pa.Array:
    """The array without dictionary encoding (DuckDB's ENUM comes with it)."""
    if pa.types.is_dictionary(array.type):
        return array.cast(array.type.value_type)
    return array


def texts(array: pa.Array) -> pa.Array:
    """Each value as text: plain digits, ISO dates and times, base64 for bytes, JSON for what has parts."""
    array = decoded(array)
    kind = array.type
    types = pa.types
    if is_text(kind):
        return array.cast(pa.string())
    if types.is_decimal(kind):
        return _decimals(array)
    if types.is_temporal(kind) and not (types.is_duration(kind) or types.is_interval(kind)):
        return _times(array)
    if types.is_float16(kind):
        array = array.cast(pa.float32())
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_null(kind):
        return array.cast(pa.string())
    return pa.array([None if value is None else plain(value) for value in array.to_pylist()], pa.string())


def plain(value: Any) -> str:
    """One value of a type that Arrow does not write itself, as text."""
    if isinstance(value, str):
        return value
    found = fragment(value)
    return json.loads(found) if found.startswith('"') else found


def fragment(value: Any) -> str:
    """One Python value, as Arrow gives it, as JSON: decimals with all their digits, NaN and infinity as null."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else "null"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{fragment(str(key))}: {fragment(part)}" for key, part in value.items()) + "}"
    if isinstance(value, pa.MonthDayNano):
        return f'"{_span(value.months, value.days, value.nanoseconds / 1e9)}"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(fragment(part) for part in value) + "]"
    if isinstance(value, dt.timedelta):
        return f'"{_span(0, value.days, value.seconds + value.microseconds / 1e6)}"'
    if isinstance(value, dt.date | dt.time):
        return f'"{value.isoformat()}"'
    if isinstance(value, bytes):
        return f'"{base64.b64encode(value).decode()}"'
    return json.dumps(value)


def fragments(array: pa.Array) -> pa.Array:
    """Each value as JSON, `null` where there is none."""
    array = decoded(array)
    kind = array.type
    types = pa.types
    if types.is_floating(kind):
        wide = array.cast(pa.float64()) if types.is_float16(kind) else array
        found = pc.if_else(pc.is_finite(wide), texts(wide), None)
    elif is_number(kind) or types.is_boolean(kind) or types.is_null(kind):
        found = texts(array)
    elif types.is_temporal(kind) and not (types.is_duration(kind) or types.is_interval(kind)):
        found = pc.binary_join_element_wise('"', texts(array), '"', "")
    elif is_text(kind):
        encode = json.encoder.encode_basestring
        found = pa.array([None if value is None else encode(value) for value in array.to_pylist()], pa.string())
    else:
        found = pa.array([None if value is None else fragment(value) for value in array.to_pylist()], pa.string())
    return found.fill_null("null")


def _decimals(array: pa.Array) -> pa.Array:
    found = array.cast(pa.string())
    if pc.any(pc.match_substring(found, "E")).as_py():  # 1.0E-7 for DECIMAL(38, 8)
        return pa.array([None if value is None else format(value, "f") for value in array.to_pylist()], pa.string())
    return found


def _times(array: pa.Array) -> pa.Array:
    found = array.cast(pa.string())
    if pa.types.is_date(array.type):
        return pc.utf8_slice_codeunits(found, 0, 10) if pa.types.is_date64(array.type) else found
    found = pc.replace_substring_regex(found, r"\.0+([^0-9]|$)", r"\1")  # whole seconds need no fraction
    found = pc.replace_substring_regex(found, r"(\.\d*[1-9])0+", r"\1")
    if pa.types.is_timestamp(array.type):
        found = pc.replace_substring(found, " ", "T", max_replacements=1)
        if array.type.tz is not None:
            found = pc.replace_substring_regex(found, r"([+-]\d\d)(\d\d)$", r"\1:\2")
    return found


def _span(months: int, days: int, seconds: float) -> str:
    """An ISO 8601 duration."""
    date = (f"{months}M" if months else "") + (f"{days}D" if days else "")
    time = f"T{seconds:.9f}".rstrip("0").rstrip(".") + "S" if seconds or not date else ""
    return f"P{date}{time}"
