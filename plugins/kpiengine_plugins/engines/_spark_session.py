"""A session of a Spark Connect server."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from kpiengine.engine import EngineSession, Writing
from kpiengine.errors import DataError, DefinitionError, EngineError, listing, suggest
from kpiengine_plugins.engines._spark_errors import Server
from kpiengine_plugins.engines._spark_types import duckdb_type, storable

if TYPE_CHECKING:
    import pyarrow

_MEANING = {
    "spark.sql.ansi.enabled": "true",  # an overflow is an error
    "spark.sql.caseSensitive": "false",
    # Statements convert zones themselves, from UTC; timestamps are those without a zone.
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
"""Settings on which the meaning of statements stands; a project does not set them."""

_ON_SAIL = {
    # It divides by a 0 that lies under a NULL, and says so: a/NULLIF(b, 0) fails now and then.
    "spark.sql.ansi.enabled": "false",
    # It tells this in words ("3GB"), which the client does not read.
    "spark.sql.session.localRelationSizeLimit": str(3 * 1024**3),
}


def _imported() -> Any:
    """pyspark's client, which takes seconds to import and warns of pandas' version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyspark.sql.connect import session

    # It logs each failed statement as JSON, and warns of a lost connection; both are raised all the same.
    logging.getLogger("SQLQueryContextLogger").disabled = True
    warnings.filterwarnings("ignore", message=r"\[RETRIES_EXCEEDED\]")
    return session


def _retries() -> list[Any]:
    from pyspark.sql.connect.client.retries import DefaultPolicy

    # Some ten seconds in all; by default it is ten minutes.
    return [DefaultPolicy(max_retries=6, initial_backoff=50, backoff_multiplier=4, max_backoff=4000)]


class SparkEngineSession(EngineSession):
    """One session. `settings` are the project's own, by Spark's names; `shared_files` is the engine's option."""

    writes_urls = True

    def __init__(self, remote: str, settings: Mapping[str, Any], shared_files: bool) -> None:
        self.server = Server(remote)
        self.server.require_reachable()
        self.shared_files = shared_files
        self._lock = threading.RLock()
        self._stopped = False
        self._running = 0
        self._columns: dict[str, dict[str, str]] = {}
        module = _imported()
        with self.watched("no session can be had"):
            self.spark = module.SparkSession.builder.remote(remote).create()
            self.spark.client.set_retry_policies(_retries())
            self._version, catalog = self._fetched("SELECT version(), current_catalog()")
            self.is_sail = catalog == "sail"
            self._configure(settings)

    def _configure(self, settings: Mapping[str, Any]) -> None:
        for name, value in {**_MEANING, **(_ON_SAIL if self.is_sail else {})}.items():
            self.spark.conf.set(name, value)
        for name, value in settings.items():
            if name in _MEANING:
                told = f'the setting "{name}" of Spark is not to be set: it would change what metrics mean'
                raise DefinitionError(told)
            self.spark.conf.set(name, str(value).lower() if isinstance(value, bool) else str(value))

    def _fetched(self, statement: str) -> tuple[Any, ...]:
        table = self.spark.sql(statement)._to_table()[0]
        return tuple(column[0].as_py() for column in table.columns)

    @property
    def version(self) -> str:
        """The server's version: "4.3.0"; Sail's as "sail 0.7.2"."""
        number = str(self._version).split()[0]
        return f"sail {number}" if self.is_sail else number

    # -- tables

    def columns(self, table: exp.Expr) -> Mapping[str, str]:
        """The columns of a table or view, or of files ("parquet.`path`"), and their DuckDB types."""
        written = table.sql("spark")
        if written not in self._columns:
            statement = exp.select("*").from_(table.copy()).limit(0).sql("spark")
            try:
                with self.watched():
                    fields = self.spark.sql(statement).schema.fields
            except EngineError as error:
                if "cannot be found" in str(error) or "not found" in str(error).lower():
                    raise self._no_table(table, written) from error
                raise
            typed = {field.name: duckdb_type(field.dataType.simpleString()) for field in fields}
            self._columns[written] = {name: kind for name, kind in typed.items() if kind is not None}
        return self._columns[written]

    def _no_table(self, table: exp.Expr, written: str) -> DataError:
        schema = table.args.get("db")
        scope = f" IN {schema.sql('spark')}" if schema is not None else ""
        known: list[str] = []
        with suppress(EngineError), self.watched():
            found = self.spark.sql(f"SHOW TABLES{scope}")._to_table()[0].to_pylist()
            before = f"{schema.name}." if schema is not None else ""
            known = [f"{before}{row['tableName']}" for row in found]
        plain = written.replace("`", "")
        near = suggest(plain, known) or (f"; there are: {listing(known, 20)}" if known else "")
        return DataError(f"{self.server.name} has no table {plain}{near}")

    # -- statements

    def reader(self, statement: str) -> pyarrow.RecordBatchReader:
        """The rows as a stream, batch by batch as the server sends them."""
        import pyarrow

        with self.watched():
            frame = self.spark.sql(statement)
            parts = self.spark.client.to_table_as_iterator(frame._plan.to_proto(self.spark.client), {})
            told, first = None, None
            for part in parts:
                if isinstance(part, pyarrow.Table):
                    first = part
                    break
                told = part
        schema = first.schema if first is not None else _arrow_schema(told if told is not None else frame.schema)

        def batches() -> Iterator[pyarrow.RecordBatch]:
            if first is None:
                return
            yield from first.to_batches()
            with self.watched():
                for part in parts:
                    if isinstance(part, pyarrow.Table):
                        yield from part.cast(schema).to_batches()

        return pyarrow.RecordBatchReader.from_batches(schema, batches())

    def load(self, name: str, rows: pyarrow.RecordBatchReader) -> None:
        """Sends rows as a temporary view of the session: they go through this process's memory, so few are meant."""
        table = storable(rows)
        with self.watched(f"rows cannot be sent as {name}"):
            self.spark.createDataFrame(table).createOrReplaceTempView(name)

    def write(self, writing: Writing) -> bool:
        """Writes partitioned Parquet by the executors, where they and this machine see the same files."""
        from kpiengine_plugins.engines._spark_write import written_by_executors

        return written_by_executors(self, writing)

    @contextmanager
    def watched(self, what: str = "") -> Iterator[None]:
        """Errors of Spark's told as ours, and a stopped statement as KeyboardInterrupt."""
        from pyspark.errors import PySparkException

        self._running += 1
        try:
            yield
        except PySparkException as error:
            if self._stopped:
                raise KeyboardInterrupt from None
            raise self.server.failed(error, what) from error
        finally:
            self._running -= 1
            self._stopped = False

    def interrupt(self) -> None:
        """Stops what the session runs on the cluster."""
        if self._running:
            self._stopped = True
            with suppress(Exception):  # what runs may have ended meanwhile
                self.spark.interruptAll()

    def close(self) -> None:
        """Ends the session; temporary views are gone with it."""
        with suppress(Exception):  # the server may be gone before us, and is not waited for
            self.spark.client.set_retry_policies([])
            self.spark.stop()


def _arrow_schema(told: Any) -> pyarrow.Schema:
    """What Spark calls the columns of a result without rows, as Arrow."""
    from pyspark.sql.pandas.types import to_arrow_schema

    return to_arrow_schema(told, timezone="UTC")
