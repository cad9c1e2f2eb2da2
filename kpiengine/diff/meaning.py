"""What a definition says, apart from how it is written: two that say the same are equal here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from kpiengine.errors import DefinitionError
from kpiengine.model import Model
from kpiengine.spec import MetricSpec, ProjectSpec, SourceSpec, TargetFile
from kpiengine.spec.text import Text
from kpiengine.sqltext import parse_sql


@dataclass(frozen=True)
class KeyChange:
    """A key of a metric, a source or the project whose meaning changed; None where it is not given."""

    key: str
    old: str | None
    new: str | None

    def __str__(self) -> str:
        """`formula: sum(amount) → sum(amount - discount)`."""
        return f"{self.key}: {_line(self.old)} → {_line(self.new)}"


@dataclass(frozen=True)
class Said:
    """A value as it is written (`shown`), and what it says (`meaning`)."""

    shown: str
    meaning: Any


Facts = Mapping[str, Said]
_BLANK = MetricSpec("")
"""A metric with the defaults of all keys."""


def changes(old: Facts, new: Facts) -> tuple[KeyChange, ...]:
    """The keys that say something else."""
    found = []
    for key in dict.fromkeys([*old, *new]):
        before, after = old.get(key), new.get(key)
        if (before and before.meaning) != (after and after.meaning):
            found.append(KeyChange(key, before.shown if before else None, after.shown if after else None))
    return tuple(found)


def metric_facts(metric: MetricSpec) -> Facts:
    """What a metric itself says. Label, description, owner and tags are no part of its meaning."""
    facts: dict[str, Said] = {}
    for key in ("kind", "source", "time", "unit", "fill", "better", "near"):
        value = getattr(metric, key)
        if value != getattr(_BLANK, key):
            facts[key] = Said(str(value), value)
    if metric.formula:
        facts["formula"] = _sql(metric.formula, trailing_where=True)
    if metric.filters:
        facts["filters"] = _conditions(metric.filters)
    if metric.grain:
        facts["grain"] = Said(", ".join(metric.grain), tuple(name.lower() for name in metric.grain))
    if metric.target is not None:
        target = metric.target.path if isinstance(metric.target, TargetFile) else metric.target
        facts["target"] = Said(str(target), target)
    facts |= {name: Said(str(option.shown), option.value) for name, option in metric.options.items()}
    facts |= {f"${name}": Said(str(value), value) for name, value in metric.parameters.items()}
    return facts


def source_facts(source: SourceSpec) -> Facts:
    """What a source says."""
    shown = ", ".join(f"{name}: {option.shown}" for name, option in source.options.items())
    meant = {name: option.value for name, option in source.options.items()}
    facts = {"from": Said(f"{source.connector} ({shown})", (source.connector, meant))}
    if source.key:
        facts["key"] = Said(", ".join(source.key), tuple(name.lower() for name in source.key))
    if source.time:
        facts["time"] = Said(source.time, source.time.lower())
    if source.filters:
        facts["filters"] = _conditions(source.filters)
    facts |= {f"columns.{name}": _column(text) for name, text in source.columns.items()}
    for name, join in source.joins.items():
        facts[f"joins.{name}"] = Said(f"{join.to} on {', '.join(join.on)}", (join.to, join.on))
    return facts


def project_facts(spec: ProjectSpec) -> Facts:
    """What the project says of all its metrics."""
    options = {name: option.value for name, option in spec.calendar.options.items()}
    shown = f"{spec.calendar.name} {options}" if options else spec.calendar.name
    facts = {
        "timezone": Said(spec.timezone, spec.timezone),
        "calendar": Said(shown, (spec.calendar.name, options)),
    }
    if spec.week_starts:
        facts["week_starts"] = Said(spec.week_starts, spec.week_starts)
    return facts


def made_of(model: Model, metric: MetricSpec) -> dict[str, MetricSpec]:
    """All metrics that a metric is made of, at any depth, itself left out; by name."""
    found: dict[str, MetricSpec] = {}
    waiting = [metric]
    while waiting:
        for name in _named(model, waiting.pop()):
            other = model.find_metric(name)
            if other is not None and other.name != metric.name and other.name not in found:
                found[other.name] = other
                waiting.append(other)
    return found


def _named(model: Model, metric: MetricSpec) -> Iterator[str]:
    """Metrics that a formula names, and kinds whose columns it or a filter names."""
    if metric.formula:
        try:
            yield from (reference.name for reference in model.formula(metric).references())
        except DefinitionError:
            return
    yield from (parts[0] for parts in _columns(model, metric) if len(parts) > 1)


def columns_of(model: Model, metrics: Mapping[str, MetricSpec], sources: set[str]) -> set[str]:
    """Names of columns that metrics and sources name, in lower case, without the joins that lead to them."""
    found = {parts[-1].lower() for metric in metrics.values() for parts in _columns(model, metric)}
    for source in (model.spec.sources[name] for name in sources if name in model.spec.sources):
        named = [*source.key, *(column for join in source.joins.values() for column in join.on)]
        found |= {name.lower() for name in [*named, *([source.time] if source.time else [])]}
        found |= {parts[-1].lower() for text in source.filters for parts in _in_text(text)}
    return found


def _columns(model: Model, metric: MetricSpec) -> Iterator[tuple[str, ...]]:
    """The columns that a metric's texts name, each with the joins in front."""
    trees: list[exp.Expr] = []
    try:
        trees += [condition.tree for condition in model.filters(metric)]
        if metric.formula:
            trees += [aggregate.sql.tree for aggregate in model.formula(metric).aggregates()]
    except DefinitionError:
        return
    if metric.time:
        yield (metric.time,)
    for tree in trees:
        yield from _in_tree(tree)
    for option in metric.options.values():
        if option.text is not None:
            yield from _in_text(option.text)


