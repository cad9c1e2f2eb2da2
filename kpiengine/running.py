"""Plans → statements → rows, on the project's engine: DuckDB in memory, or one that a plugin brings."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from sqlglot import exp

from kpiengine.compiled import Asked, CompiledQuery
from kpiengine.duck import DuckSession
from kpiengine.elsewhere import Elsewhere, Lasting
from kpiengine.engine import Engine, EngineContext, EngineSession, Writing
from kpiengine.errors import NOWHERE, DefinitionError, Problem, UsageError
from kpiengine.export import Rows, copy_statement, rows_below, write_parquet
from kpiengine.generations import Generation, write_generation
from kpiengine.keycheck import is_of_files, meets, verify_keys
from kpiengine.plan import Plan
from kpiengine.plan.steps import Given, Met, Scan, Series
from kpiengine.plugins import Plugins
from kpiengine.recipe import compiled_query
from kpiengine.result import Result
from kpiengine.sources import Sources
from kpiengine.spec import EngineSpec, Option, ProjectSpec, missing_settings
from kpiengine.sql import RenderedSource, in_dialect, render
from kpiengine.store import Store

if TYPE_CHECKING:
    import pyarrow

Chosen = str | Mapping[str, Mapping[str, Any]] | None
"""An engine's name, or its name and settings: `{"postgres": {"url": …}}`."""

_NO_DEFINITIONS: Mapping[str, str] = {}

FEW = 1_000
"""So many rows are fetched as Python values in less time than Arrow takes to load."""
FEW_READ = 200_000
"""Of so many rows all groups are few enough to be kept and copied, for a statement that is bound once."""

EMBEDDED = "duckdb"
"""The name of the engine that is always there, and types formulas whatever engine runs them."""


