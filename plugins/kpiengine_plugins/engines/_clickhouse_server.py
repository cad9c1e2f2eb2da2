"""A session with a ClickHouse server, over its HTTP interface."""

from __future__ import annotations

import logging
import re
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver.exceptions import Error
from sqlglot import exp
from urllib3.exceptions import HTTPError

from kpiengine.errors import EngineError, KpiError
from kpiengine_plugins.engines._clickhouse_errors import failure, reason
from kpiengine_plugins.engines._clickhouse_tables import TablesOfClickHouse
from kpiengine_plugins.engines._clickhouse_types import column_type

if TYPE_CHECKING:
    import pyarrow

logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())  # what it logs is told as an error

_KEPT = 3600
"""Seconds for which a server keeps a session that asks for nothing, temporary tables and all: the most that it does."""
_KILL = "KILL QUERY WHERE query_id = {id:String} ASYNC"


class _Unread:
    """The rows of a statement that are still to come, some of them perhaps kept here already."""

    def __init__(self, reader: pyarrow.RecordBatchReader, stream: Any) -> None:
        self._reader = reader
        self._stream = stream
        self._kept: list[pyarrow.RecordBatch] = []
        self.ended = False

    def taken(self) -> pyarrow.RecordBatch | None:
        if self._kept:
            return self._kept.pop(0)
        return None if self.ended else self._next()

    def keep_rest(self) -> None:
        while (batch := self._next()) is not None:
            self._kept.append(batch)

    def _next(self) -> pyarrow.RecordBatch | None:
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            self.close()
            return None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.ended = True
        self._stream.close()


