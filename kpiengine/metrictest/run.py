"""Runs metric tests, each in a project of its own that has the given rows and nothing else."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self
from zoneinfo import ZoneInfo

from kpiengine.errors import KpiError, Place, UsageError, choices
from kpiengine.metrictest.difference import difference
from kpiengine.metrictest.given import given_sources, known_sources
from kpiengine.metrictest.needs import needs_of
from kpiengine.plugins import Plugins
from kpiengine.result import Result
from kpiengine.spec import MetricSpec, ProjectSpec, TestSpec, read_metrics_package


@dataclass(frozen=True)
class TestResult:
    """How a test went. `message` tells a failure in lines for a person: what differs, or what went wrong."""

    __test__ = False  # not a pytest class

    name: str
    place: Place
    passed: bool
    message: str = ""
    seconds: float = 0.0


class TestedProject(Protocol):
    """What a test needs of a project."""

    def bind(self, name: str, value: Any) -> None:
        """Puts an Arrow table in a source's place."""

    @property
    def query(self) -> Callable[..., Result]:
        """Answers a query."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: Any) -> None: ...


OpenProject = Callable[[ProjectSpec, Mapping[str, MetricSpec]], TestedProject]
"""Makes a project of a spec and its metrics (resolved)."""


def run_tests(
    names: Sequence[str],
    spec: ProjectSpec,
    metrics: Mapping[str, MetricSpec],
    library: Mapping[str, MetricSpec] | None,
    plugins: Plugins,
    open_project: OpenProject,
) -> list[TestResult]:
    """The results of a project's tests and, where its metrics are given, of the library's, in their order.

    `metrics` are resolved, the project's in front of the library's. `names` chooses tests by a part of their name,
    or by a metric that they ask for. Raises UsageError for a name that fits no test.
    """
    tests = [(test, spec, metrics) for test in spec.tests]
    if library is not None:  # with the library's own metrics, sources and calendar, whatever the project's are
        tests += [(test, ProjectSpec(spec.root), library) for test in _library_tests(plugins)]
    chosen = _chosen([test for test, _, _ in tests], names)
    return [_run(*each, open_project) for each in tests if each[0] in chosen]


def _library_tests(plugins: Plugins) -> Iterator[TestSpec]:
    for plugin, package in plugins.metric_packages().items():
        yield from read_metrics_package(package, plugin, plugins)[1]


def _chosen(tests: Sequence[TestSpec], names: Iterable[str]) -> list[TestSpec]:
    wanted = [name.casefold() for name in names]
    for name in wanted:
        if not any(_fits(test, name) for test in tests):
            known = [test.name for test in tests] + [metric for test in tests for metric in test.query["metrics"]]
            raise UsageError(f'no test is named "{name}" or asks for it; there are: {choices(name, known)}')
    return [test for test in tests if not wanted or any(_fits(test, name) for name in wanted)]


def _fits(test: TestSpec, name: str) -> bool:
    return name in test.name.casefold() or name in [metric.casefold() for metric in test.query["metrics"]]


def _run(test: TestSpec, spec: ProjectSpec, metrics: Mapping[str, MetricSpec], open_project: OpenProject) -> TestResult:
    started = clock.perf_counter()
    try:
        message = _outcome(test, spec, metrics, open_project)
    except KpiError as error:
        message = "\n".join(p.message if p.place == test.place else str(p) for p in error.problems)
    return TestResult(test.name, test.place, not message, message, clock.perf_counter() - started)


def _outcome(test: TestSpec, spec: ProjectSpec, metrics: Mapping[str, MetricSpec], open_project: OpenProject) -> str:
    """What is wrong; nothing for a test that holds."""
    known = known_sources(spec)
    unknown = [name for name in test.given if name not in known]
    if unknown:
        return f'there is no source "{unknown[0]}" to give rows of; there are: {choices(unknown[0], known)}'
    needs = needs_of(test, spec, metrics)
    sources, tables, notes = given_sources(test, spec, needs)
    own = {name: metric for name, metric in spec.metrics.items() if name in needs.metrics}
    made = replace(spec, sources=sources, metrics=own, exports={}, tests=())
    with open_project(made, needs.metrics) as project:
        for name, table in tables.items():
            project.bind(name, table)
        result = project.query(**test.query)
        dimensions = [c.name for c in result.columns if c.role in ("period", "dimension")]
        zone = ZoneInfo(test.query.get("timezone") or spec.timezone)
        wrong = difference(result.arrow(), test.expect, dimensions, zone)
    return "\n".join([wrong, *notes]) if wrong else ""
