"""What a test's query needs: its metrics and all that they are made of, the columns named, and the sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from sqlglot import exp

from kpiengine.calendar import PERIODS
from kpiengine.errors import DefinitionError, Problem, listing
from kpiengine.formula import Call, Formula, parse_formula
from kpiengine.spec import JoinSpec, MetricSpec, ProjectSpec, SourceSpec, TargetFile, TestSpec
from kpiengine.spec.text import Text
from kpiengine.sqltext import parse_sql

Name = tuple[str, ...]
"""A column as it is named: ("amount",) or ("customers", "channel")."""


@dataclass(frozen=True)
class Needs:
    """`metrics` by name, those of the query and all that they are made of. `columns`: metric → columns it names;
    `asked`: columns that the query itself names."""

    metrics: Mapping[str, MetricSpec]
    columns: Mapping[str, frozenset[Name]]
    asked: frozenset[Name]

    def of_source(self, source: SourceSpec, joins: Iterable[str]) -> set[str]:
        """Columns of a source that the query or a metric names. `joins` are names of joins that lead to it."""
        own = [self.columns[m.name] for m in self.metrics.values() if source.name in (m.source, _otherwise_source(m))]
        plain = {name[-1] for names in (*own, self.asked) for name in names if len(name) == 1}
        ways = {source.name.lower(), *(join.lower() for join in joins)}
        named = {n for names in (*self.columns.values(), self.asked) for n in names if len(n) > 1}
        return (plain | {name[-1] for name in named if name[-2].lower() in ways}) - set(PERIODS)


def needs_of(test: TestSpec, spec: ProjectSpec, metrics: Mapping[str, MetricSpec]) -> Needs:
    """What a test needs. Raises DefinitionError, at the test, for each source that it needs and does not give."""
    by_lower = {name.lower(): metric for name, metric in metrics.items()}
    asked = frozenset(_asked_columns(test))
    found: dict[str, MetricSpec] = {}
    columns: dict[str, frozenset[Name]] = {}
    waiting = [_metric_of(name, by_lower) for name in test.query["metrics"]]
    waiting += [_kind_of(name, by_lower) for name in asked]
    while waiting:
        metric = waiting.pop()
        if metric is None or metric.name in found:
            continue
        found[metric.name] = _for_test(metric, test, spec)
        columns[metric.name] = frozenset(_columns_of(metric))
        waiting += [by_lower.get(name.lower()) for name in _references(metric)]
        waiting += [_kind_of(name, by_lower) for name in columns[metric.name]]
    needs = Needs(found, columns, asked)
    problems = [Problem(test.place, text) for text in dict.fromkeys(_not_given(needs, test, spec))]
    if problems:
        raise DefinitionError(*problems)
    return needs


def _metric_of(name: str, by_lower: Mapping[str, MetricSpec]) -> MetricSpec | None:
    """The metric that `revenue`, or `sales_funnel.members`, names."""
    return by_lower.get(name.lower()) or by_lower.get(name.partition(".")[0].lower())


def _kind_of(name: Name, by_lower: Mapping[str, MetricSpec]) -> MetricSpec | None:
    """The metric of a kind in whose table the column `name` is (`rfm.segment`)."""
    found = by_lower.get(name[0].lower()) if len(name) > 1 else None
    return found if found is not None and found.kind else None


def _for_test(metric: MetricSpec, test: TestSpec, spec: ProjectSpec) -> MetricSpec:
    """The metric without its stand-in where the project has the source, and the test alone does not give it: it would
    be another metric than the one that the project has."""
    hidden = metric.source in spec.sources and metric.source not in test.given
    return replace(metric, otherwise=None) if metric.otherwise and hidden else metric


def _not_given(needs: Needs, test: TestSpec, spec: ProjectSpec) -> Iterator[str]:
    askers: dict[str | None, list[str]] = {}
    for metric in needs.metrics.values():
        possible = {metric.source, _otherwise_source(metric)} - {None}
        if possible and not possible & test.given.keys():
            askers.setdefault(metric.source, []).append(metric.name)
    for source, names in askers.items():
        yield f'source "{source}" is needed, by {listing(names)}, and the test does not give it'
    for name in dict.fromkeys(_target_files(needs, test)):
        if f"{name}_targets" not in test.given:
            yield f'the targets of "{name}" stand in a file, which the test does not give: give "{name}_targets"'
    prefixes = {n[:-1] for names in (*needs.columns.values(), needs.asked) for n in names if len(n) > 1}
    for prefix in sorted(prefixes):
        last = prefix[-1].lower()
        ways = [way for start in test.given for way in _ways(start, spec.sources) if last in _ends(way)]
        missing = [next((join.to for join in way if join.to not in test.given), None) for way in ways]
        if missing and missing[0] and all(missing):
            yield f'source "{missing[0]}" is needed, by "{".".join(prefix)}.…", and the test does not give it'


def _target_files(needs: Needs, test: TestSpec) -> Iterator[str]:
    """Metrics whose targets are asked for, by `targets: true` or by target(…), and stand in a file."""
    named = set(test.query["metrics"]) if test.query.get("targets") else set()
    for metric in needs.metrics.values():
        named |= set(_targets(_formula(metric)))
    wanted = {name.lower() for name in named}
    return (m.name for m in needs.metrics.values() if m.name.lower() in wanted and isinstance(m.target, TargetFile))


def _targets(formula: Formula | None) -> Iterator[str]:
    for atom in formula.atoms if formula else ():
        if isinstance(atom, Call):
            if atom.function == "target":
                yield from (reference.name for reference in atom.inner.references())
            yield from _targets(atom.inner)


def _ends(way: tuple[JoinSpec, ...]) -> tuple[str, str]:
    return way[-1].name.lower(), way[-1].to.lower()


def _ways(start: str, sources: Mapping[str, SourceSpec], seen: Name = ()) -> Iterator[tuple[JoinSpec, ...]]:
    """Every chain of joins from a source that visits no source twice."""
    for join in sources[start].joins.values() if start in sources else ():
        if join.to not in (*seen, start):
            yield (join,)
            yield from ((join, *rest) for rest in _ways(join.to, sources, (*seen, start)))


def _otherwise_source(metric: MetricSpec) -> str | None:
    return metric.otherwise.source if metric.otherwise else None


# -- names in texts


def _asked_columns(test: TestSpec) -> Iterator[Name]:
    for key in ("by", "where", "having"):
        for text in test.query.get(key) or ():
            yield from column_names(text)


def _columns_of(metric: MetricSpec) -> Iterator[Name]:
    for spec in (metric, metric.otherwise):
        if spec is None:
            continue
        if spec.time:
            yield (spec.time,)
        for text in spec.filters:
            yield from column_names(text)
        formula = _formula(spec)
        for aggregate in formula.aggregates() if formula else ():
            yield from _in_tree(aggregate.sql.tree)
    for option in metric.options.values():
        if option.text is not None and isinstance(option.value, str):
            yield from column_names(option.text)


def _references(metric: MetricSpec) -> Iterator[str]:
    for spec in (metric, metric.otherwise):
        formula = _formula(spec) if spec else None
        yield from (reference.name for reference in formula.references()) if formula else ()


def _formula(metric: MetricSpec) -> Formula | None:
    """The metric's formula; None where it has none, or one that cannot be read, which is told when it is asked for."""
    try:
        return parse_formula(metric.formula, metric.name) if metric.formula else None
    except DefinitionError:
        return None


def column_names(text: Text | str) -> Iterator[Name]:
    """Columns that an expression names; nothing for a text that is none, which is told elsewhere."""
    try:
        yield from _in_tree(parse_sql(text if isinstance(text, Text) else Text(text), "").tree)
    except DefinitionError:
        return


def _in_tree(tree: exp.Expr) -> Iterator[Name]:
    for node in tree.find_all(exp.Column):
        if not isinstance(node.this, exp.Star):
            yield tuple(part.name for part in node.parts)
