"""The facade: a folder of YAML, opened; queries in, results out. The only module that knows all the others."""

from __future__ import annotations

import builtins
import copy
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from kpiengine import __version__
from kpiengine.ask import QueryOptions, Texts, make_query, names
from kpiengine.calendar import Calendar
from kpiengine.catalogue import Catalogue, MetricDetail, MetricInfo, fingerprints
from kpiengine.compiled import Asked
from kpiengine.connector import Connector
from kpiengine.elsewhere import Lasting
from kpiengine.errors import DefinitionError, Problem, UsageError, choices
from kpiengine.export import Exported
from kpiengine.exporting import Exporter
from kpiengine.hide import hidden
from kpiengine.model import Model, ModelStatistics
from kpiengine.opened import Opened, find_opened, keep_opened, question
from kpiengine.passes import Context, passed, takes_for_granted
from kpiengine.plan import Plan, make_plan
from kpiengine.plan.targets import target_sources
from kpiengine.plugins import PluginInfo, Plugins, installed
from kpiengine.query import Query
from kpiengine.result import Result
from kpiengine.running import Chosen, Runner, with_engine
from kpiengine.spec import (
    CalendarSpec,
    ExportSpec,
    MetricSpec,
    ProjectSpec,
    find_project,
    read_library,
    read_project,
    resolve_extends,
)
from kpiengine.spec.find import PROJECT_FILE
from kpiengine.spec.unread import layered
from kpiengine.store import place_of

if TYPE_CHECKING:
    import pyarrow
    from typing_extensions import Unpack

    from kpiengine.metrictest import TestResult


