"""DuckDB, embedded: one database in memory per project, a cursor per query, its errors in a user's words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp

from kpiengine.errors import DataError, EngineError, KpiError
from kpiengine.model import TypeFault
from kpiengine.model.source import quoted

BATCH_ROWS = 100_000


class DuckSession:
    """A DuckDB database in memory. `settings` are DuckDB's own (`memory_limit`, `threads`, `temp_directory`)."""

    def __init__(self, root: Path, timezone: str, settings: Mapping[str, Any] | None = None) -> None:
        self.root = root
        self.timezone = timezone
        config = {"autoinstall_known_extensions": False, "autoload_known_extensions": False, **dict(settings or {})}
        with engine_errors():
            self._connection = duckdb.connect(":memory:", config=config)
        self._arrow: dict[str, Any] = {}
        self._attached: dict[str, Path] = {}
        self._running: set[duckdb.DuckDBPyConnection] = set()
        self._typing: duckdb.DuckDBPyConnection | None = None

    def close(self) -> None:
        """Closes the database; what it spilled to disk is removed."""
        for cursor in list(self._running):
            cursor.close()
        self._running.clear()
        if self._typing is not None:
            self._typing.close()
        self._connection.close()

    def interrupt(self) -> None:
        """Stops what runs, from another thread."""
        for cursor in list(self._running):
            cursor.interrupt()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection for one query, in the project's time zone, with the bound Arrow objects in sight."""
        cursor = self._connection.cursor()
        cursor.execute("SET TimeZone = ?", [self.timezone])
        cursor.execute("SET python_enable_replacements = false")
        cursor.execute("SET file_search_path = ?", [str(self.root).replace(",", "\\,")])
        for name, value in self._arrow.items():
            cursor.register(name, value)
        return cursor

    def bind(self, name: str, value: Any) -> None:
        """Makes an Arrow table, reader or dataset readable as a table of that name."""
        self._arrow[name] = value

    def attach(self, name: str, path: Path) -> None:
        """Attaches a database file, read-only, once."""
        if self._attached.get(name) == path:
            return
        statement = exp.Attach(
            this=exp.alias_(exp.Literal.string(str(path)), exp.to_identifier(name, quoted=True)),
            expressions=[exp.AttachOption(this=exp.var("READ_ONLY"))],
        )
        with engine_errors(f'database "{path}" cannot be attached'):
            self._connection.execute(statement.sql("duckdb"))
        self._attached[name] = path

    # -- what things are

    def columns(self, relation: exp.Expr) -> dict[str, str]:
        """The columns of what stands in a FROM clause, and their types, without reading its rows."""
        return self.query_columns(exp.select("*").from_(relation.copy()))

    def query_columns(self, query: exp.Query) -> dict[str, str]:
        """The columns of a query and their types, without running it."""
        cursor = self.cursor()
        try:
            described = cursor.execute(exp.Describe(this=query).sql("duckdb")).fetchall()
        finally:
            cursor.close()
        return {str(row[0]): str(row[1]) for row in described}

    def types(self, columns: Mapping[str, str], expressions: Sequence[exp.Expr]) -> list[str]:
        """The type of each expression over columns of these types. TypeFault for the first that does not bind."""
        if not expressions:
            return []
        try:
            return self._types(columns, expressions)
        except duckdb.Error:
            pass
        found: list[str] = []
        for index, expression in enumerate(expressions):
            try:
                found += self._types(columns, [expression])
            except duckdb.Error as error:
                raise TypeFault(index, plain_reason(str(error))) from None
        return found

    def _types(self, columns: Mapping[str, str], expressions: Sequence[exp.Expr]) -> list[str]:
        named = [exp.alias_(e.copy(), f"e{n}") for n, e in enumerate(expressions)]
        query = exp.select(*named).from_(empty(columns).subquery("t"))
        if self._typing is None:  # one for all: it sees no tables, and a cursor a question costs more than the answer
            self._typing = self._connection.cursor()
        described = self._typing.execute(exp.Describe(this=query).sql("duckdb")).fetchall()
        return [str(row[1]) for row in described]

    # -- running

    def reader(self, statement: str) -> Any:
        """The rows of a statement as a stream of Arrow record batches; the cursor lives as long as the reader."""
        import pyarrow

        cursor = self.cursor()
        self._running.add(cursor)
        with engine_errors():
            reader = cursor.sql(statement).to_arrow_reader(BATCH_ROWS)
        return pyarrow.RecordBatchReader.from_batches(reader.schema, self._batches(reader, cursor))

    def _batches(self, reader: Any, cursor: duckdb.DuckDBPyConnection) -> Iterator[Any]:
        """The batches of a stream; what goes wrong in its middle comes as text, and is told as our errors."""
        try:
            yield from reader
        except OSError as error:
            raise _ours(_error_of(str(error)), "") from error
        finally:
            self._running.discard(cursor)
            cursor.close()

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a statement as tuples."""
        cursor = self.cursor()
        self._running.add(cursor)
        try:
            with engine_errors():
                return cursor.execute(statement).fetchall()
        finally:
            self._running.discard(cursor)
            cursor.close()

    def progress(self) -> float:
        """How much of the running statement is done, 0 to 100; below 0 where DuckDB cannot tell."""
        found = [float(cursor.query_progress()) for cursor in list(self._running)]
        return max(found, default=-1.0)


def empty(columns: Mapping[str, str]) -> exp.Select:
    """A query with these columns, of these types, and no rows."""
    made = [exp.alias_(exp.Cast(this=exp.null(), to=_type(t)), quoted(n).this.copy()) for n, t in columns.items()]
    return exp.select(*(made or [exp.alias_(exp.Literal.number(1), "nothing")])).where(exp.false())


def _type(kind: str) -> exp.DataType:
    return exp.DataType.build(kind if kind and kind != '"NULL"' else "INT", dialect="duckdb", udt=True)


def plain_reason(message: str) -> str:
    """DuckDB's message without its kind, candidates and pointers: one line."""
    first = message.split("\n", 1)[0]
    first = re.sub(
        r"^(Binder|Catalog|Parser|Conversion|Invalid Input|Invalid Type|Not implemented) Error:\s*", "", first
    )
    first = re.sub(r"\s*You might need to add explicit type casts\.?", "", first)
    match = re.match(r"No function matches the given name and argument types '(\w+)\((.*)\)'", first)
    if match:
        return f"{match[1].lower()}() does not take {match[2] or 'no argument'}"
    match = re.match(r"(?:Scalar|Aggregate) Function with name (\w+) does not exist!", first)
    if match:
        near = re.search(r'Did you mean "([^"]+)"', message)
        return f"there is no function {match[1].lower()}()" + (f'  (did you mean "{near[1]}"?)' if near else "")
    return first


