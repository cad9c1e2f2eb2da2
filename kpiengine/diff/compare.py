"""Which metrics were added, removed, or mean something else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlglot

from kpiengine.diff.meaning import (
    Facts,
    KeyChange,
    changes,
    columns_of,
    made_of,
    metric_facts,
    normal,
    project_facts,
    source_facts,
    sources_of,
)
from kpiengine.errors import KpiError, Place
from kpiengine.project import Project
from kpiengine.spec import MetricSpec


@dataclass(frozen=True)
class MetricChange:
    """A metric that was "added", "removed" or "changed".

    `keys` are the keys of its own that changed, `through` the metrics ("revenue"), sources ("source orders") and
    settings ("timezone") by which it changed else. `old` and `new` are its definitions, key by key. `place` is that
    of the new one, or of the old one where it was removed.
    """

    name: str
    change: str
    place: Place
    keys: tuple[KeyChange, ...] = ()
    through: tuple[str, ...] = ()
    old: Mapping[str, str] | None = None
    new: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Difference:
    """`metrics`, sorted by name; `sources` and `settings` are what changed of those that changed metrics stand on."""

    metrics: tuple[MetricChange, ...]
    sources: Mapping[str, tuple[KeyChange, ...]]
    settings: tuple[KeyChange, ...]


def compare(old: Project, new: Project) -> Difference:
    """What changed from one version of a project to another.

    A metric that lacks a source or a column (`kpi list` says which) is not there. One whose definition, or anything
    below it, says something else has changed, unless the statements that it compiles to are still the same.
    """
    before, after = _usable(old), _usable(new)
    sources = _source_changes(old, new)
    settings = changes(project_facts(old.spec), project_facts(new.spec))
    found: list[MetricChange] = []
    for key in sorted(before.keys() | after.keys()):
        was, now = before.get(key), after.get(key)
        if was is None and now is not None:
            found.append(MetricChange(now.name, "added", now.place, new=_shown(metric_facts(now))))
        elif now is None and was is not None:
            found.append(MetricChange(was.name, "removed", was.place, old=_shown(metric_facts(was))))
        elif was is not None and now is not None:
            change = _change(old, new, was, now, sources, settings)
            found += [change] if change and not _same_statements(old, new, change) else []
    named = {name for change in found for name in change.through}
    return Difference(
        tuple(found),
        {name: keys for name, keys in sources.items() if f"source {name}" in named},
        tuple(setting for setting in settings if setting.key in named),
    )


def _usable(project: Project) -> dict[str, MetricSpec]:
    names = [info.name for info in project.list() if not info.needs]
    return {name.lower(): project.model.metric(name) for name in names}


def _shown(facts: Facts) -> dict[str, str]:
    return {key: said.shown for key, said in facts.items()}


def _source_changes(old: Project, new: Project) -> dict[str, tuple[KeyChange, ...]]:
    found: dict[str, tuple[KeyChange, ...]] = {}
    for name in dict.fromkeys([*old.spec.sources, *new.spec.sources]):
        was, now = old.spec.sources.get(name), new.spec.sources.get(name)
        keys = changes(source_facts(was) if was else {}, source_facts(now) if now else {})
        if keys:
            found[name] = keys
    return found


def _change(
    old: Project,
    new: Project,
    was: MetricSpec,
    now: MetricSpec,
    sources: Mapping[str, tuple[KeyChange, ...]],
    settings: tuple[KeyChange, ...],
) -> MetricChange | None:
    """What the definitions tell of a change, before anything is compiled; None where there is none."""
    facts = metric_facts(was), metric_facts(now)
    keys = changes(*facts)
    below_was, below_now = made_of(old.model, was), made_of(new.model, now)
    below = [
        name
        for name in below_was.keys() & below_now.keys()
        if changes(metric_facts(below_was[name]), metric_facts(below_now[name]))
    ]
    old_metrics, new_metrics = {**below_was, was.name: was}, {**below_now, now.name: now}
    stands_on = sources_of(old.model, old_metrics) | sources_of(new.model, new_metrics)
    columns = columns_of(old.model, old_metrics, stands_on) | columns_of(new.model, new_metrics, stands_on)
    through = [
        *sorted(below),
        *(f"source {n}" for n, found in sources.items() if n in stands_on and any(_matters(k, columns) for k in found)),
        *(setting.key for setting in settings),
    ]
    if not keys and not through:
        return None
    return MetricChange(now.name, "changed", now.place, keys, tuple(through), _shown(facts[0]), _shown(facts[1]))


def _matters(change: KeyChange, columns: set[str]) -> bool:
    """Whether a change of a source can be seen by one who names these columns."""
    kind, _, name = change.key.partition(".")
    return kind != "columns" or name.lower() in columns


# -- what they compile to

_NOT_COMPILED = ("unit", "better", "near", "target", "grain")
"""Keys of a metric that its statements do not show."""


def _same_statements(old: Project, new: Project, change: MetricChange) -> bool:
    """Whether a metric compiles to the same statements as before. False where it does not compile."""
    if any(key.key in _NOT_COMPILED for key in change.keys):
        return False
    compared = [
        (before, after)
        for by in (None, "none", "month")
        if (before := _statement(old, change.name, by)) != (after := _statement(new, change.name, by))
        or before is not None
    ]
    return bool(compared) and all(before == after for before, after in compared)


def _statement(project: Project, name: str, by: str | None) -> str | None:
    try:
        text = project.sql(name, by=by)
    except KpiError:
        return None
    return normal(sqlglot.parse_one(text, dialect="duckdb"))


__all__ = ["Difference", "MetricChange", "compare"]
