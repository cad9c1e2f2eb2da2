"""A connection to PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import adbc_driver_manager
from adbc_driver_postgresql import dbapi
from sqlglot import exp

from kpiengine.engine import EngineSession
from kpiengine.errors import DataError, listing, suggest
from kpiengine_plugins.engines._postgres_errors import Server
from kpiengine_plugins.engines._postgres_types import duckdb_type, storable, temporary_table

if TYPE_CHECKING:
    import pyarrow

_COLUMNS = """
SELECT a.attname, COALESCE(b.typname, t.typname), CASE WHEN b.oid IS NULL THEN a.atttypmod ELSE t.typtypmod END,
    COALESCE(b.typtype, t.typtype)::text
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type AS b ON b.oid = t.typbasetype
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
_TABLES = """
SELECT CASE WHEN pg_table_is_visible(c.oid) THEN '' ELSE quote_ident(n.nspname) || '.' END || quote_ident(c.relname)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
ORDER BY 1
"""
_READ_ONLY = "SET default_transaction_read_only = on"
_WRITING = "SET default_transaction_read_only = off"


class _Stream:
    """The batches of a statement, taken from the server one by one; the rest at once when another one has to run."""

    def __init__(self, session: PostgresSession, cursor: Any) -> None:
        self._session = session
        self._cursor = cursor
        self._reader: Any = cursor.fetch_record_batch()
        self._kept: list[Any] = []
        self.schema = self._reader.schema

    def batches(self) -> Iterator[pyarrow.RecordBatch]:
        try:
            while (batch := self._next()) is not None:
                yield batch
        finally:
            self._session.end(self)

    def _next(self) -> pyarrow.RecordBatch | None:
        with self._session.watched():
            if self._kept:
                return self._kept.pop(0)
            return self._taken()

    def _taken(self) -> pyarrow.RecordBatch | None:
        if self._reader is None:
            return None
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            self.close()
            return None
        except BaseException:
            self.close()
            raise

    def keep_rest(self) -> None:
        """Takes what is left, so that the connection is free."""
        while (batch := self._taken()) is not None:
            self._kept.append(batch)

    def close(self) -> None:
        if self._reader is not None:
            self._reader = None
            self._cursor.close()

    @property
    def unread(self) -> bool:
        """Whether the server has more to give."""
        return self._reader is not None

    def cancel(self) -> None:
        self._cursor.adbc_cancel()


