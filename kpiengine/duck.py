"""DuckDB, embedded: one database in memory per project, a cursor per query, its errors in a user's words."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp

from kpiengine.connection import BATCH_ROWS, connected, spill_folder
from kpiengine.errors import DataError, DefinitionError, EngineError, KpiError, Problem, listing, suggest
from kpiengine.model import TypeFault
from kpiengine.model.source import quoted
from kpiengine.spec import Option

_OURS = frozenset(
    [
        "TimeZone",
        "Calendar",
        "access_mode",
        "allow_community_extensions",
        "allow_unsigned_extensions",
        "autoinstall_known_extensions",
        "autoload_known_extensions",
        "default_collation",
        "default_null_order",
        "default_order",
        "enable_external_access",
        "file_search_path",
        "ieee_floating_point_ops",
        "integer_division",
        "lock_configuration",
        "old_implicit_casting",
        "python_enable_replacements",
        "schema",
        "search_path",
    ]
)
"""Settings that a project does not set: on these, answers and the lock-down stand."""


class DuckSession:
    """A DuckDB database in memory. `settings` are DuckDB's own (`memory_limit`, `threads`, `temp_directory`).

    What does not fit into memory is written to a folder of its own under the system's for temporary files.
    `setup` are the statements that made it what it is, in order.
    Raises DefinitionError for a setting that DuckDB does not have, or does not take.
    """

    def __init__(self, root: Path, timezone: str, settings: Mapping[str, Option] | None = None) -> None:
        self.setup: list[str] = []
        self._spill = spill_folder()
        self._connection = connected(self._spill)
        for name, option in (settings or {}).items():
            self._set_given(name, option, root)
        with engine_errors():
            self._set("TimeZone", timezone)
        self._set("python_enable_replacements", False)
        self._set("file_search_path", str(root).replace(",", "\\,"))
        self._set("lock_configuration", True)
        self._arrow: dict[str, Any] = {}
        self._attached: dict[str, Path] = {}
        self._running: set[duckdb.DuckDBPyConnection] = set()
        self._typing: duckdb.DuckDBPyConnection | None = None
        self._one_at_a_time = threading.RLock()  # for connections that queries share; each query has one of its own
        self._closed = False

    def _set(self, name: str, value: Any) -> None:
        item = exp.SetItem(this=exp.EQ(this=exp.column(name), expression=exp.convert(value)), kind="GLOBAL")
        self._set_up(exp.Set(expressions=[item]))

    def _set_up(self, statement: exp.Expr) -> None:
        text = statement.sql("duckdb")
        self._connection.execute(text)
        self.setup.append(text)

    def _set_given(self, name: str, option: Option, root: Path) -> None:
        known = {str(row[0]) for row in self._connection.execute("SELECT name FROM duckdb_settings()").fetchall()}
        allowed = known - _OURS
        if name not in allowed:
            message = f'DuckDB has no setting "{name}"{suggest(name, allowed)}'
            if name in known:
                message = f'"{name}" is not to be set: it would change what metrics mean, or what they may reach'
            raise DefinitionError(Problem(option.key, message))
        value = str(root / str(option.value)) if name == "temp_directory" else option.value
        try:
            self._set(name, value)
        except duckdb.Error as error:
            reason = _without_kind(str(error).split("\n", 1)[0])
            raise DefinitionError(Problem(option.place, f"{name} of DuckDB: {reason}")) from None

    def close(self) -> None:
        """Closes the database; what it spilled to disk is removed."""
        self._closed = True
        for cursor in list(self._running):
            cursor.close()
        self._running.clear()
        if self._typing is not None:
            self._typing.close()
        self._connection.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def interrupt(self) -> None:
        """Stops what runs, from another thread."""
        for cursor in list(self._running):
            cursor.interrupt()

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection for one query, with the bound Arrow objects in sight."""
        cursor = self._cursor()
        for name, value in list(self._arrow.items()):
            cursor.register(name, value)
        return cursor

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        if self._closed:
            raise EngineError("the project is closed; open it again to ask it")
        with self._one_at_a_time:
            return self._connection.cursor()

    def bind(self, name: str, value: Any) -> None:
        """Makes an Arrow table, reader or dataset readable as a table of that name."""
        self._arrow[name] = value

    @property
    def reads_arrow(self) -> bool:
        """Whether any Arrow object was bound."""
        return bool(self._arrow)

    def attach(self, name: str, path: Path) -> None:
        """Attaches a database file, read-only, once."""
        if self._attached.get(name) == path:
            return
        with self._one_at_a_time, engine_errors(f'database "{path}" cannot be attached'):
            self._set_up(_attach(name, path))
        self._attached[name] = path

    def preamble(self, query: exp.Query) -> str:
        """What has to run before a query in another DuckDB, line by line: its databases attached.

        What DuckDB cannot read by itself is named in a comment.
        """
        tables = {(table.catalog, table.name): None for table in query.find_all(exp.Table)}
        lines = [f"{_attach(n, p).sql('duckdb')};" for n, p in self._attached.items() if n in {c for c, _ in tables}]
        given = [name for catalog, name in tables if not catalog and name in self._arrow]
        lines += [f"-- {name} is no file that DuckDB reads: register its Arrow rows under that name" for name in given]
        return "".join(f"{line}\n" for line in lines)

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
                raise TypeFault(
                    index, plain_reason(str(error)) + _texts_hint(columns, expression, str(error))
                ) from None
        return found

    def _types(self, columns: Mapping[str, str], expressions: Sequence[exp.Expr]) -> list[str]:
        named = [exp.alias_(e.copy(), f"e{n}") for n, e in enumerate(expressions)]
        query = exp.select(*named).from_(empty(columns).subquery("t"))
        with self._one_at_a_time:
            if self._typing is None or self._closed:
                # One for all: it sees no tables, and a cursor a question costs more than the answer.
                self._typing = self._cursor()
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
            raise stream_error(str(error)) from error
        finally:
            self._running.discard(cursor)
            cursor.close()

    def rows(self, statement: str, what: str = "", given: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """The rows of a statement as tuples. `what` is told before what goes wrong, `given` are tables and streams."""
        cursor = self.cursor()
        self._running.add(cursor)
        try:
            for name, value in (given or {}).items():
                cursor.register(name, value)
            with engine_errors(what):
                return cursor.execute(statement).fetchall()
        finally:
            self._running.discard(cursor)
            cursor.close()

    def progress(self) -> float:
        """How much of the running statement is done, 0 to 100; below 0 where DuckDB cannot tell."""
        found = [float(cursor.query_progress()) for cursor in list(self._running)]
        return max(found, default=-1.0)


def _texts_hint(columns: Mapping[str, str], expression: exp.Expr, reason: str) -> str:
    """Which columns are texts, where an expression takes none."""
    lower = {name.lower(): name for name, kind in columns.items() if kind == "VARCHAR"}
    named = {c.name.lower() for c in expression.find_all(exp.Column)}
    texts = [name for key, name in lower.items() if key in named]
    if "VARCHAR" not in reason or not texts:
        return ""
    which = f'"{texts[0]}" is text' if len(texts) == 1 else f"{listing(texts)} are texts"
    return f"; {which} in the data: cast it, or give a CSV source its types: {{{texts[0]}: DOUBLE}}"


def _attach(name: str, path: Path) -> exp.Attach:
    return exp.Attach(
        this=exp.alias_(exp.Literal.string(str(path)), exp.to_identifier(name, quoted=True)),
        exists=True,
        expressions=[exp.AttachOption(this=exp.var("READ_ONLY"))],
    )


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
    match = re.match(r"No function matches the given name and argument types '([^(]+)\((.*)\)'", first)
    if match:
        called = match[1].lower() + "()" if match[1].isidentifier() else match[1]
        return f"{called} does not take {match[2] or 'no argument'}"
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


def stream_error(message: str) -> KpiError:
    """Our error for what a stream of Arrow says, in whose middle DuckDB's errors are texts."""
    return _ours(_error_of(message), "")


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
    before = f"{what}: " if what else ""
    if full := _disk_reason(message):
        return EngineError(f"{before}{full}")
    reason = _without_kind(plain_reason(message))
    if isinstance(error, duckdb.OutOfMemoryException):
        cure = "give it more with engine: {duckdb: {memory_limit: 8GB}}, or a temp_directory on a disk with room"
        return EngineError(f"{before}DuckDB ran out of memory or disk: {reason}; {cure}")
    if isinstance(error, duckdb.OutOfRangeException | duckdb.ConversionException):
        return DataError(f"{before}{_misfit(reason)}")
    if isinstance(error, duckdb.IOException):
        return DataError(f"{before}{reason}")
    if isinstance(error, duckdb.InvalidInputException):
        return DataError(f"{before}{_without_kind(_joined(message))}")
    if type(error) is duckdb.Error and not re.match(r"[A-Z][A-Za-z ]* Error", message):
        # What the Parquet reader trips over has no kind.
        cure = "write or fetch it again (`kpi check --data` names its source)"
        return DataError(f"{before}a file is damaged, it seems ({reason}); {cure}")
    return EngineError(f"{before}DuckDB: {reason}")


def _disk_reason(message: str) -> str:
    """What a write failed of, out of the system's words in DuckDB's; empty where it is something else."""
    for sign, told in _DISK.items():
        if sign in message:
            return told
    return ""


_DISK = {
    "No space left on device": "no space left on the disk; free some, or write to another disk",
    "Disk quota exceeded": "the disk quota is used up; free some space, or write to another disk",
    "File too large": "the file is larger than the system allows; raise the limit (ulimit -f), or export less",
    "Read-only file system": "the disk is read-only; write to another one",
}


def _misfit(reason: str) -> str:
    """A value that its type has no room for, in a user's words."""
    found = re.match(
        r"Type \w+ with value (\S+) can't be cast because the value is out of range for the destination type (\w+)"
        r"(?: when casting from source column (.*))?",
        reason,
    )
    if found is None:
        return f"a value does not fit its type: {reason}"
    kind = _SQL_NAMES.get(found[2], found[2])
    return f"a value does not fit its type: {found[3] or 'one'} is {found[1]}, out of the range of {kind}"


_SQL_NAMES = {"INT8": "TINYINT", "INT16": "SMALLINT", "INT32": "INTEGER", "INT64": "BIGINT", "INT128": "HUGEINT"}


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
