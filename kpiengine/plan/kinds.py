"""A kind's table as steps: its rows bound like any metric's, then the steps that the plugin makes of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from kpiengine.errors import DefinitionError, PluginError, Problem, UsageError
from kpiengine.kind import PORTABLE, Cte, Kind, KindColumn, KindContext
from kpiengine.kind import Rows as KindRows
from kpiengine.model import Column, Model, TypeFault
from kpiengine.model.model import KindTableName
from kpiengine.model.source import quoted
from kpiengine.plan.dimensions import Dimension
from kpiengine.plan.expressions import column, day_of, period_of
from kpiengine.plan.rows import Rows
from kpiengine.plan.scans import KindTableStep, Workspace
from kpiengine.plan.steps import Given, Named, Output, OutputColumn, Plan, Select
from kpiengine.records import dataclass
from kpiengine.spec import MetricSpec
from kpiengine.spec.text import Text
from kpiengine.sqltext import Sql, parse_sql
from kpiengine.statistics import Bounds, NothingKnown, Statistics

if TYPE_CHECKING:
    import pyarrow

Collect = Callable[[Plan], "pyarrow.Table"]


@dataclass(frozen=True)
class PlannedKind:
    """A kind's table in a workspace: its last step, the columns with their types, and the order of its rows."""

    step: str
    columns: tuple[KindColumn, ...]
    types: Mapping[str, str]
    order: tuple[str, ...]
    entity: str


def option_values(model: Model, metric: MetricSpec) -> dict[str, Any]:
    """The kind's options with their defaults, as plain values; `$name` in them is not looked at."""
    kind = model.kind(metric)
    values = {name: option.default for name, option in kind.options.items()}
    values |= {name: option.value for name, option in metric.options.items()}
    if "source" in values:
        values["source"] = metric.source
    return values


def entity_name(kind: Kind, options: Mapping[str, Any]) -> str:
    """The name of the column that tells a kind's rows apart: the source's, where the option is a plain name."""
    option = kind.entity(options)
    if option is None:
        return ""
    written = str(options.get(option) or option)
    return written.strip('"') if written.strip('"').replace("_", "").replace(" ", "").isalnum() else option