class PostgresSession(EngineSession):
    """One connection. Its transactions are read-only, save while rows are put into temporary tables."""

    def __init__(self, url: str, timezone: str) -> None:
        self._server = Server(url)
        self._lock = threading.RLock()
        self._open: _Stream | None = None
        self._running: Any = None
        self._stopped = False
        self._types: dict[str, list[tuple[str, str, bool]]] = {}
        try:
            self._connection = dbapi.connect(url, autocommit=True)
        except adbc_driver_manager.Error as error:
            raise self._server.unreachable(error) from None
        zone = exp.SetItem(this=exp.EQ(this=exp.var("TIMEZONE"), expression=exp.convert(timezone)))
        self._execute(exp.Set(expressions=[zone]).sql("postgres"))
        self._read_only(True)

    @property
    def version(self) -> str:
        """The server's version: "15.8"."""
        return str(self._query("SELECT current_setting('server_version')")[0][0]).split()[0]

    # -- tables

    def columns(self, table: exp.Expr) -> Mapping[str, str]:
        """The columns of a table or view, and their DuckDB types."""
        return {name: kind for name, kind, _ in self._columns(table)}

    def readable(self, table: exp.Expr) -> exp.Expr:
        """The table; where it has columns that are read as text, a query over it."""
        columns = self._columns(table)
        if not any(as_text for _, _, as_text in columns):
            return table
        shown = [exp.column(exp.to_identifier(name, quoted=True)) for name, _, _ in columns]
        cast = [
            exp.alias_(exp.cast(c, "TEXT"), c.this.copy()) if as_text else c
            for c, (_, _, as_text) in zip(shown, columns, strict=True)
        ]
        return exp.select(*cast).from_(table.copy()).subquery(table.name)

    def _columns(self, table: exp.Expr) -> list[tuple[str, str, bool]]:
        written = table.sql("postgres")
        if written not in self._types:
            rows = self._query(_COLUMNS, (written,))
            if not rows:
                raise self._no_table(written)
            typed = [(str(row[0]), *duckdb_type(str(row[1]), int(row[2]), str(row[3]))) for row in rows]
            self._types[written] = [(name, kind, as_text) for name, kind, as_text in typed if kind is not None]
        return self._types[written]

    def _no_table(self, written: str) -> DataError:
        known = [str(row[0]) for row in self._query(_TABLES)]
        near = suggest(written, known) or f"; there are: {listing(known, 20)}"
        return DataError(f"PostgreSQL{self._server.name} has no table {written}{near}")

    # -- statements

    def reader(self, statement: str) -> pyarrow.RecordBatchReader:
        """The rows as a stream. Where another statement runs before all are read, the rest is kept in memory."""
        import pyarrow

        with self.watched():
            self._free()
            cursor = self._connection.cursor()
            self._running = cursor
            try:
                cursor.execute(statement)
                stream = _Stream(self, cursor)
            except BaseException:
                cursor.close()
                raise
            self._open = stream
        return pyarrow.RecordBatchReader.from_batches(stream.schema, stream.batches())

    def load(self, name: str, rows: pyarrow.RecordBatchReader) -> None:
        """Puts rows in a temporary table, and lets the server count them."""
        with self.watched(f"rows cannot be put into a temporary table {name}"):
            self._free()
            self._read_only(False)
            try:
                with self._connection.cursor() as cursor:
                    self._running = cursor
                    stored = storable(rows)
                    cursor.execute(temporary_table(name, stored.schema).sql("postgres"))
                    cursor.adbc_ingest(name, stored, mode="append", temporary=True)
                    cursor.execute(exp.Analyze(this=exp.to_table(name)).sql("postgres"))
            finally:
                self._read_only(True)

    def _read_only(self, on: bool) -> None:
        self._execute(_READ_ONLY if on else _WRITING)

    def _execute(self, statement: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)

    def _query(self, statement: str, parameters: tuple[Any, ...] | None = None) -> list[tuple[Any, ...]]:
        with self.watched():
            self._free()
            with self._connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                found: list[tuple[Any, ...]] = cursor.fetchall()
                return found

    def _free(self) -> None:
        """Makes room for another statement: a connection gives the rows of one at a time."""
        if self._open is not None and self._open.unread:
            self._open.keep_rest()
        self._open = None

    @contextmanager
    def watched(self, what: str = "") -> Iterator[None]:
        """One thread at a time; the driver's errors told as ours, and a stopped statement as KeyboardInterrupt."""
        with self._lock:
            try:
                yield
            except (adbc_driver_manager.Error, OSError, ValueError) as error:
                if not self._stopped:
                    raise self._server.failed(error, what) from error
            finally:
                self._running = None
                stopped, self._stopped = self._stopped, False
            if stopped:  # the driver may say nothing, and give fewer rows
                if self._open is not None:
                    self._open.close()
                    self._open = None
                raise KeyboardInterrupt

    def end(self, stream: _Stream) -> None:
        """A stream that nobody reads on; what the server would still give is given up."""
        with self._lock:
            if stream.unread and self._open is stream:
                stream.cancel()
                stream.close()
            if self._open is stream:
                self._open = None

    def interrupt(self) -> None:
        """Stops what runs in the server."""
        running, stream = self._running, self._open
        if running is not None:
            self._stopped = True
            running.adbc_cancel()
        elif stream is not None and stream.unread:
            self._stopped = True
            stream.cancel()

    def close(self) -> None:
        """Closes the connection; temporary tables are gone with it."""
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None
            self._connection.close()
