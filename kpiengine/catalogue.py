"""What a project has: its metrics, what each lacks, where it comes from, and what is wrong with it."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence

from kpiengine.errors import DataError, DefinitionError, KpiError, Place, Problem, UsageError, listing, suggest
from kpiengine.functions import KEYED_FUNCTIONS, function_name
from kpiengine.model import Model, OutOfReach
from kpiengine.plan import Plan
from kpiengine.plan.dimensions import read_dimensions
from kpiengine.plan.facts import FactBinder
from kpiengine.plan.kinds import KindBinder, option_values
from kpiengine.plan.measures import Measures
from kpiengine.plan.scans import Workspace
from kpiengine.query import Query
from kpiengine.records import dataclass
from kpiengine.spec import JoinSpec, MetricSpec


@dataclass(frozen=True)
class MetricInfo:
    """A metric in a list. `needs` says what it lacks ("source: survey"); empty for one that can be asked for."""

    name: str
    label: Mapping[str, str]
    description: Mapping[str, str]
    unit: str | None
    grain: tuple[str, ...]
    kind: str | None
    sources: tuple[str, ...]
    library: str | None
    tags: tuple[str, ...]
    owner: str | None
    needs: tuple[str, ...]
    place: Place


@dataclass(frozen=True)
class MetricDetail:
    """A metric in full: its definition's lines, the metrics it is made of, a kind's columns, its statement."""

    info: MetricInfo
    definition: Mapping[str, str]
    uses: tuple[str, ...]
    columns: tuple[str, ...]
    sql: str | None


class Catalogue:
    """Looks at the model. `plan` plans a query, `statement` writes a plan's."""

    def __init__(self, model: Model, plan: Callable[[Query], Plan], statement: Callable[[Plan], str]) -> None:
        self.model = model
        self._plan = plan
        self._statement = statement

    def list(self) -> builtins.list[MetricInfo]:
        """All metrics: the project's in the order of its files, then the library's."""
        own = [m for m in self.model.metrics.values() if m.library is None]
        others = [m for m in self.model.metrics.values() if m.library is not None]
        return [self.info(m.name) for m in [*own, *others]]

    def info(self, name: str) -> MetricInfo:
        """One metric."""
        metric = self.model.metric(name)
        return MetricInfo(
            metric.name, metric.label, metric.description, metric.unit, metric.grain, metric.kind,
            tuple(dict.fromkeys(self._sources(metric, ()))), metric.library, metric.tags, metric.owner,
            tuple(dict.fromkeys(self.needs(metric))), metric.place,
        )  # fmt: skip

    def show(self, name: str) -> MetricDetail:
        """One metric with all that is known of it. UsageError where there is none of that name."""
        table = self.model.kind_table(name)
        metric = self.model.metric(table.metric if table else name)
        info = self.info(metric.name)
        sql = None
        if not info.needs:
            sql = self._statement(self._plan(Query((name,))))
        uses = () if metric.kind else tuple(dict.fromkeys(r.name for r in self.model.formula(metric).references()))
        columns: tuple[str, ...] = ()
        if metric.kind:
            kind = self.model.kind(metric)
            columns = tuple(
                c.name for c in kind.columns(option_values(self.model, metric), table.table if table else None)
            )
        return MetricDetail(info, _definition(metric), uses, columns, sql)

    # -- what a metric lacks

    def needs(self, metric: MetricSpec) -> Iterator[str]:
        """Sources and columns that a metric needs and the project does not have."""
        yield from self._needs(metric, ())

    def _needs(self, metric: MetricSpec, above: tuple[str, ...]) -> Iterator[str]:
        if metric.name in above:
            return
        yield from self.model.lacks(metric)
        for other in self._references(metric):
            yield from self._needs(other, (*above, metric.name))

    def _references(self, metric: MetricSpec) -> Iterator[MetricSpec]:
        if metric.kind:
            return
        try:
            formula = self.model.formula(metric)
        except KpiError:
            return
        for reference in formula.references():
            found = self.model.find_metric(reference.name)
            if found is not None:
                yield found

    def _sources(self, metric: MetricSpec, above: tuple[str, ...]) -> Iterator[str]:
        if metric.source:
            yield metric.source
        if metric.name not in above:
            for other in self._references(metric):
                yield from self._sources(other, (*above, metric.name))

    # -- what is wrong

    def check(self, unreadable: bool = True) -> builtins.list[Problem]:
        """Every problem of sources, metrics and exports that shows without reading rows.

        With `unreadable`, sources whose data cannot be opened are among them; their metrics are checked in any case.
        """
        model, of_sources = self.model.loosely_bound()
        return Catalogue(model, self._plan, self._statement)._check(of_sources, unreadable)

    def _check(self, of_sources: Mapping[str, builtins.list[Problem]], unreadable: bool) -> builtins.list[Problem]:
        problems: builtins.list[Problem] = []
        unread: set[str] = set()
        for name, found in of_sources.items():
            if self.model.is_bound(name):
                problems += found
            else:
                unread.add(name)
                problems += found if unreadable else []
            self._check_joins(name, problems)
        lost = {f'unknown column "{c}"' for n in of_sources for c in self._lost_columns(n)}
        for metric in self.model.metrics.values():
            wrong = self._wrong(self.model.metric(metric.name), unread, of_sources)
            problems += [p for p in wrong if not any(echo in p.message for echo in lost)]
        for export in self.model.spec.exports.values():
            problems += self._wrong_export(export.name)
        return sorted(dict.fromkeys(problems))

    def _lost_columns(self, name: str) -> builtins.list[str]:
        """Mapped columns that could not be bound; what is said of them has been said."""
        if not self.model.is_bound(name):
            return []
        source = self.model.source(name)
        return [c for c in source.spec.columns if source.find(c) is None]

    def _check_joins(self, name: str, problems: builtins.list[Problem]) -> None:
        specs = self.model.spec.sources
        space = self._space()
        for join in specs[name].joins.values():
            if join.to not in specs:
                message = f'join "{join.name}": there is no source "{join.to}"{suggest(join.to, specs)}'
                problems.append(Problem(join.place, message))
            elif self._can_be_joined(name, join):
                try:
                    space.join_key(join, self.model.source(name), self.model.source(join.to))
                except OutOfReach as out:
                    problems.append(Problem(join.place, str(out)))
                except DataError as error:
                    problems += [Problem(join.place, p.message) for p in error.problems]

    def _can_be_joined(self, name: str, join: JoinSpec) -> bool:
        """Whether both sides could be opened and the columns are there, so that their types can be compared."""
        if not self.model.is_bound(name) or not self.model.is_bound(join.to):
            return False
        return all(self.model.source(name).find(column) is not None for column in join.on)

    def _space(self) -> Workspace:
        return Workspace(
            self.model, self.model.spec.timezone, None, KindBinder(self.model, self.model.spec.timezone, None)
        )

    def _wrong(
        self, metric: MetricSpec, unread: set[str], of_sources: Mapping[str, builtins.list[Problem]]
    ) -> Sequence[Problem]:
        sources = set(self._sources(metric, ()))
        if metric.library is not None and (any(self.needs(metric)) or any(of_sources.get(s) for s in sources)):
            return ()
        if sources & unread:
            return self._unparsed(metric)
        waiting = list(self._waiting(metric)) if metric.library is None else []
        if waiting:
            return waiting
        try:
            if metric.kind:
                KindBinder(self.model, self.model.spec.timezone, None).check(metric)
                return ()
            measures = Measures(self.model, "month")
            measures.metric(metric.name)
            FactBinder(self._space(), Query((metric.name,)), ()).bind(measures.found)
            if metric.grain and not any(of_sources.get(s) for s in sources):
                FactBinder(self._space(), Query((metric.name,)), read_dimensions(metric.grain)).bind(measures.found)
        except DefinitionError as error:
            return error.problems
        except UsageError as error:
            place = metric.places.get("grain", metric.place)
            return [p if p.place.line else Problem(place, p.message) for p in error.problems]
        except DataError:
            return ()  # told of its source
        return ()

    def _waiting(self, metric: MetricSpec) -> Iterator[Problem]:
        """Library metrics that a metric of the project names, and that wait for something to be mapped."""
        if metric.kind:
            return
        try:
            references = list(self.model.formula(metric).references())
        except DefinitionError:
            return  # told when the metric itself is looked at
        for reference in references:
            found = self.model.find_metric(reference.name)
            lacking = list(dict.fromkeys(self.needs(found))) if found is not None and found.library else []
            if found is not None and lacking:
                told = f'"{found.name}" in formula of "{metric.name}" waits for {listing(lacking)}'
                yield reference.sql.problem(f"{told}: map it in kpi.yaml, or define {found.name} in the project")

    def _unparsed(self, metric: MetricSpec) -> Sequence[Problem]:
        """Problems of a metric's own texts, for one whose source cannot be opened."""
        try:
            if not metric.kind:
                self.model.formula(metric)
            self.model.filters(metric)
        except DefinitionError as error:
            return error.problems
        return ()

    def _wrong_export(self, name: str) -> Sequence[Problem]:
        export = self.model.spec.exports[name]
        problems: builtins.list[Problem] = []
        for asked in export.metrics:
            try:
                self.model.kind_table(asked) or self.model.metric(asked)
            except KpiError as error:
                problems += [Problem(export.place, f'export "{name}": {p.message}') for p in error.problems]
        return problems


