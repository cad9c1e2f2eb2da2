"""A connection to chDB."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import chdb
from sqlglot import exp

from kpiengine.engine import EngineSession
from kpiengine.errors import DataError, EngineError, KpiError
from kpiengine_plugins.engines._clickhouse_types import duckdb_type, read_as

if TYPE_CHECKING:
    import pyarrow

_CODE = re.compile(r"Code: (\d+)\. DB::Exception: (.*)", re.DOTALL)
# Values that a type has no room for, that cannot be parsed, divisions by zero; no such table.
_OF_VALUES = frozenset({6, 27, 38, 41, 53, 69, 70, 72, 153, 321, 349, 407, 439})
_NO_TABLE = frozenset({60, 81})


class ClickHouseSession(EngineSession):
    """One connection; its temporary tables are seen by no other."""

    def __init__(self, path: str) -> None:
        self._lock = threading.RLock()
        self._scratch = tempfile.TemporaryDirectory(prefix="kpi-")
        try:
            self._connection: Any = chdb.connect(path)  # type: ignore[no-untyped-call]
        except Exception as error:
            raise EngineError(f"ClickHouse cannot open {path}: {_reason(str(error))}") from error

    @property
    def version(self) -> str:
        """ClickHouse's own version: "26.9.1.1"."""
        return str(self.rows(exp.select(exp.Anonymous(this="version")).sql("clickhouse"))[0][0])

    # -- tables

    def columns(self, table: exp.Expr) -> Mapping[str, str]:
        """The columns of a table, and their DuckDB types."""
        found = {name: duckdb_type(kind) for name, kind in self._described(table)}
        return {name: kind for name, kind in found.items() if kind is not None}

    def readable(self, table: exp.Expr) -> exp.Expr:
        """The table; where it has columns that are read as another type, a query over it."""
        casts = {name: read_as(kind) for name, kind in self._described(table) if duckdb_type(kind) is not None}
        if not any(casts.values()):
            return table
        shown = [exp.column(exp.to_identifier(name, quoted=True)) for name in casts]
        columns = [
            exp.alias_(exp.cast(column, kind), column.this.copy()) if kind else column
            for column, kind in zip(shown, casts.values(), strict=True)
        ]
        return exp.select(*columns).from_(table.copy()).subquery(table.name)

    def _described(self, table: exp.Expr) -> list[tuple[str, str]]:
        rows = self.rows(exp.Describe(this=table.copy(), kind="TABLE").sql("clickhouse"))
        return [(str(row[0]), str(row[1])) for row in rows]

    # -- statements

    def reader(self, statement: str) -> pyarrow.RecordBatchReader:
        """The rows as a stream."""
        import pyarrow

        with self._watched():
            stream = self._connection.send_query(statement, "ArrowStream")
            first = _batches(stream.fetch())
            if first is None:  # a stream without rows does not tell its columns
                return self._whole(statement)
        schema, batches = first

        def rest() -> Iterator[pyarrow.RecordBatch]:
            yield from batches
            while True:
                with self._watched():
                    more = _batches(stream.fetch())
                if more is None:
                    return
                yield from more[1]

        return pyarrow.RecordBatchReader.from_batches(schema, rest())

    def _whole(self, statement: str) -> pyarrow.RecordBatchReader:
        import pyarrow

        return pyarrow.ipc.open_stream(self._connection.query(statement, "ArrowStream").bytes())

    def load(self, name: str, rows: pyarrow.RecordBatchReader) -> None:
        """Puts rows into a Parquet file of the session's, and a temporary table over them."""
        import pyarrow.parquet

        path = Path(self._scratch.name) / f"{name}.parquet"
        with self._watched(f'rows of "{name}"'):
            pyarrow.parquet.write_table(rows.read_all(), path)
            files = exp.Anonymous(
                this="file", expressions=[exp.Literal.string(str(path)), exp.Literal.string("Parquet")]
            )
            query = exp.select("*").from_(exp.Table(this=files))
            kept = exp.Create(
                this=exp.to_table(name),
                kind="TABLE",
                expression=query,
                properties=exp.Properties(
                    expressions=[exp.TemporaryProperty(), exp.EngineProperty(this=exp.var("Memory"))]
                ),
            )
            self._connection.query(kept.sql("clickhouse"), "CSV")
        path.unlink()

    @contextmanager
    def _watched(self, what: str = "") -> Iterator[None]:
        """One thread at a time; the engine's errors told as ours."""
        with self._lock:
            try:
                yield
            except KpiError:
                raise
            except Exception as error:
                self._settle()
                raise _told(str(error), what) from error

    def _settle(self) -> None:
        """Reads off what a failed statement has left behind: the next one would be given it as its own answer."""
        for _ in range(2):
            try:
                self._connection.query("SELECT 1", "CSV")
            except Exception:
                continue

    def close(self) -> None:
        """Closes the connection; temporary tables are gone with it."""
        with self._lock:
            self._connection.close()
            self._scratch.cleanup()


def _batches(chunk: Any) -> tuple[pyarrow.Schema, list[pyarrow.RecordBatch]] | None:
    """The rows of one piece of a stream, each a whole stream of Arrow's; None behind the last."""
    import pyarrow

    data = chunk.bytes() if chunk is not None else b""
    if not data:
        return None
    with pyarrow.ipc.open_stream(data) as reader:
        return reader.schema, list(reader)


def _told(message: str, what: str) -> KpiError:
    found = _CODE.search(message)
    code = int(found[1]) if found else 0
    before = f"ClickHouse: {what}: " if what else "ClickHouse: "
    return (DataError if code in _OF_VALUES | _NO_TABLE else EngineError)(before + _reason(message))


def _reason(message: str) -> str:
    """The sentence that tells what is wrong, without where in ClickHouse's own pipeline."""
    found = _CODE.search(message)
    told = found[2] if found else message
    return re.split(r": while executing|: In scope|\. \([A-Z_]+\)|\n", told)[0].strip()
