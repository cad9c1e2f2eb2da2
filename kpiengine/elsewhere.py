"""Sources as an engine other than DuckDB reads them: its own tables, files that it opens itself, rows handed over."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field
from itertools import count
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from kpiengine.connector import ArrowRelation, SqlRelation, TableRelation
from kpiengine.duck import DuckSession
from kpiengine.engine import Engine, EngineContext, EngineSession
from kpiengine.errors import EngineError, KpiError, Place, Problem
from kpiengine.kind import Rows
from kpiengine.records import dataclass

if TYPE_CHECKING:
    import pyarrow

MOST_ROWS_IN_TEXT = 200
"""Rows that a kind made stand in the statement itself up to this number; more are loaded."""

Columns = Sequence[str] | None
"""The columns that are read of a relation; None for all."""

Pending = Callable[[Columns], "pyarrow.RecordBatchReader"]


@dataclass
class _Loadable:
    """Rows to hand over: of what source, how they are read, and the tables that hold them, by their columns."""

    source: str
    rows: Pending
    tables: dict[str, frozenset[str] | None]


@dataclass
class Lasting:
    """A session that several projects use, one after the other, and the names of tables that are taken in it."""

    session: EngineSession | None = None
    names: set[str] = field(default_factory=set)

    def close(self) -> None:
        """Ends the session."""
        if self.session is not None:
            self.session.close()
            self.session = None


class Elsewhere:
    """An engine, its session once one is needed, and what has been loaded into it.

    `duck` reads what the engine does not read by itself. `place` is where kpi.yaml names the engine. With `lasting` the
    session is that one, and is left open.
    """

    def __init__(
        self, engine: Engine, options: Mapping[str, Any], context: EngineContext, duck: DuckSession, place: Place,
        lasting: Lasting | None = None,
    ) -> None:  # fmt: skip
        self.engine = engine
        self._options = options
        self._context = context
        self._duck = duck
        self._place = place
        self._lasting = lasting
        self._session: EngineSession | None = lasting.session if lasting is not None else None
        self._names: dict[object, str] = {}
        self._taken: set[str] = set()
        self._kept: list[object] = []  # so that no other object gets the identity of one in `_names`
        self._loadable: dict[str, _Loadable] = {}  # by the name of the first table
        self._pending: dict[str, Callable[[], pyarrow.RecordBatchReader]] = {}
        self._lock = threading.RLock()

    @property
    def session(self) -> EngineSession:
        """The session, opened at the first call. Raises EngineError where the engine is not installed or reachable."""
        with self._lock:
            if self._session is None:
                with self._placed():
                    if missing := self.engine.missing():
                        raise EngineError(missing)
                    self._session = self.engine.open(self._options, self._context)
                    if self._lasting is not None:
                        self._lasting.session = self._session
            return self._session

    @contextmanager
    def _placed(self) -> Iterator[None]:
        """Errors of opening, told at the place in kpi.yaml that names the engine."""
        try:
            yield
        except KpiError as error:
            problems = [p if p.place.line else Problem(self._place, p.message) for p in error.problems]
            raise type(error)(*problems) from error

    @property
    def opened(self) -> EngineSession | None:
        """The session where there is one; waits for nobody."""
        return self._session

    def close(self) -> None:
        """Ends the session, unless it is a lasting one."""
        if self._session is not None and self._lasting is None:
            self._session.close()
        self._session = None

    # -- what stands in a FROM clause

    def read(self, name: str, relation: SqlRelation | ArrowRelation | TableRelation) -> exp.Expr:
        """What a relation of the source `name` is read from."""
        if isinstance(relation, TableRelation):
            return self.session.readable(engine_table(relation))
        native = self.engine.native(relation, self._options) if isinstance(relation, SqlRelation) else None
        if native is not None:
            return native
        return self._loaded(name, relation, lambda columns: self._rows(name, relation, columns))

    def given(self, name: str, table: pyarrow.Table) -> exp.Expr:
        """What rows that a kind made are read from."""
        if table.num_rows <= MOST_ROWS_IN_TEXT:
            return Rows(name, table).query.subquery("given_rows")
        return self._loaded(name, table, lambda columns: table.select(columns or table.column_names).to_reader())

    def _loaded(self, name: str, what: object, rows: Pending) -> exp.Expr:
        with self._lock:
            key = what.expression.sql("duckdb") if isinstance(what, SqlRelation) else id(what)
            if key not in self._names:
                plain = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_")[:40]
                self._names[key] = self._free(f"kpi_{plain}")
                self._kept.append(what)
                self._loadable[self._names[key]] = _Loadable(name, rows, {})
            return exp.to_table(self._names[key])

    def _free(self, name: str) -> str:
        taken = self._lasting.names if self._lasting is not None else self._taken
        numbered = (f"{name}_{number}" for number in count(2))
        free = name if name not in taken else next(other for other in numbered if other not in taken)
        taken.add(free)
        return free

    def _rows(self, name: str, relation: SqlRelation | ArrowRelation, columns: Columns) -> pyarrow.RecordBatchReader:
        if isinstance(relation, ArrowRelation):
            self._duck.bind(f"{name}_arrow", relation.open())
            expression: exp.Expr = exp.Table(this=exp.to_identifier(f"{name}_arrow", quoted=True))
        else:
            for database, path in relation.attach.items():
                self._duck.attach(database, path)
            expression = relation.expression.copy()
        every = exp.select("*").from_(expression)
        if columns is None:
            return self._duck.reader(every.sql("duckdb"))
        known = {name.lower(): name for name in self._duck.query_columns(every)}
        wanted = [known[column] for column in columns if column in known] or list(known.values())[:1]
        read = exp.select(*(exp.column(exp.to_identifier(column, quoted=True)) for column in wanted)).from_(expression)
        return self._duck.reader(read.sql("duckdb"))

    def columns(self, relation: TableRelation) -> Mapping[str, str]:
        """The columns of a table of the engine's own and their DuckDB types."""
        return self.session.columns(engine_table(relation))

    # -- loading

    def fitted(self, statement: exp.Query) -> exp.Query:
        """The statement, reading tables that hold the columns which it names of what is handed over, and few others.

        A table that has been loaded for an earlier statement, or waits to be, is taken where it has them all.
        """
        with self._lock:
            tables = [table for table in statement.find_all(exp.Table) if table.name in self._loadable]
            wanted: dict[str, frozenset[str] | None] = {}
            for table in tables:
                found, before = _columns_of(table), wanted.get(table.name, frozenset())
                wanted[table.name] = None if found is None or before is None else before | found
            names = {name: self._table(name, columns) for name, columns in wanted.items()}
            for table in tables:
                table.set("this", exp.to_identifier(names[table.name]))
        return statement

    def _table(self, name: str, columns: frozenset[str] | None) -> str:
        """The table that has these columns of the rows known as `name`: one that there is, or one to be loaded.

        Where a second one is needed it has all columns, so that no rows go over more than twice.
        """
        known = self._loadable[name]
        for table, has in known.tables.items():
            if has is None or (columns is not None and columns <= has):
                return table
        made = name
        if known.tables:
            made, columns = self._free(name), None
        known.tables[made] = columns
        self._pending[made] = lambda: known.rows(None if columns is None else sorted(columns))
        return made

    def load(self, statement: exp.Expr) -> None:
        """Hands over the rows that a statement, a fitted one, reads and the engine has not got yet."""
        for name in dict.fromkeys(table.name for table in statement.find_all(exp.Table)):
            with self._lock:
                rows = self._pending.pop(name, None)
                if rows is None:
                    continue
                try:
                    self.session.load(name, rows())
                except BaseException:
                    self._pending[name] = rows
                    raise

    def preamble(self, statement: exp.Expr) -> str:
        """Which tables of a statement a session would load first, a comment a line."""
        found = dict.fromkeys(table.name for table in statement.find_all(exp.Table))
        lines = [
            f'-- {name} holds the rows of "{self._loadable[name].source}": load them first'
            for name in found
            if name in self._loadable
        ]
        return "".join(f"{line}\n" for line in lines)


def _columns_of(table: exp.Table) -> frozenset[str] | None:
    """The columns, in lower case, that the query over a table may read of it; None where that may be all."""
    query, more = table.find_ancestor(exp.Select), ("joins", "laterals")
    if query is None or table.parent is not query.args.get("from_") or any(query.args.get(name) for name in more):
        return None  # what is joined on need not be named as columns
    every = [star for star in query.find_all(exp.Star) if not isinstance(star.parent, exp.Count)]
    if every or table.args.get("pivots") or query.find(exp.Columns):
        return None
    return frozenset(column.name.lower() for column in query.find_all(exp.Column))


def engine_table(relation: TableRelation) -> exp.Table:
    """The name of a table of the engine's own, as SQL writes it."""
    return exp.to_table(relation.table)
