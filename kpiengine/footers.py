"""What the footers of Parquet files say of their columns, read without a row, once per state of the files."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from sqlglot import exp

from kpiengine.connector import Relation, SqlRelation
from kpiengine.duck import DuckSession
from kpiengine.errors import KpiError
from kpiengine.plan.expressions import column
from kpiengine.records import dataclass
from kpiengine.statistics import Bounds, Value

MOST_FILES = 256
"""Of more files nothing is said: opening each costs about a millisecond."""

_INTEGERS = frozenset(["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"])

Identity = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class _Chunk:
    """What one row group says of one column."""

    physical: str
    low: str | None
    high: str | None
    nulls: int | None
    values: int
    distinct: int | None


class Footers:
    """Reads footers of the files of relations with the embedded engine, and keeps what they said."""

    def __init__(self, session: DuckSession) -> None:
        self.session = session
        self._rows: dict[Identity, int | None] = {}
        self._chunks: dict[Identity, dict[str, tuple[_Chunk, ...]]] = {}
        self._lock = threading.Lock()

    def rows(self, relation: Relation) -> int | None:
        """The number of rows; None where the relation is no Parquet, or cannot be read."""
        files = _identity(relation)
        if files is None:
            return None
        with self._lock:
            if files not in self._rows:
                told = self._ask("parquet_file_metadata", [exp.Sum(this=column("num_rows"))], files)
                self._rows[files] = int(told[0][0]) if told and told[0][0] is not None else None
            return self._rows[files]

    def bounds(self, relation: Relation, name: str, kind: str) -> Bounds | None:
        """The bounds of the raw column `name`, of the DuckDB type `kind`."""
        chunks = self._of(relation, name)
        return _bounds(kind, chunks) if chunks else None

    def distinct(self, relation: Relation, name: str, kind: str) -> int | None:
        """About how many values the raw column has: what dictionaries say, or the width of its bounds."""
        chunks = self._of(relation, name)
        rows = self.rows(relation)
        if not chunks or rows is None:
            return None
        told = [c.distinct for c in chunks]
        if all(d is not None for d in told):
            # One row group's dictionary is as good as any's for a few values; many are other ones in each group.
            widest = max(d for d in told if d is not None)
            return min(widest if widest < 1000 else sum(d for d in told if d is not None), rows)
        values = width(_bounds(kind, chunks))
        return None if values is None else min(values, rows)

    def _of(self, relation: Relation, name: str) -> tuple[_Chunk, ...]:
        """What each row group says of a column; nothing where one does not have it, or has two of that name."""
        files = _identity(relation)
        if files is None or any(name.lower() in _folder_columns(path) for path, _, _ in files):
            return ()
        with self._lock:
            if files not in self._chunks:
                self._chunks[files] = self._read(files)
            return self._chunks[files].get(name, ())

    def _read(self, files: Identity) -> dict[str, tuple[_Chunk, ...]]:
        asked = (
            "file_name", "row_group_id", "path_in_schema", "type", "stats_min_value", "stats_max_value",
            "stats_null_count", "num_values", "stats_distinct_count",
        )  # fmt: skip
        rows = self._ask("parquet_metadata", [column(c) for c in asked], files)
        groups = {(row[0], row[1]) for row in rows}
        found: dict[str, list[_Chunk]] = {}
        seen: dict[str, set[tuple[object, object]]] = {}
        for file, group, name, *told in rows:
            found.setdefault(name, []).append(_Chunk(*told))
            seen.setdefault(name, set()).add((file, group))
        return {n: tuple(c) for n, c in found.items() if len(c) == len(groups) == len(seen[n])}

    def _ask(self, function: str, columns: Sequence[exp.Expr], files: Identity) -> list[tuple[Any, ...]]:
        paths = exp.Array(expressions=[exp.Literal.string(_escaped(path)) for path, _, _ in files])
        call = exp.Anonymous(this=function, expressions=[paths])
        try:
            return self.session.rows(exp.select(*columns).from_(call).sql("duckdb"))
        except KpiError:
            return []  # the query itself meets the same file, and says what is wrong with it


def _identity(relation: Relation) -> Identity | None:
    """The files of a Parquet relation with size and time of change; None for any other relation."""
    if not isinstance(relation, SqlRelation) or not isinstance(relation.expression, exp.ReadParquet):
        return None
    if not 0 < len(relation.files) <= MOST_FILES:
        return None
    try:
        found = [(str(path), path.stat()) for path in relation.files]
    except OSError:
        return None
    return tuple((path, stat.st_size, stat.st_mtime_ns) for path, stat in found)


def _folder_columns(path: str) -> frozenset[str]:
    """Columns that folders name (`month=2026-01/`): they hide those of the files."""
    return frozenset(part.split("=", 1)[0].lower() for part in Path(path).parts[:-1] if "=" in part)


def _escaped(path: str) -> str:
    """A path as a pattern that matches nothing else."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)


