"""A query that was compiled before: its statement, run by DuckDB with nothing else loaded.

Whatever does not go as it did before is left to the full way, which knows what to say of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kpiengine.cli.formats import writer
from kpiengine.cli.formats.plain import MOST_ROWS, WRITERS, PlainRows
from kpiengine.cli.output import Destination, Write, deliver, looks, stream
from kpiengine.cli.progress import Progress
from kpiengine.cli.state import State
from kpiengine.compiled import Asked, CompiledQuery

if TYPE_CHECKING:
    import duckdb
    import pyarrow


def answer_again(asked: Asked, query: CompiledQuery, where: Destination, state: State) -> bool:
    """Answers a question that was compiled before; false, with nothing written, where that does not go well."""
    import duckdb

    from kpiengine.connection import is_interrupt

    state.interrupts.watch()
    try:
        with _Session(query, state) as session, Progress("running", session.progress) as progress:
            at_first_rows = progress.stop if where.path is None else _nothing
            write = _plain(query, where, session, at_first_rows) or _by_arrow(query, where, session, at_first_rows)
            rows = deliver(write, where, state, progress)
    except (duckdb.Error, RuntimeError) as error:
        if state.interrupts.seen or is_interrupt(error):
            raise KeyboardInterrupt from None
        if not isinstance(error, duckdb.Error):
            raise
        return False
    if (rows > MOST_ROWS) != (query.rows > MOST_ROWS):
        asked.keep(replace(query, rows=rows))
    return True


class _Session:
    """A database as the query's first one was. What it spills to disk is removed at its end."""

    def __init__(self, query: CompiledQuery, state: State) -> None:
        from kpiengine.connection import connected, spill_folder

        self._spill = spill_folder()
        self._connection = connected(self._spill)
        self._running = self._connection
        self._stoppers = state.interrupts.stoppers
        self._stoppers.append(self.interrupt)
        for statement in query.before:
            self._connection.execute(statement)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own for a statement: one whose rows were not all read keeps its own busy."""
        self._running = self._connection.cursor()
        return self._running

    def progress(self) -> float:
        """How much of the running statement is done, 0 to 100; below 0 where DuckDB cannot tell."""
        return float(self._running.query_progress())

    def interrupt(self) -> None:
        """Stops what runs, from another thread."""
        self._running.interrupt()

    def __enter__(self) -> _Session:
        return self

    def __exit__(self, *error: object) -> None:
        self._stoppers.remove(self.interrupt)
        self._running.close()
        self._connection.close()
        if self._spill.exists():
            shutil.rmtree(self._spill, ignore_errors=True)


def _plain(
    query: CompiledQuery, where: Destination, session: _Session, at_first_rows: Callable[[], None]
) -> Write | None:
    """Writes few rows of simple types without Arrow; None where they are others."""
    write = WRITERS.get(where.format)
    if write is None or query.rows > MOST_ROWS:
        return None
    found = session.cursor().execute(query.statement)
    rows = PlainRows.of([(str(c[0]), str(c[1])) for c in found.description], found.fetchmany)
    if rows is None:
        return None
    at_first_rows()
    return lambda target: write(rows, looks(query.columns), target)


def _by_arrow(query: CompiledQuery, where: Destination, session: _Session, at_first_rows: Callable[[], None]) -> Write:
    """Writes any rows, as they stream in. The first have come when this returns."""
    import duckdb
    import pyarrow

    from kpiengine.connection import BATCH_ROWS

    write = writer(where.format)
    reader = session.cursor().sql(query.statement).to_arrow_reader(BATCH_ROWS)
    try:
        first = next(reader, None)
    except OSError as error:
        raise duckdb.Error(str(error)) from error
    told = pyarrow.RecordBatchReader.from_batches(reader.schema, _batches(first, reader))
    return lambda target: write(stream(told, at_first_rows), looks(query.columns), target)


def _batches(first: pyarrow.RecordBatch | None, rest: Any) -> Iterator[pyarrow.RecordBatch]:
    """Batches of a stream; what goes wrong in its middle is told as the full way tells it."""
    if first is None:
        return
    yield first
    try:
        yield from rest
    except OSError as error:
        from kpiengine.duckerrors import stream_error

        raise stream_error(str(error)) from error


def _nothing() -> None:
    """What happens at the first rows of a file."""