class Runner:
    """The engine of a project and its open sources. Nothing is opened before it is needed.

    With `lasting` the session of an engine other than DuckDB is that one, and outlives this.
    """

    def __init__(self, spec: ProjectSpec, plugins: Plugins, lasting: Lasting | None = None) -> None:
        self.spec = spec
        self._lasting = lasting
        self._plugins = plugins
        self.engine = engine_of(spec, plugins)

    @cached_property
    def duck(self) -> DuckSession:
        """The embedded engine."""
        return DuckSession(Path(self.spec.root), self.spec.timezone, self._configured(EMBEDDED).options)

    @cached_property
    def elsewhere(self) -> Elsewhere | None:
        """The engine that runs statements in DuckDB's place; None where DuckDB runs them."""
        if self.engine is None:
            return None
        configured = self._configured(self.engine.name)
        options = {name: option.value for name, option in configured.options.items()}
        context = EngineContext(Path(self.spec.root), self.spec.timezone)
        return Elsewhere(self.engine, options, context, self.duck, configured.place, self._lasting)

    @cached_property
    def sources(self) -> Sources:
        """The sources, opened one by one when needed."""
        return Sources(self.spec, self._plugins.required_connector, self.duck, self.elsewhere)

    def _configured(self, name: str) -> EngineSpec:
        return self.spec.engines.get(name) or EngineSpec(name, {}, self.spec.places.get("engine", NOWHERE))

    @property
    def dialect(self) -> str:
        """The dialect of the engine's statements."""
        return self.engine.dialect if self.engine else EMBEDDED

    @property
    def settings(self) -> Mapping[str, Any]:
        """The embedded engine's settings."""
        return {name: option.value for name, option in self._configured(EMBEDDED).options.items()}

    @property
    def version(self) -> str:
        """The engine and its version: `duckdb 2.0.1`."""
        if self.elsewhere is None:
            return f"{EMBEDDED} {duckdb.__version__}"
        return f"{self.elsewhere.engine.name} {self.elsewhere.session.version}"

    # -- statements

    def statement(self, plan: Plan, tables: Mapping[str, str] | None = None, dialect: str | None = None) -> exp.Query:
        """The statement of a plan, whole in itself. `tables` stand in sources' places.

        For another `dialect` than DuckDB's it knows its sources' columns, by whose types forms are chosen.
        """
        given = tables or {}
        if dialect not in (None, EMBEDDED):
            for name in dict.fromkeys(step.source for step in plan.steps if isinstance(step, Scan)):
                self.sources.schema(self.spec.sources[name])

        def relation(name: str) -> RenderedSource:
            if name not in given:
                return self.sources.rendered(name)
            return RenderedSource(exp.to_table(given[name])).with_columns(self.sources.schema(self.spec.sources[name]))

        return render(plan, relation)

    def text(self, statement: exp.Query, dialect: str | None = None) -> str:
        """A statement as text for the engine, or in another dialect. Raises UsageError for what that cannot say."""
        if self.engine is not None and dialect in (None, self.engine.dialect):
            rewritten = self.engine.rewritten(statement.copy())
            assert isinstance(rewritten, exp.Query)
            statement = rewritten
        return in_dialect(statement, dialect or self.dialect)

    def preamble(self, statement: exp.Query, dialect: str) -> str:
        """What has to run first for the statement to find its data, or a comment that says so; lines of text."""
        if self.elsewhere is not None:
            return self.elsewhere.preamble(statement)
        return self.duck.preamble(statement) if dialect == EMBEDDED else ""

    # -- running

    def result(self, plan: Plan) -> Result:
        """The answer to a plan: rendered at once, run when it is read."""
        statement = self._for_engine(plan)
        text = self.text(statement)

        def read() -> pyarrow.RecordBatchReader:
            self.verify(plan)
            return self._reader(plan, statement, text)

        def fetch() -> tuple[list[tuple[str, str]], Callable[[int], list[tuple[Any, ...]]]]:
            self.verify(plan)
            return self.duck.fetched(text)

        few = fetch if self.elsewhere is None and _gives_few(plan) else None
        return Result(text, plan.output.columns, read, functools.partial(self._keep, text, plan), few)

    def _for_engine(self, plan: Plan) -> exp.Query:
        """The statement of a plan, to be run: what kinds made is bound, and what is handed over has its columns."""
        statement = render(plan, self.sources.rendered, self.sources.bound)
        return statement if self.elsewhere is None else self.elsewhere.fitted(statement)

    def rows_for_a_plan(self, plan: Plan) -> pyarrow.Table:
        """The rows of a query that a kind asks before its own can be planned."""
        result = self.result(plan)
        self.sources.foreseen &= is_of_files(result.sql)
        return result.arrow()

    def _keep(
        self, text: str, plan: Plan, asked: Asked, rows: int, definitions: Mapping[str, str] = _NO_DEFINITIONS
    ) -> None:
        """Keeps a compiled query on disk, where all that it stands on can be told."""
        found = compiled_query(asked, text, plan, self.sources, self._plugins.code(), rows, definitions)
        if found is not None:
            asked.keep(found)

    def verify(self, plan: Plan) -> None:
        """Raises DataError where a key that the plan joins on is not unique."""
        verify_keys(plan, self.sources, self.rows, self.text)

    def meets(self, plan: Plan, met: Met, *, anyway: bool) -> bool:
        """Whether each row of a scan is known to meet one of another; on DuckDB alone."""
        if self.engine is not None:
            return False
        return meets(plan, met, self.sources, self.rows, self.text, anyway=anyway)

    def rows(self, statement: exp.Query) -> list[tuple[Any, ...]]:
        """The rows of a small statement."""
        if self.elsewhere is None:
            return self.duck.rows(self.text(statement))
        text = self.text(self.elsewhere.fitted(statement))
        self.elsewhere.load(statement)
        return self.elsewhere.session.rows(text)

    def _reader(self, plan: Plan, statement: exp.Query, text: str) -> pyarrow.RecordBatchReader:
        if self.elsewhere is None:
            return self.duck.reader(text, few=_gives_a_row_a_period(plan) or self._reads_few(plan))
        from kpiengine.casting import cast_rows

        schema = self.schema(plan)
        self.elsewhere.load(statement)
        return cast_rows(self.elsewhere.session.reader(text), schema, self.elsewhere.engine.title)

    def _reads_few(self, plan: Plan) -> bool:
        """Whether the answer is known to be small: groups of few rows. Kinds and periods without rows make more."""
        if any(isinstance(step, Series | Given) for step in plan.steps):
            return False
        scans = [step for step in plan.steps if isinstance(step, Scan)]
        rows = [self.sources.rows(self.spec.sources[scan.source]) for scan in scans]
        return all(found is not None and found <= FEW_READ for found in rows)

    def schema(self, plan: Plan) -> pyarrow.Schema:
        """The names and types of a result, as DuckDB gives them, read from tables without rows."""
        with self.duck.reader(render(plan, self.sources.typed, self._without_rows).sql(EMBEDDED)) as reader:
            return reader.schema

    def _without_rows(self, name: str, table: Any) -> exp.Expr:
        return self.sources.bound_in_duckdb(name, table.slice(0, 0))

    def export(
        self, plan: Plan, place: Path | Store, partition_by: Sequence[str], footer: Mapping[str, str],
        asked: Asked | None = None, definitions: Mapping[str, str] = _NO_DEFINITIONS,
    ) -> tuple[int, int, int]:  # fmt: skip
        """Writes the answer to a plan as Parquet, whole or not at all. Gives rows, files and bytes.

        Where it was `asked`, what was compiled is kept for whoever asks the same, with the hashes of `definitions`.
        """
        rows: str | Rows
        if self.elsewhere is None:
            self.verify(plan)
            rows = copy_statement(self.statement(plan), partition_by, footer).sql(EMBEDDED)
            if isinstance(place, Path):
                done = write_parquet(self.duck, rows, place, partition_by=partition_by, footer=footer)
                if asked is not None:
                    self._keep(rows, plan, asked, done[0], definitions)
                return done
        schema, session, text = self.schema(plan), None, ""
        if self.elsewhere is not None:
            statement = self._for_engine(plan)
            session, text = self.elsewhere.session, self.text(statement)
            self.verify(plan)
            self.elsewhere.load(statement)
            rows = functools.partial(self._reader, plan, statement, text)

        def written(target: Path) -> bool:
            writing = Writing(text, schema, target, tuple(partition_by), footer, lambda: rows_below(target))
            return session is not None and session.write(writing)

        def generated(new: Generation) -> bool:
            url = str(new.store / new.below)
            writing = Writing(text, schema, url, tuple(partition_by), footer, lambda: new.rows)
            return session is not None and session.writes_urls and session.write(writing)

        def made(target: Path) -> object:
            return write_parquet(self.duck, rows, target, partition_by=partition_by, footer=footer)

        if isinstance(place, Store):
            return write_generation(place, schema, partition_by, footer, generated, made)
        return write_parquet(self.duck, rows, place, partition_by=partition_by, footer=footer, written=written)

    def export_again(
        self, found: CompiledQuery, place: Path, partition_by: Sequence[str], footer: Mapping[str, str]
    ) -> tuple[int, int, int]:
        """Writes an export by the statement that was compiled before. Gives rows, files and bytes."""
        self.duck.set_up_as(found.before)
        return write_parquet(self.duck, found.statement, place, partition_by=partition_by, footer=footer)

    def progress(self) -> float:
        """How much of what runs is done, 0 to 100; below 0 where it cannot be told."""
        if (session := self._opened()) is not None:
            return session.progress()
        return self.duck.progress() if "duck" in self.__dict__ else -1.0

    def interrupt(self) -> None:
        """Stops what runs, from another thread."""
        if "duck" in self.__dict__:
            self.duck.interrupt()
        if (session := self._opened()) is not None:
            session.interrupt()

    def _opened(self) -> EngineSession | None:
        elsewhere = self.__dict__.get("elsewhere")
        return elsewhere.opened if isinstance(elsewhere, Elsewhere) else None

    def close(self) -> None:
        """Ends the engine's session and removes temporary files."""
        if "sources" in self.__dict__:
            self.sources.close()
        if "elsewhere" in self.__dict__ and self.elsewhere is not None:
            self.elsewhere.close()
        if "duck" in self.__dict__:
            self.duck.close()