def _bounds(kind: str, chunks: Sequence[_Chunk]) -> Bounds | None:
    """The bounds of a column from all its row groups; None where one does not tell."""
    lows: list[Any] = []
    highs: list[Any] = []
    nulls = False
    for chunk in chunks:
        nulls = nulls or chunk.nulls != 0
        if chunk.nulls is not None and chunk.nulls == chunk.values:
            continue
        low, high = _value(kind, chunk, chunk.low), _value(kind, chunk, chunk.high)
        if low is None or high is None:
            return None
        lows.append(low)
        highs.append(high)
    return Bounds(min(lows), max(highs), nulls) if lows else Bounds(None, None, nulls)


def _value(kind: str, chunk: _Chunk, text: str | None) -> Value | None:
    """The value that a footer's text is. INT96 and floats have no order to rely on, and texts may be cut."""
    if text is None or chunk.physical == "INT96":
        return None
    try:
        if kind in _INTEGERS:
            return int(text)
        if kind.startswith("DECIMAL"):
            return Decimal(text)
        if kind == "DATE":
            return dt.date.fromisoformat(text)
        if kind == "TIMESTAMP":
            return _zoned(text, False)
        if kind == "TIMESTAMP WITH TIME ZONE":
            return _zoned(text, True)
    except (ValueError, InvalidOperation):  # "infinity", or a year that Python has not
        return None
    return None


def _zoned(text: str, zoned: bool) -> dt.datetime | None:
    moment = dt.datetime.fromisoformat(text)
    return moment if (moment.tzinfo is not None) == zoned else None


def bounds_of(table: Any, name: str, kind: str) -> Bounds | None:
    """The bounds of a column of an Arrow table, of the DuckDB type `kind`."""
    import pyarrow.compute

    if kind not in _INTEGERS and kind != "DATE" and not kind.startswith(("DECIMAL", "TIMESTAMP")):
        return None
    found = pyarrow.compute.min_max(table.column(name)).as_py()
    low, high = found["min"], found["max"]
    if not all(value is None or type(value) in (int, Decimal, dt.date, dt.datetime) for value in (low, high)):
        return None
    return Bounds(_in_utc(low), _in_utc(high), table.column(name).null_count > 0)


def _in_utc(value: Any) -> Any:
    return value.astimezone(dt.UTC) if isinstance(value, dt.datetime) and value.tzinfo is not None else value


def width(bounds: Bounds | None) -> int | None:
    """How many values there are from bound to bound, of what is counted in whole steps."""
    if bounds is None:
        return None
    low, high = bounds.low, bounds.high
    if isinstance(low, int) and isinstance(high, int):
        return high - low + 1
    if isinstance(low, dt.datetime) or isinstance(high, dt.datetime):
        return None
    if isinstance(low, dt.date) and isinstance(high, dt.date):
        return (high - low).days + 1
    return None
