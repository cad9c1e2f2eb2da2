"""A connection to chDB."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import chdb
from sqlglot import exp

from kpiengine.errors import EngineError, KpiError
from kpiengine_plugins.engines._clickhouse_errors import failure, parameter, reason
from kpiengine_plugins.engines._clickhouse_tables import TablesOfClickHouse

if TYPE_CHECKING:
    import pyarrow

_KILL = "KILL QUERY WHERE query = {statement:String} ASYNC"


class ClickHouseSession(TablesOfClickHouse):
    """One connection; its temporary tables are seen by no other."""

    def __init__(self, path: str) -> None:
        self._lock = threading.RLock()
        self._path = path
        self._running: str | None = None
        self._stopped = False
        self._scratch = tempfile.TemporaryDirectory(prefix="kpi-")
        try:
            self._connection: Any = chdb.connect(path)  # type: ignore[no-untyped-call]
        except Exception as error:
            raise EngineError(f"ClickHouse cannot open {path}: {reason(str(error))}") from error

    @property
    def version(self) -> str:
        """ClickHouse's own version: "26.9.1.1"."""
        return str(self.rows(exp.select(exp.Anonymous(this="version")).sql("clickhouse"))[0][0])

    # -- statements

    def reader(self, statement: str) -> pyarrow.RecordBatchReader:
        """The rows as a stream."""
        import pyarrow

        with self._watched():
            self._running = statement
            stream = self._connection.send_query(statement, "ArrowStream")
            first = _batches(stream.fetch())
            if first is None:  # a stream without rows does not tell its columns
                return self._whole(statement)
        schema, batches = first

        def rest() -> Iterator[pyarrow.RecordBatch]:
            yield from batches
            while True:
                with self._watched():
                    self._running = statement
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
                if not self._stopped:
                    raise failure(str(error), what) from error
            finally:
                self._running = None
                stopped, self._stopped = self._stopped, False
            if stopped:
                raise KeyboardInterrupt

    def interrupt(self) -> None:
        """Stops what runs, by a connection beside this one."""
        running = self._running
        if running is None:
            return
        self._stopped = True
        other: Any = chdb.connect(self._path)  # type: ignore[no-untyped-call]
        try:
            other.query(_KILL, "CSV", params={"statement": parameter(running)})
        finally:
            other.close()

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
