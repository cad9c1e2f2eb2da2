"""Sources as an engine other than DuckDB reads them: its own tables, files that it opens itself, rows handed over."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from kpiengine.connector import ArrowRelation, SqlRelation, TableRelation
from kpiengine.duck import DuckSession
from kpiengine.engine import Engine, EngineContext, EngineSession
from kpiengine.errors import EngineError, KpiError, Place, Problem
from kpiengine.kind import Rows

if TYPE_CHECKING:
    import pyarrow

MOST_ROWS_IN_TEXT = 200
"""Rows that a kind made stand in the statement itself up to this number; more are loaded."""

Pending = Callable[[], "pyarrow.RecordBatchReader"]


class Elsewhere:
    """An engine, its session once one is needed, and what has been loaded into it.

    `duck` reads what the engine does not read by itself. `place` is where kpi.yaml names the engine.
    """

    def __init__(
        self, engine: Engine, options: Mapping[str, Any], context: EngineContext, duck: DuckSession, place: Place
    ) -> None:
        self.engine = engine
        self._options = options
        self._context = context
        self._duck = duck
        self._place = place
        self._session: EngineSession | None = None
        self._names: dict[object, str] = {}
        self._kept: list[object] = []  # so that no other object gets the identity of one in `_names`
        self._pending: dict[str, Pending] = {}
        self._told: dict[str, str] = {}
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
        """Ends the session."""
        if self._session is not None:
            self._session.close()
            self._session = None

    # -- what stands in a FROM clause

    def read(self, name: str, relation: SqlRelation | ArrowRelation | TableRelation) -> exp.Expr:
        """What a relation of the source `name` is read from."""
        if isinstance(relation, TableRelation):
            return self.session.readable(engine_table(relation))
        native = self.engine.native(relation, self._options) if isinstance(relation, SqlRelation) else None
        return native if native is not None else self._loaded(name, relation, lambda: self._rows(name, relation))

    def given(self, name: str, table: pyarrow.Table) -> exp.Expr:
        """What rows that a kind made are read from."""
        if table.num_rows <= MOST_ROWS_IN_TEXT:
            return Rows(name, table).query.subquery("given_rows")
        return self._loaded(name, table, table.to_reader)

    def _loaded(self, name: str, what: object, rows: Pending) -> exp.Expr:
        with self._lock:
            key = what.expression.sql("duckdb") if isinstance(what, SqlRelation) else id(what)
            if key not in self._names:
                plain = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_")[:40]
                number = len(self._names) + 1
                self._names[key] = f"kpi_{plain}" if f"kpi_{plain}" not in self._told else f"kpi_{plain}_{number}"
                self._kept.append(what)
                self._pending[self._names[key]] = rows
                self._told[self._names[key]] = name
            return exp.to_table(self._names[key])

    def _rows(self, name: str, relation: SqlRelation | ArrowRelation) -> pyarrow.RecordBatchReader:
        if isinstance(relation, ArrowRelation):
            self._duck.bind(f"{name}_arrow", relation.open())
            expression: exp.Expr = exp.Table(this=exp.to_identifier(f"{name}_arrow", quoted=True))
        else:
            for database, path in relation.attach.items():
                self._duck.attach(database, path)
            expression = relation.expression.copy()
        return self._duck.reader(exp.select("*").from_(expression).sql("duckdb"))

    def columns(self, relation: TableRelation) -> Mapping[str, str]:
        """The columns of a table of the engine's own and their DuckDB types."""
        return self.session.columns(engine_table(relation))

    # -- loading

    def load(self, statement: exp.Expr) -> None:
        """Hands over the rows that a statement reads and the engine has not got yet."""
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
            f'-- {name} holds the rows of "{self._told[name]}": load them first' for name in found if name in self._told
        ]
        return "".join(f"{line}\n" for line in lines)


def engine_table(relation: TableRelation) -> exp.Table:
    """The name of a table of the engine's own, as SQL writes it."""
    return exp.to_table(relation.table)