def _gives_a_row_a_period(plan: Plan) -> bool:
    """Whether a plan gives one row for each period, or one alone."""
    return not {column.role for column in plan.output.columns} & {"dimension", "column"}


def _gives_few(plan: Plan) -> bool:
    """Whether a plan gives some hundred rows at most: a row for each period, or as many as it is limited to."""
    output = plan.output
    if output.limit is not None and not output.per and output.limit <= FEW:
        return True
    periods = {column.name for column in output.columns if column.role == "period"}
    return _gives_a_row_a_period(plan) and periods <= {"week", "month", "quarter", "year"}


def engine_of(spec: ProjectSpec, plugins: Plugins) -> Engine | None:
    """The plugin of the project's engine; None for DuckDB. DefinitionError where there is none of that name."""
    name = spec.engine or EMBEDDED
    if name == EMBEDDED:
        return None
    engine = plugins.engine(name)
    if engine is None:
        raise DefinitionError(Problem(spec.places.get("engine", NOWHERE), no_engine(name, plugins)))
    return engine


def with_engine(spec: ProjectSpec, chosen: Chosen, plugins: Plugins) -> ProjectSpec:
    """The project, to run on another engine where one is given.

    Raises UsageError where there is none, or settings that it needs are neither given nor in kpi.yaml.
    """
    if chosen is None:
        return spec
    if isinstance(chosen, Mapping):
        [(name, settings)] = chosen.items()
    else:
        name, settings = chosen, {}
    wanted = name.lower()
    given = spec.engines.get(wanted, EngineSpec(wanted))
    given = replace(given, options={**given.options, **{key: Option(value) for key, value in settings.items()}})
    if wanted != EMBEDDED:
        engine = plugins.engine(wanted)
        if engine is None:
            raise UsageError(no_engine(name, plugins))
        if absent := missing_settings(f'engine "{wanted}"', engine.required, given.options, NOWHERE):
            told = f"give it in kpi.yaml: engines: {{{wanted}: {{…}}}}"
            raise UsageError(*(f"{problem.message}; {told}" for problem in absent))
    return replace(spec, engine=wanted, engines={**spec.engines, wanted: given})


def no_engine(name: str, plugins: Plugins) -> str:
    """What is said of an engine that there is not."""
    return f'there is no engine "{name}"{plugins.why_missing(name, [EMBEDDED, *plugins.engines()])}'