class KindBinder:
    """Plans kinds' tables. `collect` runs a plan for a kind that has to see a summary before it can go on."""

    def __init__(
        self, model: Model, timezone: str, collect: Collect | None, known: Statistics | None = None,
        dialect: str = PORTABLE,
    ) -> None:  # fmt: skip
        self.model = model
        self.timezone = timezone
        self.collect = collect
        self.known: Statistics = known or NothingKnown()
        self.dialect = dialect
        self._open: list[str] = []

    def __call__(self, space: Workspace, name: str) -> KindTableStep | None:
        """The table as a step that rows can be linked with, by its entity."""
        table = self.model.kind_table(name)
        if table is None:
            return None
        planned = self.plan(space, table, ())
        if planned.entity not in {c.name for c in planned.columns}:
            raise UsageError(
                f'"{name}" has no rows per entity, so it is no dimension; query it as a table: kpi query {name}'
            )
        columns = tuple(Column(c.name, planned.types.get(c.name, "DOUBLE"), quoted(c.name)) for c in planned.columns)
        return KindTableStep(planned.step, planned.entity, columns)

    def plan(self, space: Workspace, table: KindTableName, by: Sequence[Dimension]) -> PlannedKind:
        """The table's steps, added to the workspace."""
        if table.metric in self._open:
            raise DefinitionError(Problem(self.model.metric(table.metric).place, f'"{table.metric}" needs itself'))
        self._open.append(table.metric)
        try:
            return self._plan(space, table, by)
        finally:
            self._open.pop()

    def check(self, metric: MetricSpec) -> None:
        """Binds what a kind reads, and no more. Raises DefinitionError."""
        space = Workspace(self.model, self.timezone, None, self)
        kind, options = self.model.kind(metric), option_values(self.model, metric)
        rows, columns, _ = self._inputs(space, metric, kind, options, ())
        self._types(metric, rows, columns)

    def _plan(self, space: Workspace, table: KindTableName, by: Sequence[Dimension]) -> PlannedKind:
        metric = self.model.metric(table.metric)
        kind, options = self.model.kind(metric), option_values(self.model, metric)
        rows, columns, filters = self._inputs(space, metric, kind, options, by)
        types = self._types(metric, rows, columns)
        name = space.unique(f"{metric.name}_input".lower())
        space.later(lambda: [*rows.steps(), Select(name, rows.step, columns, filters=filters)])
        as_of = space.as_of or _date(options.get("as_of"))
        context = KindContext(
            name=metric.name.lower(), options=options, rows=name, types=types, calendar=self.model.calendar,
            by=tuple(d.name for d in by), as_of=as_of, table=table.table, entity=entity_name(kind, options),
            collect=lambda ctes: self._collected(table, by, ctes, space.as_of),
            day=lambda c: day_of(column(c), types.get(c, "DATE"), self.timezone),
            period=lambda c, time: self._period(c, time, by, _axis(columns, kind, options), types),
            is_key=lambda c: _is_key(rows, columns, c),
            bounds=lambda c: _bounds(rows, columns, c), row_count=self.known.rows(rows.source.name),
            dialect=self.dialect,
        )  # fmt: skip
        made = kind.compile(context)
        if not made.ctes:
            raise PluginError(f'kind "{kind.name}" gave no table for "{metric.name}"')
        steps = [Given(cte) for cte in made.ctes]
        for step in steps:
            space.unique(step.name)
        space.later(lambda: list(steps))
        return PlannedKind(
            steps[-1].name,
            made.columns,
            self._result_types(name, types, made.ctes),
            made.order,
            entity_name(kind, options),
        )

    def _period(
        self, name: str, time: exp.Expr, by: Sequence[Dimension], axis: str | None, types: Mapping[str, str]
    ) -> exp.Expr | None:
        unit = next((d.unit for d in by if d.name == name), "")
        if not unit or axis is None:
            return None
        kind = types[axis] if "ZONE" in types[axis] else "TIMESTAMP"
        return period_of(time, kind, unit, self.timezone, self.model.calendar)

    def _inputs(
        self, space: Workspace, metric: MetricSpec, kind: Kind, options: Mapping[str, Any], by: Sequence[Dimension]
    ) -> tuple[Rows, tuple[Named, ...], tuple[exp.Expr, ...]]:
        source = space.source(self.model.source_of(metric).name)
        rows = Rows(space, source, space.unique(f"{metric.name}_joined".lower()))
        problems: list[Problem] = []
        time_input = kind.time(options)
        columns: list[Named] = []
        axis: str | None = None
        for name, text in kind.inputs(options).items():
            sql, what = self._input_sql(metric, name, text)
            bound = rows.bind(sql, what, None, problems)
            columns.append(Named(name, bound))
            if name == time_input and isinstance(bound, exp.Column):
                axis = bound.name
        for dimension in by:
            key = rows.period(dimension.unit, axis) if dimension.unit else rows.find(dimension.parts)
            columns.append(Named(dimension.name, key if key is not None else exp.null()))
        what = f'filter of "{metric.name}"'
        filters = [rows.bind(f, what, axis, problems) for f in self.model.filters(metric)]
        if problems:
            raise DefinitionError(*problems)
        day = space.as_of or _date(options.get("as_of"))
        late = _with_as_of(rows, axis, day)
        return rows, tuple(columns), (*filters, *late)

    def _input_sql(self, metric: MetricSpec, name: str, text: str) -> tuple[Sql, str]:
        place = metric.options[name].place if name in metric.options else metric.place
        what = f'"{name}" of "{metric.name}"'
        source = self.model.source_of(metric)
        exact = source.find(text)
        if exact is not None:
            return Sql(quoted(exact.name), Text(text, place)), what
        return self.model.filled(parse_sql(Text(text, place), what), metric), what

    def _types(self, metric: MetricSpec, rows: Rows, columns: Sequence[Named]) -> dict[str, str]:
        try:
            types = self.model.catalog.types(rows.types, [c.expression for c in columns])
        except TypeFault as fault:
            raise DefinitionError(
                Problem(metric.place, f'"{columns[fault.index].name}" of "{metric.name}": {fault.reason}')
            ) from None
        return {c.name: t for c, t in zip(columns, types, strict=True)}

    def _result_types(self, rows: str, types: Mapping[str, str], ctes: Sequence[Cte | KindRows]) -> Mapping[str, str]:
        return self.model.catalog.query_types(rows, types, [(c.name, _without_rows(c).query) for c in ctes])

    def _collected(
        self, table: KindTableName, by: Sequence[Dimension], ctes: Sequence[Cte | KindRows], as_of: dt.date | None
    ) -> pyarrow.Table:
        """The rows of the last of `ctes`, run on their own."""
        if self.collect is None:
            raise UsageError(f'"{table.metric}" has to see its data first, and nothing is to be run here')
        space = Workspace(self.model, self.timezone, as_of, self)
        metric = self.model.metric(table.metric)
        kind, options = self.model.kind(metric), option_values(self.model, metric)
        rows, columns, filters = self._inputs(space, metric, kind, options, by)
        types = self._types(metric, rows, columns)
        name = f"{metric.name}_input".lower()
        result = self._result_types(name, types, ctes)
        steps = [*space.shared_steps(), *rows.steps(), Select(name, rows.step, columns, filters=filters)]
        given = [Given(c) for c in ctes]
        shown = Select("", given[-1].name, tuple(Named(c, column(c)) for c in result))
        output = Output((shown,), tuple(OutputColumn(c, "column") for c in result))
        return self.collect(Plan((*steps, *given), output, space.checks(), space.sources()))


def _with_as_of(rows: Rows, axis: str | None, day: dt.date | None) -> list[exp.Expr]:
    space = rows.space
    if day is None or axis is None:
        return []
    before, space.as_of = space.as_of, day
    try:
        return rows.as_of_filters(axis)
    finally:
        space.as_of = before


def _axis(columns: Sequence[Named], kind: Kind, options: Mapping[str, Any]) -> str | None:
    """The input that is the time axis, where it is a column: else a period is cut from the source's own time."""
    made = next((c for c in columns if c.name == kind.time(options)), None)
    return made.name if made is not None and isinstance(made.expression, exp.Column) else None


def _is_key(rows: Rows, columns: Sequence[Named], name: str) -> bool:
    made = next((c.expression for c in columns if c.name == name), None)
    return isinstance(made, exp.Column) and rows.is_key(made.name)


def _bounds(rows: Rows, columns: Sequence[Named], name: str) -> Bounds | None:
    """What is proven of an input that is a column; what is computed of columns is not known."""
    made = next((c.expression for c in columns if c.name == name), None)
    return rows.bounds(made.name) if isinstance(made, exp.Column) else None


def _without_rows(cte: Cte | KindRows) -> Cte | KindRows:
    """The same columns: types are told by the Arrow schema, and thousands of rows need not be written for them."""
    return KindRows(cte.name, cte.table.schema.empty_table()) if isinstance(cte, KindRows) else cte


def _date(value: Any) -> dt.date | None:
    if value is None or isinstance(value, dt.date):
        return value
    return dt.date.fromisoformat(str(value))


__all__ = ["Collect", "KindBinder", "PlannedKind", "entity_name", "option_values", "replace"]
