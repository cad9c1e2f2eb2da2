"""The shape of a CSV file: delimiter, header, lines to skip; told by its beginning."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

from kpiengine.errors import DataError
from kpiengine.records import dataclass
from kpiengine_connectors import _text
from kpiengine_connectors._names import column_names

if TYPE_CHECKING:
    from kpiengine.connector import SourceContext

DELIMITERS = (",", ";", "\t", "|")
_SAMPLED = 200


@dataclass(frozen=True)
class CsvOptions:
    """The options of a source, as given."""

    delimiter: str | None = None
    header: bool = True
    skip: int = 0
    quote: str = '"'
    escape: str | None = None
    decimal: str = "."
    thousands: str | None = None
    encoding: str | None = None
    null: tuple[str, ...] = ()
    types: tuple[tuple[str, str], ...] = ()
    dateformat: str | None = None
    timestampformat: str | None = None
    short_rows: bool = False


@dataclass(frozen=True)
class Shape:
    """What files have to have in common to be read by one call."""

    delimiter: str
    header: bool
    skip: int
    names: tuple[str, ...]
    latin: bool = False


def shape_of(path: Path, options: CsvOptions, context: SourceContext) -> tuple[Shape, Path]:
    """A file's shape, and itself or the copy of it that DuckDB reads.

    Soundly it reads UTF-8. It knows UTF-16 too, but not both orders of its bytes, and Latin-1 without 80–9F.
    """
    data = _text.head(path, context)
    encoding = _text.encoding_of(data, options.encoding, path, context)
    text = _text.decoded(data, encoding, path, context)
    lines = text.splitlines(keepends=True)
    skip = options.skip
    while skip < len(lines) and not lines[skip].strip():
        skip += 1  # DuckDB would take a blank line for the header
    if skip >= len(lines):
        raise DataError(f'source "{context.source}": {path} has nothing after the {options.skip} lines to skip')
    whole = len(data) < _text.HEAD_BYTES
    body = "".join(lines[skip:])
    delimiter = options.delimiter or _delimiter(body, options, path, whole)
    records = _records(body, delimiter, options, whole)
    first = records[0] if records else []
    names = column_names(first if options.header else [None] * len(first))
    latin = encoding == "iso8859-1" and not _packed(path) and not _text.holds(path, 0x80, 0x9F)
    readable = path if latin or encoding in ("utf-8", "ascii") else _text.utf8_copy(path, encoding, context)
    return Shape(delimiter, options.header, skip, tuple(names), latin), readable


def _packed(path: Path) -> bool:
    return path.suffix.lower() in (".gz", ".zst")


def _delimiter(body: str, options: CsvOptions, path: Path, whole: bool) -> str:
    """The delimiter that gives most rows as many fields as the first one has, and the most fields."""
    if any(ending.lower() in (".tsv", ".tab") for ending in path.suffixes):
        return "\t"
    best, best_score = ",", (0.0, 1)
    for delimiter in DELIMITERS:
        records = _records(body, delimiter, options, whole)
        fields = len(records[0]) if records else 0
        if fields > 1:
            alike = sum(len(record) == fields for record in records) / len(records)
            best, best_score = max((best, best_score), (delimiter, (alike, fields)), key=lambda found: found[1])
    return best


def _records(body: str, delimiter: str, options: CsvOptions, whole: bool) -> list[list[str]]:
    escape = options.escape if options.escape and options.escape != options.quote else None
    reader = csv.reader(
        io.StringIO(body, newline=""),
        delimiter=delimiter,
        quotechar=options.quote or None,
        escapechar=escape,
        doublequote=escape is None,
        quoting=csv.QUOTE_MINIMAL if options.quote else csv.QUOTE_NONE,
    )
    records: list[list[str]] = []
    try:
        for record in reader:
            if record:
                records.append(record)
            if len(records) > _SAMPLED:
                return records
    except csv.Error:
        return records
    return records if whole or len(records) < 2 else records[:-1]  # the last one is cut
