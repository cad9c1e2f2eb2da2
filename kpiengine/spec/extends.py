"""`extends`: metrics that start from another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kpiengine.errors import Problem, suggest
from kpiengine.spec.known import KnownPlugins
from kpiengine.spec.metric import METRIC_FIELDS, check_kind, without_formula_keys
from kpiengine.spec.specs import MetricSpec

ADDED_TO = ("filters", "parameters", "extends", "otherwise")
"""Keys that do more than replace the base's."""


def resolve_extends(
    metrics: Mapping[str, MetricSpec], library: Mapping[str, MetricSpec], plugins: KnownPlugins
) -> tuple[dict[str, MetricSpec], list[Problem]]:
    """`metrics` with every `extends` carried out, and what is wrong with them.

    A name is looked for among `metrics`, then in `library`; a metric that extends its own name starts from the
    library's. Metrics that cannot be resolved are left out, unless they have a formula or a kind of their own.
    """
    resolver = _Resolver(metrics, library, plugins)
    done = {name: resolver.resolved(spec) for name, spec in metrics.items()}
    return {name: spec for name, spec in done.items() if spec.formula or spec.kind}, sorted(resolver.problems)


class _Resolver:
    def __init__(
        self, metrics: Mapping[str, MetricSpec], library: Mapping[str, MetricSpec], plugins: KnownPlugins
    ) -> None:
        self.plugins = plugins
        self.own = {name.lower(): spec for name, spec in metrics.items()}
        self.library = library
        self.in_library = {name.lower(): name for name in library}
        self.names = [*metrics, *library]
        self.problems: list[Problem] = []
        self.done: dict[int, MetricSpec] = {}
        self.failed: set[int] = set()

    def resolved(self, spec: MetricSpec) -> MetricSpec:
        """The metric with its bases folded in, the furthest first."""
        chain: list[MetricSpec] = []
        below: MetricSpec | None = spec
        while below is not None and id(below) not in self.done:
            if any(below is passed for passed in chain):
                self.report_cycle(chain, below)
                below = None
                break
            chain.append(below)
            below = self.base(below) if below.extends else None
        base = self.done[id(below)] if below is not None else None
        lost = below is not None and id(below) in self.failed
        for link in reversed(chain):
            lost = lost or (base is None and link.extends is not None)
            base = self.fold(link, base, lost)
        return self.done[id(spec)]

    def fold(self, spec: MetricSpec, base: MetricSpec | None, lost: bool) -> MetricSpec:
        """One link of a chain. A metric whose base is missing is not checked: that is one problem, not five."""
        result = extended(spec, base) if spec.extends and base else spec
        if lost:
            self.failed.add(id(spec))
        elif spec.extends:
            result = check_kind(result, self.plugins, self.problems)
        self.done[id(spec)] = result
        return result

    def base(self, spec: MetricSpec) -> MetricSpec | None:
        wanted = (spec.extends or "").lower()
        itself = wanted == spec.name.lower()
        inside = spec is not self.own.get(spec.name.lower())  # a library's metric knows its library alone
        found = None if itself or inside else self.own.get(wanted)
        if found is None and not (itself and inside):
            found = self.library.get(self.in_library.get(wanted, ""))
        if found is None:
            self.report_missing(spec, itself)
        return found

    def report_missing(self, spec: MetricSpec, itself: bool) -> None:
        if itself:
            message = f'metric "{spec.name}" extends itself, and the library has no metric of that name'
        else:
            near = suggest(spec.extends or "", (name for name in self.names if name != spec.name))
            message = f'metric "{spec.name}" extends "{spec.extends}", and no metric bears that name{near}'
        self.problems.append(Problem(spec.places.get("extends", spec.place), message))

    def report_cycle(self, chain: list[MetricSpec], again: MetricSpec) -> None:
        start = next(index for index, spec in enumerate(chain) if spec is again)
        cycle = chain[start:]
        first = min(cycle, key=lambda spec: spec.place)  # told at the same place, whichever metric came upon it
        index = cycle.index(first)
        names = " → ".join(spec.name for spec in (*cycle[index:], *cycle[:index], first))
        message = f'metric "{first.name}" extends itself: {names}'
        self.problems.append(Problem(first.places.get("extends", first.place), message))


def extended(spec: MetricSpec, base: MetricSpec) -> MetricSpec:
    """`base` with the keys that `spec` gives in place of its own, and the filters of both."""
    fields = {key: getattr(spec, key) for key in spec.given if key in METRIC_FIELDS and key not in ADDED_TO}
    changes: dict[str, Any] = {
        **fields,
        "name": spec.name,
        "filters": (*base.filters, *spec.filters),
        "parameters": {**base.parameters, **spec.parameters},
        "given": base.given | spec.given,
        "place": spec.place,
        "places": {**base.places, **spec.places},
        "library": spec.library,
        "extends": None,
        "bases": (base.name, *base.bases),
        "otherwise": _otherwise(spec, base),
    }
    kind = None if spec.formula else spec.kind or base.kind
    same_kind = kind is not None and kind == base.kind
    changes |= {"kind": kind, "options": {**(base.options if same_kind else {}), **spec.options}}
    if kind:
        changes |= without_formula_keys(spec)
    return replace(base, **changes)


def _otherwise(spec: MetricSpec, base: MetricSpec) -> MetricSpec | None:
    """A new formula or source makes the base's stand-in meaningless; added filters hold for it too."""
    if "otherwise" in spec.given:
        return spec.otherwise
    other = base.otherwise
    if other is None or spec.given & {"formula", "source", "kind"}:
        return None
    return replace(other, name=spec.name, filters=(*other.filters, *spec.filters) if other.filters else ())
