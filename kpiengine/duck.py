"""DuckDB, embedded: one database in memory per project, a cursor per query, its errors in a user's words."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp

from kpiengine.connection import BATCH_ROWS, connected, gathered, spill_folder
from kpiengine.duckerrors import engine_errors, plain_reason, stream_error, without_kind
from kpiengine.errors import DefinitionError, EngineError, Problem, listing, suggest
from kpiengine.functions import plain_texts_as_casts
from kpiengine.model import TypeFault
from kpiengine.model.source import identifier
from kpiengine.spec import Option

_OURS = frozenset(
    [
        "TimeZone",
        "Calendar",
        "access_mode",
        "allow_community_extensions",
        "allow_unsigned_extensions",
        "allowed_configs",
        "allowed_directories",
        "allowed_paths",
        "autoinstall_known_extensions",
        "autoload_known_extensions",
        "current_dialect",
        "default_collation",
        "default_null_order",
        "default_order",
        "dialect_compatibility_mode",
        "disable_timestamptz_casts",
        "enable_external_access",
        "error_on_division_by_zero",
        "file_search_path",
        "ieee_floating_point_ops",
        "integer_division",
        "lock_configuration",
        "old_implicit_casting",
        "python_enable_replacements",
        "regex_match_operator_semantics",
        "scalar_subquery_error_on_multiple_rows",
        "schema",
        "search_path",
    ]
)
"""Settings that a project does not set: on these, answers and the lock-down stand."""

_USUAL = frozenset({"threads", "memory_limit"})
"""Settings that are known to be there: to ask DuckDB for all of its own takes as long as to plan a small query."""


FEW_GIVEN = 10_000
"""So many rows are gathered and copied in less time than a long statement is bound once more."""

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


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
        asked = settings and any(name.lower() not in _USUAL for name in settings)
        known = self._known_settings() if asked else dict(zip(_USUAL, _USUAL, strict=True))
        for name, option in (settings or {}).items():
            self._set_given(name, option, root, known)
        with engine_errors():
            self._set("TimeZone", timezone)
        self._set("python_enable_replacements", False)
        self._set("file_search_path", str(root).replace(",", "\\,"))
        self._set("lock_configuration", True)
        self._arrow: dict[str, Any] = {}
        self._attached: dict[str, Path] = {}
        self._running: set[duckdb.DuckDBPyConnection] = set()
        self._typing: duckdb.DuckDBPyConnection | None = None
        self._tables: dict[tuple[tuple[str, str], ...], str] = {}
        self._told: dict[tuple[str, exp.Expr], str] = {}
        self._gave_few: set[int] = set()
        self._one_at_a_time = threading.RLock()  # for connections that queries share; each query has one of its own
        self._closed = False

    def _set(self, name: str, value: Any) -> None:
        item = exp.SetItem(this=exp.EQ(this=exp.column(name), expression=exp.convert(value)), kind="GLOBAL")
        self._set_up(exp.Set(expressions=[item]))

    def _set_up(self, statement: exp.Expr) -> None:
        text = statement.sql("duckdb")
        self._connection.execute(text)
        self.setup.append(text)

    def _known_settings(self) -> dict[str, str]:
        """Every name of a setting, in lower case as DuckDB ignores it, and the one that it is another name of."""
        rows = self._connection.execute("SELECT name, aliases FROM duckdb_settings()").fetchall()
        return {name.lower(): name for name, _ in rows} | {a.lower(): name for name, others in rows for a in others}

    def _set_given(self, name: str, option: Option, root: Path, known: Mapping[str, str]) -> None:
        if name.lower() not in known or known[name.lower()] in _OURS:
            message = (
                f'DuckDB has no setting "{name}"{suggest(name, [n for n, of in known.items() if of not in _OURS])}'
            )
            if name.lower() in known:
                message = f'"{name}" is not to be set: it would change what metrics mean, or what they may reach'
            raise DefinitionError(Problem(option.key, message))
        value = str(root / str(option.value)) if name.lower() == "temp_directory" else option.value
        try:
            self._set(name, value)
        except duckdb.Error as error:
            reason = without_kind(str(error).split("\n", 1)[0])
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

    @cached_property
    def memory(self) -> float:
        """How many bytes it may use: its limit, as a setting or DuckDB's own share of the machine."""
        amount, unit = str(self.rows("SELECT current_setting('memory_limit')")[0][0]).split()
        return float(amount) * 1024.0 ** _UNITS.index(unit)

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

    def set_up_as(self, setup: Sequence[str]) -> None:
        """Attaches what another session of the same settings has attached. `setup` is its own."""
        with self._one_at_a_time, engine_errors():
            for text in setup:
                if text not in self.setup:
                    self._connection.execute(text)
                    self.setup.append(text)

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
        return self.query_columns(exp.select("*").from_(relation.copy(), copy=False))

    def query_columns(self, query: exp.Query) -> dict[str, str]:
        """The columns of a query, which is taken in, and their types, without running it."""
        cursor = self.cursor()
        try:
            described = cursor.execute(exp.Describe(this=query).sql("duckdb", copy=False)).fetchall()
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
        table = self._table_of(columns)
        unknown = [e.copy() for e in dict.fromkeys(expressions) if (table, e) not in self._told]
        if unknown:
            named = [exp.alias_(plain_texts_as_casts(e.copy()), f"e{n}", copy=False) for n, e in enumerate(unknown)]
            query = exp.select(*named, copy=False).from_(exp.to_table(table, alias="t"), copy=False)
            with self._one_at_a_time:
                # Binding alone: a statement that is run, be it DESCRIBE, takes four times as long.
                found = self._typing_cursor().sql(query.sql("duckdb", copy=False)).types
            self._told |= {(table, e): str(kind) for e, kind in zip(unknown, found, strict=True)}
        return [self._told[table, e] for e in expressions]

    def _table_of(self, columns: Mapping[str, str]) -> str:
        """An empty table with these columns, made once, for expressions to be bound to."""
        known = tuple(columns.items())
        with self._one_at_a_time:
            if known not in self._tables:
                name = f"columns_{len(self._tables)}"
                create = exp.Create(
                    this=exp.to_table(name),
                    kind="TABLE",
                    expression=empty(columns),
                    properties=exp.Properties(expressions=[exp.TemporaryProperty()]),
                )
                self._typing_cursor().execute(create.sql("duckdb"))
                self._tables[known] = name
            return self._tables[known]

    def _typing_cursor(self) -> duckdb.DuckDBPyConnection:
        """One for all: it sees no tables but its own, and a cursor a question costs more than the answer."""
        if self._typing is None or self._closed:
            self._typing = self._cursor()
        return self._typing

    # -- running

    def reader(self, statement: str, *, few: bool = False) -> Any:
        """The rows of a statement as a stream of Arrow record batches; the cursor lives as long as the reader.

        `few` rows are gathered before the first is given, and copied; for that the statement is bound once, not twice.
        A statement that gave few rows before is taken to give few again.
        """
        import pyarrow

        few = few or hash(statement) in self._gave_few
        cursor = self.cursor()
        self._running.add(cursor)
        try:
            with engine_errors():
                reader = gathered(cursor, statement) if few else cursor.sql(statement).to_arrow_reader(BATCH_ROWS)
        except BaseException:
            self._done_with(cursor)
            raise
        return pyarrow.RecordBatchReader.from_batches(reader.schema, self._batches(reader, cursor, hash(statement)))

    def _batches(self, reader: Any, cursor: duckdb.DuckDBPyConnection, asked: int) -> Iterator[Any]:
        """The batches of a stream; what goes wrong in its middle comes as text, and is told as our errors."""
        rows = 0
        try:
            for batch in reader:
                rows += batch.num_rows
                yield batch
            if rows <= FEW_GIVEN:
                self._gave_few.add(asked)
            else:
                self._gave_few.discard(asked)
        except OSError as error:
            raise stream_error(str(error)) from error
        finally:
            self._done_with(cursor)

    def _done_with(self, cursor: duckdb.DuckDBPyConnection) -> None:
        self._running.discard(cursor)
        cursor.close()

    def fetched(self, statement: str) -> tuple[list[tuple[str, str]], Callable[[int], list[tuple[Any, ...]]]]:
        """Runs a statement: its columns' names and types, and what fetches so many rows at most, once."""
        cursor = self.cursor()
        self._running.add(cursor)
        try:
            with engine_errors():
                found = cursor.execute(statement)
        except BaseException:
            self._done_with(cursor)
            raise

        def fetch(most: int) -> list[tuple[Any, ...]]:
            try:
                with engine_errors():
                    return found.fetchmany(most)
            finally:
                self._done_with(cursor)

        return [(str(name), str(kind)) for name, kind, *_ in found.description], fetch

    def rows(
        self, statement: str, what: str = "", given: Mapping[str, Any] | None = None,
        values: Mapping[str, str] | None = None,
    ) -> list[tuple[Any, ...]]:  # fmt: skip
        """The rows of a statement as tuples. `what` is told before what goes wrong, `given` are tables and streams,
        `values` those of its parameters."""
        cursor = self.cursor()
        self._running.add(cursor)
        try:
            for name, value in (given or {}).items():
                cursor.register(name, value)
            with engine_errors(what):
                return cursor.execute(statement, values).fetchall()
        finally:
            self._done_with(cursor)

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
    how = f"its signs (decimal: ',', thousands: '.'), or types: {{{texts[0]}: DOUBLE}}"
    return f"; {which} in the data: cast it, or give a CSV source {how}"


def _attach(name: str, path: Path) -> exp.Attach:
    return exp.Attach(
        this=exp.alias_(exp.Literal.string(str(path)), exp.to_identifier(name, quoted=True)),
        exists=True,
        expressions=[exp.AttachOption(this=exp.var("READ_ONLY"))],
    )


def empty(columns: Mapping[str, str]) -> exp.Select:
    """A query with these columns, of these types, and no rows."""
    made = [exp.alias_(exp.Cast(this=exp.null(), to=_type(t)), identifier(n)) for n, t in columns.items()]
    return exp.select(*(made or [exp.alias_(exp.Literal.number(1), "nothing")])).where(exp.false())


def _type(kind: str) -> exp.DataType:
    return exp.DataType.build(kind if kind and kind != '"NULL"' else "INT", dialect="duckdb", udt=True)