def _in_text(text: Text) -> Iterator[tuple[str, ...]]:
    try:
        yield from _in_tree(parse_sql(text, "").tree)
    except DefinitionError:
        return


def _in_tree(tree: exp.Expr) -> Iterator[tuple[str, ...]]:
    for node in tree.find_all(exp.Column):
        if not isinstance(node.this, exp.Star):
            yield tuple(part.name for part in node.parts)


def sources_of(model: Model, metrics: Mapping[str, MetricSpec]) -> set[str]:
    """The sources of metrics, and all that can be joined to them."""
    found: set[str] = set()
    waiting = [metric.source for metric in metrics.values() if metric.source]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            source = model.spec.sources.get(name)
            waiting += [join.to for join in source.joins.values()] if source else []
    return found


# -- texts


def normal(tree: exp.Expr) -> str:
    """A tree's structure in one text: no blanks, parentheses, comments or letter case of names in it."""
    bare = exp.Tuple(expressions=[tree.copy()])  # so that the tree's root can be replaced, too
    for node in list(bare.walk()):
        node.comments = None
        if isinstance(node, exp.Identifier):
            node.replace(exp.to_identifier(node.name.lower(), quoted=False))
        elif isinstance(node, exp.Paren):
            node.replace(node.this)
    return repr(bare)


def _sql(text: Text, trailing_where: bool = False) -> Said:
    try:
        return Said(text.value, normal(parse_sql(text, "", trailing_where=trailing_where).tree))
    except DefinitionError:
        return Said(text.value, text.value)


def _column(text: Text) -> Said:
    """`Customer ID` is a column as it stands, and no SQL."""
    said = _sql(text)
    return Said(said.shown, said.meaning if said.meaning != text.value else " ".join(text.value.split()))


def _conditions(texts: tuple[Text, ...]) -> Said:
    """Conditions that all hold: their order says nothing."""
    return Said("; ".join(text.value for text in texts), frozenset(_sql(text).meaning for text in texts))


def _line(value: str | None) -> str:
    return "nothing" if value is None else " ".join(value.split())
