"""A session of DataFusion's."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import datafusion
from datafusion import SessionConfig, SessionContext

from kpiengine.engine import EngineSession
from kpiengine.errors import DataError, EngineError, KpiError, listing, suggest
from kpiengine_plugins.engines._arrow_types import duckdb_type

if TYPE_CHECKING:
    import pyarrow
    from sqlglot import exp

_OF_VALUES = re.compile(
    r"cast error|overflow|divide by zero|division by zero|out of range|parser error: error parsing|parsing timestamp",
    re.IGNORECASE,
)
_LAYERS = r"DataFusion error|Optimizer rule '\w+' failed|Arrow error|Execution error"
_WRAPPING = re.compile(rf"^({_LAYERS})(: |\s*caused by\s*)")


class DataFusionSession(EngineSession):
    """A context with its tables. It has no way to stop a statement that runs."""

    def __init__(self, tables: Mapping[str, Path], threads: int | None) -> None:
        config = SessionConfig()
        if threads is not None:
            config = config.with_target_partitions(threads)
        self._context = SessionContext(config).enable_url_table()
        self._lock = threading.RLock()
        for name, path in tables.items():
            with self._watched(f'table "{name}"'):
                if not path.exists():
                    raise EngineError(f'table "{name}" of DataFusion is to be read from {path}, which is not there')
                self._context.register_parquet(name, str(path))

    @property
    def version(self) -> str:
        """The version of DataFusion's Python package, which is the engine's own."""
        return str(datafusion.__version__)

    def columns(self, table: exp.Expr) -> Mapping[str, str]:
        """The columns of a registered table."""
        name = table.name
        known = sorted(self._context.catalog().schema("public").names())
        if name not in known:
            near = suggest(name, known) or f"; there are: {listing(known, 20)}"
            raise DataError(
                f'DataFusion has no table "{name}"{near}; kpi.yaml names its tables under tables: of the engine'
            )
        with self._watched():
            schema = self._context.table(name).schema()
        found = {field.name: duckdb_type(field.type) for field in schema}
        return {name: kind for name, kind in found.items() if kind is not None}

    def reader(self, statement: str) -> pyarrow.RecordBatchReader:
        """The rows as a stream."""
        import pyarrow

        with self._watched():
            frame = self._context.sql(statement)
            schema, stream = frame.schema(), frame.execute_stream()

        def batches() -> Iterator[pyarrow.RecordBatch]:
            while True:
                with self._watched():
                    batch = next(stream, None)
                if batch is None:
                    return
                yield batch.to_pyarrow()

        return pyarrow.RecordBatchReader.from_batches(schema, batches())

    def load(self, name: str, rows: pyarrow.RecordBatchReader) -> None:
        """Keeps the rows in memory as a table."""
        table = rows.read_all()
        with self._watched(f'rows of "{name}"'):
            self._context.register_record_batches(name, [table.to_batches() or [_no_rows(table.schema)]])

    @contextmanager
    def _watched(self, what: str = "") -> Iterator[None]:
        """One thread at a time; the engine's errors told as ours."""
        with self._lock:
            try:
                yield
            except KpiError:
                raise
            except Exception as error:
                raise _told(str(error), what) from error

    def close(self) -> None:
        """Lets go of all tables."""
        self._context = SessionContext()


def _no_rows(schema: pyarrow.Schema) -> pyarrow.RecordBatch:
    import pyarrow

    return pyarrow.RecordBatch.from_pylist([], schema)


def _told(message: str, what: str) -> KpiError:
    """The first line that says something, without the names of the layers that it came through."""
    reason = message
    while found := _WRAPPING.match(reason):
        reason = reason[found.end() :]
    reason = next((line.strip() for line in reason.splitlines() if line.strip()), message)
    before = f"DataFusion: {what}: " if what else "DataFusion: "
    return (DataError if _OF_VALUES.search(message) else EngineError)(f"{before}{reason}")
