"""The features of the conformance suite: library metrics, kinds, time functions, calendars, functions of formulas."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from typing import Any

import yaml

from kpiengine.plugins import installed
from kpiengine.spec import MetricSpec, read_metrics_package
from kpiengine.testing.cases import Case
from kpiengine.testing.compare import CLOSE
from kpiengine.testing.conformance.data import LIBRARY_SOURCES

GRAINS: tuple[Mapping[str, Any], ...] = ({"by": "none"}, {"by": "quarter"}, {"by": "channel"})
"""What library metrics are asked by, as far as they can be."""


@dataclass(frozen=True)
class Group:
    """Features that are asked together, in the project that `case` makes.

    `features` maps each one's name to its metric; with none of these, the group is one feature, and `queries` are
    whole. Otherwise the metrics are asked in one query for each of `queries`, which say by what. `needs` is a module
    that has to be importable for DuckDB to answer. `close` is how far floats may be apart, relative to the larger: more
    than `CLOSE` for a model that is fitted to sums whose last digits differ.
    """

    family: str
    name: str
    case: Case
    queries: tuple[Mapping[str, Any], ...]
    features: Mapping[str, str] = field(default_factory=dict)
    needs: str = ""
    close: float = CLOSE

    def __str__(self) -> str:
        return f"{self.family}: {self.name}" if self.name else self.family

    @property
    def names(self) -> tuple[str, ...]:
        """The features, as messages and tables name them."""
        return tuple(f"{self.family}: {name}" for name in self.features) or (str(self),)


@functools.cache
def groups() -> tuple[Group, ...]:
    """All features, in the order of the documentation."""
    return (*_written(), *_of_functions(), *_of_the_library())


@functools.cache
def _read(name: str) -> dict[str, Any]:
    text = files("kpiengine.testing.conformance").joinpath(name).read_text("utf-8")
    found: dict[str, Any] = yaml.load(text, Loader=_Texts)
    return found


class _Texts(yaml.SafeLoader):
    """YAML whose dates stay as they are written."""


_Texts.yaml_implicit_resolvers = {
    first: [(tag, rule) for tag, rule in pairs if not tag.endswith(":timestamp")]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def _project() -> Case:
    given = _read("shop.yaml")["given"]
    sources = {**given["kpi"]["sources"], **LIBRARY_SOURCES}
    return Case("conformance", "project", {**given["kpi"], "sources": sources}, given["metrics"])


def _written() -> Iterator[Group]:
    project = _project()
    for family, entries in _read("features.yaml")["groups"].items():
        for entry in entries:
            case = replace(
                project,
                kpi={**project.kpi, **entry.get("kpi", {})},
                metrics={**project.metrics, **entry.get("metrics", {})},
            )
            queries = (entry["query"], *entry.get("try", ()))
            needs, close = entry.get("needs", ""), float(entry.get("close", CLOSE))
            yield Group(family, entry["name"], case, queries, {}, needs, close)


def _of_functions() -> Iterator[Group]:
    """Expressions of a formula: aggregates by several grains, those over one row by the rows' key."""
    written = _read("features.yaml")
    yield _formulas("aggregates", written["aggregates"], "{}", ({"by": "none"}, {"by": "g"}, {"by": "year"}))
    for family, texts in written["rows"].items():
        yield _formulas(f"functions of {family}", texts, "max({})", ({"by": "id"},))


def _formulas(family: str, texts: list[str], formula: str, grains: tuple[Mapping[str, Any], ...]) -> Group:
    features = {text: f"m{number}" for number, text in enumerate(texts, 1)}
    metrics = {name: {"source": "facts", "formula": formula.format(text)} for text, name in features.items()}
    return Group(family, "", replace(_project(), metrics=metrics), grains, features)


def _of_the_library() -> Iterator[Group]:
    project = replace(_project(), metrics={})
    found: dict[str, dict[str, str]] = {}
    for metric in _library():
        family = f"library, {metric.place.path.rsplit('/', 1)[-1].removesuffix('.yaml')}"
        if metric.kind:
            yield Group(family, metric.name, project, ({"metrics": metric.name},))
        else:
            found.setdefault(family, {})[metric.name] = metric.name
    for family, names in found.items():
        yield Group(family, "", project, GRAINS, names)


def _library() -> Iterator[MetricSpec]:
    plugins = installed()
    for plugin, package in plugins.metric_packages().items():
        yield from read_metrics_package(package, plugin, plugins)[0].values()