class ServerSession(TablesOfClickHouse):
    """A session of a server's: temporary tables are its own, and one statement runs at a time."""

    def __init__(self, url: str, timeout: int) -> None:
        parts = urlsplit(url)
        self._named = f"ClickHouse at {parts.hostname}:{parts.port or (8443 if parts.scheme == 'https' else 8123)}"
        self._secret = unquote(parts.password or "")
        self._lock = threading.RLock()
        self._running: str | None = None
        self._open: _Unread | None = None
        self._stopped = False
        self._url, self._timeout = url, timeout
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise EngineError(
                "ClickHouse: the url of a server's HTTP interface is http://host:8123 or https://host:8443, with "
                "user:password@ before the host and /database behind the port where there are any"
            )
        try:
            settings = {"session_timeout": str(_KEPT)}
            self._client = self._connected(parts, session_id=f"kpi-{uuid.uuid4()}", settings=settings)
        except (Error, HTTPError, OSError) as error:
            raise self._unreachable(error) from None

    def _connected(self, parts: SplitResult, **more: Any) -> Any:
        return clickhouse_connect.get_client(
            interface=parts.scheme,
            host=parts.hostname,
            port=parts.port or (8443 if parts.scheme == "https" else 8123),
            username=unquote(parts.username or "default"),
            password=self._secret,
            database=unquote(parts.path.strip("/")) or None,
            compress=False,
            connect_timeout=10,
            send_receive_timeout=self._timeout,
            autogenerate_session_id=False,
            **more,
        )

    @property
    def version(self) -> str:
        """The server's version: "26.3.2.1"."""
        return str(self._client.server_version)

    # -- statements

    def reader(self, statement: str) -> pyarrow.RecordBatchReader:
        """The rows as a stream. Where another statement runs before all are read, the rest is kept in memory."""
        import pyarrow

        with self._watched():
            self._free()
            self._running = str(uuid.uuid4())
            stream = self._client.raw_stream(statement, settings={"query_id": self._running}, fmt="ArrowStream")
            arrow = pyarrow.ipc.open_stream(stream)
            unread = self._open = _Unread(arrow, stream)

        def batches() -> Iterator[pyarrow.RecordBatch]:
            while True:
                with self._watched():
                    batch = unread.taken()
                if batch is None:
                    return
                yield batch

        return pyarrow.RecordBatchReader.from_batches(arrow.schema, batches())

    def load(self, name: str, rows: pyarrow.RecordBatchReader) -> None:
        """Puts rows into a temporary table of the session's."""
        import pyarrow

        columns = [
            exp.ColumnDef(
                this=exp.to_identifier(field.name, quoted=True),
                kind=exp.DataType.build(column_type(field), dialect="clickhouse"),
            )
            for field in rows.schema
        ]
        table = exp.Create(
            this=exp.Schema(this=exp.to_table(name), expressions=columns),
            kind="TABLE",
            properties=exp.Properties(
                expressions=[exp.TemporaryProperty(), exp.EngineProperty(this=exp.var("Memory"))]
            ),
        )
        with self._watched(f'rows of "{name}"'), tempfile.TemporaryFile(prefix="kpi-") as file:
            self._free()
            with pyarrow.ipc.new_stream(file, rows.schema) as writer:
                for batch in rows:
                    writer.write_batch(batch)
            file.seek(0)
            self._client.command(table.sql("clickhouse"))
            self._client.raw_insert(name, insert_block=file, fmt="ArrowStream")

    def _free(self) -> None:
        """Makes room for another statement: a session runs one at a time."""
        if self._open is not None and not self._open.ended:
            self._open.keep_rest()
        self._open = None

    def interrupt(self) -> None:
        """Stops what runs in the server, by its id."""
        running = self._running
        if running is None:
            return
        self._stopped = True
        self._kill(running)

    def _kill(self, running: str) -> None:
        try:
            other = self._connected(urlsplit(self._url))
            try:
                other.command(_KILL, parameters={"id": running})
            finally:
                other.close()
        except (Error, HTTPError, OSError) as error:
            self._running = None
            raise self._failed(error, "the statement cannot be stopped") from error

    @contextmanager
    def _watched(self, what: str = "") -> Iterator[None]:
        """One thread at a time; errors told as ours, and a stopped statement as KeyboardInterrupt."""
        import pyarrow

        with self._lock:
            try:
                yield
            except KpiError:
                raise
            except (Error, HTTPError, OSError, pyarrow.ArrowException) as error:
                if not self._stopped:
                    raise self._failed(error, what) from error
            finally:
                if self._open is None or self._open.ended:
                    self._running = None
                stopped, self._stopped = self._stopped, False
            if stopped:
                if self._open is not None:
                    self._open.close()
                raise KeyboardInterrupt

    def close(self) -> None:
        """Ends the session; the server drops its temporary tables."""
        with self._lock:
            if self._open is not None:
                self._open.close()
            self._client.close()

    # -- errors

    def _unreachable(self, error: Exception) -> EngineError:
        text = self._safe(str(error))
        if not re.search(r"Code: \d+", text):
            text = _cause(text)
        return EngineError(f"{self._named} cannot be used: {reason(text)}; its url stands in kpi.yaml")

    def _failed(self, error: Exception, what: str) -> KpiError:
        text = self._safe(str(error))
        if re.search(r"Code: \d+", text):
            return failure(text, what)
        before = f"{what}: " if what else ""
        if "timed out" in text.lower():
            if self._running is not None:
                self._kill(self._running)
            waited = f"gave no answer within {self._timeout} s; timeout: in kpi.yaml takes more seconds"
            return EngineError(f"{before}{self._named} {waited}")
        return EngineError(f"{before}the connection to {self._named} was lost: {_cause(text)}")

    def _safe(self, text: str) -> str:
        return text.replace(self._secret, "***") if self._secret else text


def _cause(text: str) -> str:
    """What the network said, without the names of classes around it."""
    found = re.search(r"\[Errno -?\d+\] ([^')\"]+)|(timed out)|(CERTIFICATE_VERIFY_FAILED[^(]*)", text)
    told = next((group for group in found.groups() if group), None) if found else None
    return (told or text.strip().split("\n")[0])[:200].strip()