@contextmanager
def engine_errors(what: str = "") -> Iterator[None]:
    """Turns DuckDB's errors into ours: what the data does wrong is a DataError, the rest an EngineError."""
    try:
        yield
    except duckdb.InterruptException:
        raise KeyboardInterrupt from None
    except duckdb.Error as error:
        raise _ours(error, what) from error


_KINDS: tuple[tuple[str, type[duckdb.Error]], ...] = (
    ("INTERRUPT", duckdb.InterruptException),
    ("Out of Memory Error", duckdb.OutOfMemoryException),
    ("Conversion Error", duckdb.ConversionException),
    ("Out of Range Error", duckdb.OutOfRangeException),
    ("IO Error", duckdb.IOException),
    ("Invalid Input Error", duckdb.InvalidInputException),
)


def _error_of(message: str) -> duckdb.Error:
    """The DuckDB error that a message of a stream stands for."""
    for mark, kind in _KINDS:
        if mark in message:
            if kind is duckdb.InterruptException:
                raise KeyboardInterrupt
            return kind(message[message.index(mark) :])
    return duckdb.Error(message)


def _ours(error: duckdb.Error, what: str) -> KpiError:
    message = str(error)
    reason = plain_reason(message)
    before = f"{what}: " if what else ""
    if isinstance(error, duckdb.OutOfMemoryException):
        cure = "give it more with engine: {duckdb: {memory_limit: 8GB}}, or a temp_directory on a disk with room"
        return EngineError(f"{before}DuckDB ran out of memory or disk: {_without_kind(reason)}; {cure}")
    if isinstance(error, duckdb.OutOfRangeException | duckdb.ConversionException):
        return DataError(f"{before}a value does not fit its type: {_without_kind(reason)}")
    if isinstance(error, duckdb.IOException):
        return DataError(f"{before}{_without_kind(reason)}")
    if isinstance(error, duckdb.InvalidInputException):
        return DataError(f"{before}{_without_kind(_joined(message))}")
    return EngineError(f"{before}DuckDB: {_without_kind(reason)}")


def _without_kind(message: str) -> str:
    return re.sub(r"^[A-Z][A-Za-z -]* (Error|Exception):\s*", "", message)


def _joined(message: str) -> str:
    """A message of several lines (the CSV reader's) in one, cut where its list of possible cures begins."""
    lines = [line.strip() for line in message.split("\n") if line.strip()]
    kept: list[str] = []
    for line in lines:
        if line.startswith(("Possible fixes", "Possible solution", "LINE ", "file =", "delimiter =", "*")):
            break
        kept.append(line)
    return " ".join(kept)