def _definition(metric: MetricSpec) -> dict[str, str]:
    """The keys of a metric with their values as a person would write them."""
    found: dict[str, str] = {}
    if metric.kind:
        found["kind"] = metric.kind
    if metric.source:
        found["source"] = metric.source
    if metric.formula:
        found["formula"] = metric.formula.value
    if metric.filters:
        found["filters"] = "; ".join(f.value for f in metric.filters)
    if metric.time:
        found["time"] = metric.time
    if metric.grain:
        found["grain"] = ", ".join(metric.grain)
    if metric.unit:
        found["unit"] = metric.unit
    if metric.fill is not None:
        found["fill"] = str(metric.fill)
    if metric.extends:
        found["extends"] = metric.extends
    for name, option in metric.options.items():
        found[name] = str(option.value)
    for name, value in metric.parameters.items():
        found[f"${name}"] = str(value)
    return found


def fingerprints(model: Model, names: Sequence[str]) -> dict[str, str]:
    """Metric → hash of all that its meaning depends on: its definition, those it is made of, and their sources'."""
    found: dict[str, str] = {}
    for name in names:
        table = model.kind_table(name)
        metric = model.metric(table.metric if table else name)
        text = "\n".join(_meaning(model, metric, ()))
        found[name] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return found


def _meaning(model: Model, metric: MetricSpec, above: tuple[str, ...]) -> Iterator[str]:
    yield repr(sorted(_definition(metric).items()))
    source = model.spec.sources.get(metric.source or "")
    if source is not None:
        yield repr(
            (source.name, sorted((n, t.value) for n, t in source.columns.items()), [f.value for f in source.filters])
        )
        yield repr((source.key, source.time, sorted((j.name, j.to, j.on) for j in source.joins.values())))
    if metric.kind or metric.name in above:
        return
    for reference in model.formula(metric).references():
        found = model.find_metric(reference.name)
        if found is not None:
            yield from _meaning(model, found, (*above, metric.name))


__all__ = ["KEYED_FUNCTIONS", "Catalogue", "MetricDetail", "MetricInfo", "fingerprints", "function_name"]