class Project:
    """An open project. Use it as a context manager, or call `close` when done.

    Query methods take texts as the command line does: `project.query("revenue,aov", by="month", since="2026-01")`.
    They raise UsageError for what is asked wrongly, DefinitionError for YAML, DataError and EngineError for the rest.
    """

    _opened: Asked | None = None
    """The question that it was opened by, where it is what is on disk, and nothing else was put into it."""

    def __init__(self, spec: ProjectSpec, plugins: Plugins, parameters: Mapping[str, Any] | None = None) -> None:
        self.spec = spec
        self._plugins = plugins
        self._parameters = dict(parameters or {})
        self.root = Path(spec.root)
        self._library = library = read_library(plugins.metric_packages(), plugins)
        metrics, problems = resolve_extends(spec.metrics, library.metrics, plugins)
        problems += self._calendar_problems(spec)
        self.metrics = layered(library.metrics, metrics)
        looked_at = {**library.whole, **metrics}
        targets = target_sources(looked_at, lambda path: _name(plugins.connector_for(path)), spec.sources, problems)
        if problems:
            raise DefinitionError(*problems)
        self.spec = replace(spec, sources={**spec.sources, **targets})

    @classmethod
    def open(
        cls, path: str | os.PathLike[str] = ".", plugins: Plugins | None = None, engine: Chosen = None,
        **parameters: Any,
    ) -> Project:  # fmt: skip
        """The project in the folder `path` or the nearest one above it, to run on `engine` or what kpi.yaml names.

        Raises DefinitionError with all problems, UsageError for an engine that there is not.
        """
        found, root = plugins or installed(), find_project(Path(path))
        asked = question(root) if plugins is None else None
        kept = find_opened(asked, found) if asked is not None else None
        if kept is not None:
            project = cls._reopened(kept, found, engine, parameters)
            project._opened = asked
            return project
        read, problems = read_project(root, found)
        spec = with_engine(read, engine, found)

        def told(further: Iterable[Problem]) -> DefinitionError:
            return DefinitionError(*problems, *(replace(p, message=hidden(p.message, spec.secrets)) for p in further))

        try:
            project = cls(spec, found, parameters)
        except DefinitionError as error:
            raise told(error.problems) from None
        if problems:
            unread = not read.sources and any(p.place.path == PROJECT_FILE for p in problems)
            raise told(project._found_further(unread))
        if asked is not None and asked.is_current():
            project._opened = asked
            if not project._library.problems:
                whole = replace(read, sources=project.spec.sources)
                indexed = project._library.indexed
                keep_opened(asked, Opened(whole, project.metrics, indexed, tuple(found.code())), found)
        return project

    @classmethod
    def _reopened(cls, kept: Opened, plugins: Plugins, engine: Chosen, parameters: Mapping[str, Any]) -> Project:
        """A project that was opened before; what is wrong with none of it need not be looked for again."""
        project = cls.__new__(cls)
        project.spec = with_engine(kept.spec, engine, plugins)
        plugins.know_code(kept.code)
        project._plugins, project._parameters = plugins, dict(parameters)
        project.root, project.metrics = Path(kept.spec.root), kept.metrics
        return project

    def _found_further(self, unread: bool) -> builtins.list[Problem]:
        """Problems of what could be read, beside those that kept the project from opening.

        A message about a thing that could not be read is only their echo, and is left out. `unread`: the sources were
        not.
        """
        echoes = [f'"{name}"' for name in self.spec.broken] + (['there is no source "'] if unread else [])
        with self:
            return [p for p in self._catalogue.check(unreadable=False) if not any(echo in p.message for echo in echoes)]

    def _calendar_problems(self, spec: ProjectSpec) -> list[Problem]:
        if spec.calendar == CalendarSpec():
            return []
        try:
            self.spec = spec
            self.calendar  # noqa: B018  (made here, so that what is wrong with it is told with the rest)
        except DefinitionError as error:
            return list(error.problems)
        return []

    # -- what is made when it is first needed

    @cached_property
    def calendar(self) -> Calendar:
        """The project's calendar."""
        spec = self.spec.calendar
        calendars = self._plugins.calendars()
        kind = calendars.get(spec.name)
        if kind is None:
            raise DefinitionError(
                Problem(
                    spec.place,
                    f'there is no calendar "{spec.name}"; there are: {choices(spec.name, calendars)}',
                )
            )
        options = {name: option.value for name, option in spec.options.items()}
        try:
            return kind(week_starts=self.spec.week_starts, **options)
        except (TypeError, ValueError) as error:
            raise DefinitionError(Problem(spec.place, f"calendar {spec.name}: {error}")) from None

    @cached_property
    def _runner(self) -> Runner:
        return Runner(self.spec, self._plugins)

    @cached_property
    def model(self) -> Model:
        """Metrics and sources, bound."""
        model = Model(
            self.spec,
            self.metrics,
            self._plugins.kind,
            self._runner.sources,
            self.calendar,
            self._parameters,
        )
        self._runner.sources.model = model
        return model

    @cached_property
    def _catalogue(self) -> Catalogue:
        return Catalogue(self.model, self._plan, lambda plan: self._runner.text(self._runner.statement(plan)))

    @cached_property
    def _exporter(self) -> Exporter:
        def plan(query: Query) -> Plan:
            return self._checked_plan(query, to_run=True)

        def definitions(metrics: Iterable[str]) -> Mapping[str, str]:
            return fingerprints(self.model, tuple(metrics))

        return Exporter(self._runner, plan, definitions, self._opened, self._parameters, __version__)

    def bind(self, name: str, value: Any) -> None:
        """Puts an Arrow table, reader, dataset, or anything of the PyCapsule protocol in a source's place."""
        if name not in self.spec.sources:
            raise UsageError(f'there is no source "{name}" to bind; kpi.yaml has: {choices(name, self.spec.sources)}')
        self._runner.sources.bind(name, value)
        self._opened = None
        for made in ("model", "_catalogue", "_exporter"):
            self.__dict__.pop(made, None)

    def close(self) -> None:
        """Closes the engine and removes temporary files."""
        if "_runner" in self.__dict__:
            self._runner.close()

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- queries

    def query(self, metrics: Texts, by: Texts = None, **options: Unpack[QueryOptions]) -> Result:
        """The answer to a query. It is planned and bound at once; rows are read when the result is."""
        return self.run(self._asked(metrics, by, options))

    def sql(
        self, metrics: Texts, by: Texts = None, dialect: str | None = None, tables: Mapping[str, str] | None = None,
        **options: Unpack[QueryOptions],
    ) -> str:  # fmt: skip
        """The statement that answers a query, in the engine's dialect or another, and what has to run before it.

        `tables` stand in sources' places.
        """
        written = dialect or self._runner.dialect
        plan = self._checked_plan(self._asked(metrics, by, options), "" if tables else written)
        statement = self._runner.statement(plan, tables, written)
        return self._runner.preamble(statement, written) + self._runner.text(statement, written)

    def _asked(self, metrics: Texts, by: Texts, options: QueryOptions) -> Query:
        calendars = {self.calendar.name: self.calendar}
        jalali = self._plugins.calendars().get("jalali")
        if jalali is not None:
            calendars.setdefault("jalali", jalali())
        return make_query(
            metrics, by, options, timezone=self.spec.timezone, calendar=self.calendar, calendars=calendars
        )

    def run(self, query: Query) -> Result:
        """The answer to a `Query`."""
        plan = self._checked_plan(query, to_run=True)
        return self._runner.result(plan)

    def _checked_plan(self, query: Query, dialect: str | None = None, to_run: bool = False) -> Plan:
        """The plan; where a definition is wrong, every problem of the project is told, not the first alone."""
        try:
            return self._plan(query, dialect, to_run)
        except DefinitionError as error:
            others = [p for p in self._catalogue.check(unreadable=False) if p.place.line]
            raise DefinitionError(*error.problems, *others) from None

    def _plan(self, query: Query, dialect: str | None = None, to_run: bool = False) -> Plan:
        """The plan for the engine, or another dialect; an empty one: for any, whatever stands in sources' places.

        One that is to run at once may stand on what the rows are now; no text that is kept elsewhere does.
        """
        model = self.model.with_parameters(query.parameters) if query.parameters else self.model
        spoken = self._runner.dialect if dialect is None else dialect
        known = ModelStatistics(model)
        chosen = os.environ.get("KPI_PASSES", "")
        context = Context(known, known.type_of, self.calendar, spoken, takes_for_granted(chosen))
        context = replace(context, memory=lambda: self._runner.duck.memory)
        if to_run:
            context = replace(context, meets=partial(self._runner.meets, anyway=context.always))

        def collect(plan: Plan) -> pyarrow.Table:
            return self._runner.rows_for_a_plan(passed(plan, context, chosen))

        return passed(make_plan(model, query, collect, known if spoken else None, spoken), context, chosen)

    # -- exports

    def export(
        self, exports: Texts = None, out: str | os.PathLike[str] | None = None, full: bool = False,
        metrics: Texts = None, by: Texts = None, **options: Any,
    ) -> list[Exported]:  # fmt: skip
        """Writes exports of kpi.yaml (all, or those named) or, with `metrics`, one given here, to Parquet.

        `out` is the folder for exports (instead of `out/`), or the place of the one given here.
        """
        if metrics is not None:
            named, axes = names(metrics), None if by is None else names(by)
            given = ExportSpec("query", named, axes, path=str(out) if out else None, options=options)
            wanted = [(given, place_of(out) if out else self.root / "out" / "query")]
        else:
            wanted = [(spec, self._exporter.place(spec, out)) for spec in self._exports(names(exports))]
            self._exporter.refuse_overlap(out)
        # All are checked before the first is written.
        ready = [self._exporter.prepared(spec, self._export_query(spec), place) for spec, place in wanted]
        return [self._exporter.written(export) for export in ready]

    def _exports(self, wanted: tuple[str, ...]) -> builtins.list[ExportSpec]:
        """Exports of kpi.yaml by name; all where none is named."""
        known = self.spec.exports
        if not known and not wanted:
            raise UsageError("kpi.yaml has no exports; add some, or name metrics with --metric")
        if unknown := next((name for name in wanted if name not in known), None):
            raise UsageError(f'there is no export "{unknown}"; kpi.yaml has: {choices(unknown, known)}')
        return [known[name] for name in wanted or known]

    def _export_query(self, spec: ExportSpec) -> Query:
        options = cast(QueryOptions, {k: v for k, v in spec.options.items() if v is not None})
        return self._asked(spec.metrics, spec.by, options)

    def progress(self) -> float:
        """How much of what runs now is done, 0 to 100, or below 0 where the engine cannot tell."""
        return self._runner.progress() if "_runner" in self.__dict__ else -1.0

    def interrupt(self) -> None:
        """Stops what runs, from another thread."""
        if "_runner" in self.__dict__:
            self._runner.interrupt()

    # -- what there is

    def list(self) -> builtins.list[MetricInfo]:
        """Every metric, the project's first, with what it still lacks."""
        return self._catalogue.list()

    def show(self, name: str) -> MetricDetail:
        """A metric's definition, lineage and statement."""
        return self._catalogue.show(name)

    def check(self, data: bool = False) -> builtins.list[Problem]:
        """Every problem of the project's definitions; with `data`, of its rows too."""
        problems = self._catalogue.check()
        if data:
            from kpiengine.datacheck import check_data, counted, hashed

            touch = hashed if self._runner.engine is None else counted
            problems += check_data(self.model, self._runner.rows, self._runner.sources.rendered, touch)
        return sorted(dict.fromkeys(problems))

    def test(self, names: Texts = (), library: bool = False) -> builtins.list[TestResult]:
        """Runs the metric tests of the project, and with `library` those of the KPI library, over their given rows.

        `names` chooses tests by a part of their name, or by a metric that they ask for.
        """
        from kpiengine.metrictest import run_tests

        chosen = (names,) if isinstance(names, str) else tuple(names or ())
        of_library = read_library(self._plugins.metric_packages(), self._plugins).metrics if library else None
        sessions: dict[str, Lasting] = {}  # an engine's, by the time zone that they are opened with

        def over(spec: ProjectSpec, metrics: Mapping[str, MetricSpec]) -> Project:
            return self._over(spec, metrics, sessions.setdefault(spec.timezone, Lasting()))

        try:
            return run_tests(chosen, self.spec, self.metrics, of_library, self._plugins, over)
        finally:
            for session in sessions.values():
                session.close()

    def _over(self, spec: ProjectSpec, metrics: Mapping[str, MetricSpec], lasting: Lasting) -> Project:
        """A project of another spec and other metrics, with this one's plugins and parameters, in a session that is
        there."""
        other = copy.copy(self)
        for made in ("calendar", "_runner", "model", "_catalogue", "_exporter", "_opened"):
            other.__dict__.pop(made, None)
        other.spec = replace(spec, engine=self.spec.engine, engines=self.spec.engines)
        other.metrics = metrics
        other.__dict__["_runner"] = Runner(other.spec, other._plugins, lasting)
        return other

    def plugins(self) -> builtins.list[PluginInfo]:
        """What is installed, from where, what it adds, and what went wrong with it."""
        return self._plugins.infos()


def _name(connector: Connector | None) -> str | None:
    return connector.name if connector else None
