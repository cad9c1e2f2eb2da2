"""The sections that any file of definitions may have (`metrics`, `tests`, `exports`), gathered over all files."""

from __future__ import annotations

from dataclasses import field

from kpiengine.errors import Place, Problem
from kpiengine.records import dataclass
from kpiengine.spec.entries import read_export, read_tests
from kpiengine.spec.fields import entries
from kpiengine.spec.known import KnownPlugins
from kpiengine.spec.metric import check_kind, read_metric
from kpiengine.spec.nodes import MappingNode
from kpiengine.spec.specs import ExportSpec, MetricSpec, TestSpec


@dataclass
class Definitions:
    """What was read so far. `library` is the plugin that the files belong to, None for a project's own."""

    plugins: KnownPlugins
    problems: list[Problem]
    library: str | None = None
    metrics: dict[str, MetricSpec] = field(default_factory=dict)
    exports: dict[str, ExportSpec] = field(default_factory=dict)
    tests: list[TestSpec] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    _places: dict[tuple[str, str], Place] = field(default_factory=dict)

    def add(self, root: MappingNode) -> None:
        """Read the three sections of a file."""
        self._add_metrics(root)
        for name, key, node in entries(root.items.get("exports"), "export", self.problems):
            export = read_export(name, key.place, node, self.problems)
            if export and self._is_new("export", name, key.place):
                self.exports[name] = export
        self.tests += read_tests(root.items.get("tests"), self.problems)

    def _add_metrics(self, root: MappingNode) -> None:
        for name, key, node in entries(root.items.get("metrics"), "metric", self.problems):
            if not self._is_new("metric", name, key.place):
                continue
            spec = read_metric(name, key.place, node, self.library, self.problems)
            if spec is None:
                self.broken.add(name)
                continue
            if spec.kind and not spec.extends:  # what an extension turns out to be is known when it is resolved
                spec = check_kind(spec, self.plugins, self.problems)
            self.metrics[name] = spec

    def _is_new(self, what: str, name: str, place: Place) -> bool:
        """Whether no file before has defined it, in whatever case; else a problem that names both places."""
        first = self._places.setdefault((what, name.lower()), place)
        if first is place:
            return True
        self.problems.append(Problem(place, f'{what} "{name}" is defined twice; the first stands at {first}'))
        return False
