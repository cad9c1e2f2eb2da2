"""The model: metrics and sources of a project by name, each read and bound once, when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sqlglot import exp

from kpiengine.calendar import PERIODS, Calendar
from kpiengine.errors import DataError, DefinitionError, Place, Problem, UsageError, choices, listing, suggest
from kpiengine.formula import Formula, parse_formula
from kpiengine.kind import Kind
from kpiengine.model.paths import OutOfReach, Path, find_path
from kpiengine.model.source import Catalog, Source, bind_as_far, bind_source
from kpiengine.records import dataclass
from kpiengine.spec import MetricSpec, ProjectSpec, TargetFile
from kpiengine.spec.text import Text
from kpiengine.sqltext import Sql, parse_sql


@dataclass(frozen=True)
class KindTableName:
    """A table that a kind brings: the metric, and the part behind the dot (`members`), None for its main table."""

    metric: str
    table: str | None = None


class Model:
    """What a project means. Sources are bound lazily, so a query costs what it names and no more.

    `metrics` are the project's and the library's, the former in front. `parameters` (`--set`) replace those of
    the metrics that have a parameter of that name.
    """

    def __init__(
        self,
        spec: ProjectSpec,
        metrics: Mapping[str, MetricSpec],
        kinds: Callable[[str], Kind | None],
        catalog: Catalog,
        calendar: Calendar,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        self.spec = spec
        self.calendar = calendar
        self.catalog = catalog
        self.parameters = dict(parameters or {})
        self._kinds = kinds
        self._metrics = metrics
        self._by_lower = {name.lower(): name for name in metrics}
        self._sources: dict[str, Source] = {}
        self._formulas: dict[str, Formula] = {}
        self._filters: dict[str, tuple[Sql, ...]] = {}
        self._filled: dict[tuple[Sql, Text, tuple[tuple[str, str], ...]], Sql] = {}
        self._effective: dict[str, MetricSpec] = {}

    def with_parameters(self, parameters: Mapping[str, Any]) -> Model:
        """The same model with other values of parameters. UsageError for one that no metric has, or a text for one
        that is a number wherever it stands."""
        for name, value in parameters.items():
            own = [m.parameters[name] for m in self._metrics.values() if name in m.parameters]
            if not own:
                known = sorted({p for m in self._metrics.values() for p in m.parameters})
                raise UsageError(f'no metric has a parameter "{name}"; there are: {choices(name, known)}')
            if isinstance(value, str) and all(_is_number(each) for each in own):
                raise UsageError(f'the parameter "{name}" is a number ({own[0]}), and was given "{value}"')
        model = Model(
            self.spec, self._metrics, self._kinds, self.catalog, self.calendar, {**self.parameters, **parameters}
        )
        model._sources = self._sources
        return model

    def loosely_bound(self) -> tuple[Model, dict[str, list[Problem]]]:
        """A model in which sources are bound as far as they can be, and the problems of each source.

        It is for looking for further problems only. A source that cannot be read at all is not in it.
        """
        model = Model(self.spec, self._metrics, self._kinds, self.catalog, self.calendar, self.parameters)
        problems: dict[str, list[Problem]] = {}
        for name, spec in self.spec.sources.items():
            try:
                model._sources[name], problems[name] = bind_as_far(spec, self.catalog)
            except (DataError, DefinitionError) as error:
                problems[name] = list(error.problems)
        return model, problems

    @property
    def metrics(self) -> Mapping[str, MetricSpec]:
        """All metrics by name."""
        return self._metrics

    def find_metric(self, name: str) -> MetricSpec | None:
        """The metric of that name, whatever its case, as it stands for this project's sources."""
        spelt = self._by_lower.get(name.lower())
        if spelt is None:
            return None
        if spelt not in self._effective:
            self._effective[spelt] = self._in_force(self._metrics[spelt])
        return self._effective[spelt]

    def _in_force(self, metric: MetricSpec) -> MetricSpec:
        """The metric, or its `otherwise` where its source is one that this project does not have."""
        other = metric.otherwise
        if other is None or metric.source is None or not any(self.lacks(metric)):
            return metric
        self._formulas.pop(metric.name, None)
        self._filters.pop(metric.name, None)
        return replace(
            metric,
            source=other.source or metric.source,
            formula=other.formula or metric.formula,
            filters=other.filters if "filters" in other.given else metric.filters,
            time=other.time,
        )

    def lacks(self, metric: MetricSpec) -> Iterator[str]:
        """What the metric itself needs and the project does not have: `source: survey`, `column: survey.nps`.

        A source that cannot be opened lacks nothing here; opening it tells what is wrong.
        """
        if metric.kind and self._kinds(metric.kind) is None:
            yield f"kind: {metric.kind}"
            return
        if metric.source is None:
            return
        if metric.source not in self.spec.sources:
            yield f"source: {metric.source}"
            return
        try:
            source = self.source(metric.source)
        except (DefinitionError, DataError):
            return
        for parts in self._named_columns(metric, source):
            try:
                if len(parts) == 1 or self.kind_table(".".join(parts[:-1])) is None:
                    self.path(source, parts)
            except (OutOfReach, UsageError):
                yield f"column: {source.name}.{'.'.join(parts)}"
            except (DefinitionError, DataError):
                continue

    def _named_columns(self, metric: MetricSpec, source: Source) -> Iterator[tuple[str, ...]]:
        """The columns that a metric's texts name; nothing for texts that do not parse, which is told elsewhere."""
        trees: list[exp.Expr] = []
        try:
            trees += [f.tree for f in self.filters(metric)]
            if metric.kind:
                kind = self.kind(metric)
                options = {n: o.default for n, o in kind.options.items()} | {
                    n: o.value for n, o in metric.options.items()
                }
                exact = [t for t in kind.inputs(options).values() if source.find(t) is not None]
                texts = [t for t in kind.inputs(options).values() if t not in exact]
                trees += [parse_sql(Text(t), "").tree for t in texts]
            else:
                trees += [a.sql.tree for a in self.formula(metric).aggregates()]
        except DefinitionError:
            return
        if metric.time:
            yield (metric.time,)
        for tree in trees:
            for node in tree.find_all(exp.Column):
                if not isinstance(node.this, exp.Star) and node.name.lower() not in PERIODS:
                    yield tuple(p.name for p in node.parts)

    def metric(self, name: str) -> MetricSpec:
        """Like `find_metric`; UsageError with a suggestion where there is none."""
        found = self.find_metric(name)
        if found is None:
            raise UsageError(f'unknown metric "{name}"{suggest(name, self._metrics)}; `kpi list` shows all')
        return found

    def kind(self, metric: MetricSpec) -> Kind:
        """The kind of a kind metric."""
        found = self._kinds(metric.kind or "")
        if found is None:
            message = f'"{metric.name}" is of kind "{metric.kind}", which no plugin brings (`kpi plugins` says why)'
            raise DefinitionError(Problem(metric.places.get("kind", metric.place), message))
        return found

    def kind_table(self, name: str) -> KindTableName | None:
        """What `name` (`rfm`, `sales_funnel.members`) is as a kind's table, or None where it is none."""
        metric = self.find_metric(name)
        if metric is not None:
            return KindTableName(metric.name) if metric.kind else None
        head, _, tail = name.partition(".")
        metric = self.find_metric(head)
        if metric is None or not metric.kind or not tail:
            return None
        tables = self.kind(metric).tables
        if tail.lower() not in tables:
            raise UsageError(f'"{metric.name}" has no table "{tail}"; it has: {listing(tables)}{suggest(tail, tables)}')
        return KindTableName(metric.name, tail.lower())

    def source(self, name: str) -> Source:
        """The source of that name, bound. DefinitionError or DataError where it cannot be."""
        if name not in self._sources:
            spec = self.spec.sources.get(name)
            if spec is None:
                raise DefinitionError(
                    Problem(self.spec.places.get("sources", Place("kpi.yaml")), self._no_source(name))
                )
            self._sources[name] = bind_source(spec, self.catalog)
        return self._sources[name]

    def _no_source(self, name: str) -> str:
        targets = {f"{m.name}_targets" for m in self._metrics.values() if isinstance(m.target, TargetFile)}
        known = [each for each in self.spec.sources if each not in targets]
        return f'there is no source "{name}"; kpi.yaml has: {listing(known)}{suggest(name, known)}'

    def is_bound(self, name: str) -> bool:
        """Whether a source has been bound already."""
        return name in self._sources

    def source_of(self, metric: MetricSpec) -> Source:
        """The source that a metric aggregates."""
        place = metric.places.get("source", metric.place)
        if metric.source is None:
            known = listing(self.spec.sources)
            message = f'"{metric.name}" aggregates columns and names no source; add source: (kpi.yaml has: {known})'
            raise DefinitionError(Problem(metric.formula.at(0) if metric.formula else place, message))
        if metric.source not in self.spec.sources:
            raise DefinitionError(Problem(place, f'"{metric.name}": {self._no_source(metric.source)}'))
        return self.source(metric.source)

    def kind_of_columns(self, metric: MetricSpec, call: Sql) -> str | None:
        """The kind's table whose columns an aggregate call is over, for a metric that names no source; else None."""
        if metric.source is not None:
            return None
        columns = [n for n in call.tree.find_all(exp.Column) if not isinstance(n.this, exp.Star)]
        names = {".".join(p.name for p in n.parts[:-1]).lower() for n in columns}
        if len(names) != 1 or "" in names:
            return None
        name = names.pop()
        return name if self.kind_table(name) is not None else None

    def path(self, start: Source, parts: tuple[str, ...]) -> Path:
        """The way from a source to a column. Raises OutOfReach."""
        return find_path(start, parts, self.spec.sources, self.source)

    def formula(self, metric: MetricSpec) -> Formula:
        """The metric's formula, parsed."""
        if metric.name not in self._formulas:
            if metric.formula is None:
                raise UsageError(
                    f'"{metric.name}" is a table of its own ({metric.kind}): ask for it alone, or by {metric.name}.…'
                )
            self._formulas[metric.name] = parse_formula(metric.formula, metric.name)
        return self._formulas[metric.name]

    def filters(self, metric: MetricSpec) -> tuple[Sql, ...]:
        """The metric's own filters, parsed, names not yet bound, parameters filled in."""
        if metric.name not in self._filters:
            what = f'filter of "{metric.name}"'
            self._filters[metric.name] = tuple(parse_sql(text, what) for text in metric.filters)
        return tuple(self.filled(sql, metric) for sql in self._filters[metric.name])

    def filled(self, sql: Sql, metric: MetricSpec) -> Sql:
        """`sql` with each `$name` replaced by the value of that parameter, as a literal."""
        if not sql.has_parameters:
            return sql
        # Metrics of other metrics come by the same calls again and again.
        key = (sql, sql.text, tuple((name, repr(value)) for name, value in metric.parameters.items()))
        if key not in self._filled:
            self._filled[key] = self._with_values(sql, metric)
        return self._filled[key]

    def _with_values(self, sql: Sql, metric: MetricSpec) -> Sql:
        tree = sql.tree.copy()
        for node in list(tree.find_all(exp.Parameter, exp.Placeholder)):
            value = self.parameter(node.name, metric, sql, node)
            if isinstance(node.parent, exp.In) and node.arg_key == "field":
                tree = _among(tree, node.parent, value)
            elif node is tree:
                tree = value
            else:
                node.replace(value)
        return Sql(tree, sql.text)

    def parameter(self, name: str, metric: MetricSpec, sql: Sql, node: exp.Expr) -> exp.Expr:
        """The value of `$name` in this metric as a literal. DefinitionError where the metric has no such parameter."""
        if name not in metric.parameters:
            known = [f"${n}" for n in metric.parameters]
            message = f'"{metric.name}" has no parameter "${name}"; it has: {choices(f"${name}", known)}'
            raise DefinitionError(sql.problem(message, node))
        value = self.parameters.get(name, metric.parameters[name])
        if isinstance(value, list | tuple):
            return exp.Tuple(expressions=[exp.convert(v) for v in value])
        return exp.convert(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _among(tree: exp.Expr, test: exp.In, value: exp.Expr) -> exp.Expr:
    """`tree` in which `x in $words` stands for one word, several, or none, which nothing is among."""
    words = value.expressions if isinstance(value, exp.Tuple) else [value]
    if words:
        test.set("expressions", words)
        test.set("field", None)
        return tree
    if test is tree:
        return exp.false()
    test.replace(exp.false())
    return tree
