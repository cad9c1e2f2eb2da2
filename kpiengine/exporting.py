"""A project's exports: where each is written, what it stands on, and its statement, compiled or found as it was."""

from __future__ import annotations

import datetime as dt
import os
import time as clock
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kpiengine.compiled import Asked, CompiledQuery
from kpiengine.errors import DataError, DefinitionError, EngineError, Problem, listing
from kpiengine.export import Exported, footer_of, refuse_overlap
from kpiengine.plan import Plan
from kpiengine.query import Query
from kpiengine.records import dataclass
from kpiengine.running import Runner
from kpiengine.spec import ExportSpec
from kpiengine.store import Store, place_of


@dataclass(frozen=True)
class Prepared:
    """An export that can be written: by its plan, or by what an earlier process compiled. `seconds` is what it took."""

    spec: ExportSpec
    query: Query
    place: Path | Store
    asked: Asked | None
    plan: Plan | None
    compiled: CompiledQuery | None
    seconds: float


class Exporter:
    """Writes exports. `plan` plans a query that is to run at once, `definitions` gives the hashes of metrics'.

    `opened` is the question that the project was opened by, where it is what is on disk; None: nothing is looked for
    among what was compiled before, and nothing kept. `parameters` are the project's own, `version` is kpiengine's.
    """

    def __init__(
        self, runner: Runner, plan: Callable[[Query], Plan], definitions: Callable[[Sequence[str]], Mapping[str, str]],
        opened: Asked | None, parameters: Mapping[str, Any], version: str,
    ) -> None:  # fmt: skip
        self._runner = runner
        self._root = Path(runner.spec.root)
        self._plan = plan
        self._definitions = definitions
        self._opened = opened
        self._parameters = parameters
        self._version = version

    def place(self, spec: ExportSpec, out: str | os.PathLike[str] | None) -> Path | Store:
        """Where an export of kpi.yaml goes. `out` is a folder for all of them."""
        if out is None:
            given = place_of(spec.path or f"out/{spec.name}")
            return given if isinstance(given, Store) else self._root / given
        folder = place_of(out)
        if isinstance(folder, Store):
            return folder / spec.name
        written = Path(spec.path) if spec.path else Path(spec.name)
        return folder / (written.name if written.suffix == ".parquet" else spec.name)

    def refuse_overlap(self, out: str | os.PathLike[str] | None) -> None:
        """Raises DataError where an export of kpi.yaml would take away what another one wrote."""
        exports = self._runner.spec.exports.values()
        refuse_overlap({spec.name: self.place(spec, out) for spec in exports})

    def prepared(self, spec: ExportSpec, query: Query, place: Path | Store) -> Prepared:
        """The export, checked: whatever is wrong with its definition is told now."""
        started = clock.perf_counter()
        asked = self._question(spec, query) if isinstance(place, Path) else None
        compiled = asked.find() if asked is not None else None
        plan = None if compiled is not None else self._planned(spec, query)
        return Prepared(spec, query, place, asked, plan, compiled, clock.perf_counter() - started)

    def _planned(self, spec: ExportSpec, query: Query) -> Plan:
        plan = self._plan(query)
        shown = [column.name for column in plan.output.columns]
        unknown = [c for c in spec.partition_by if c.lower() not in {name.lower() for name in shown}]
        if unknown:
            message = f'export "{spec.name}" is partitioned by "{unknown[0]}" and has: {listing(shown)}'
            raise DefinitionError(Problem(spec.place, message))
        return plan

    def _question(self, spec: ExportSpec, query: Query) -> Asked | None:
        """What the statement depends on, beside data; None where that cannot be told."""
        opened, given = self._opened, {**self._parameters, **query.parameters}
        if opened is None or self._runner.engine is not None or not _is_plain(list(given.values())):
            return None
        if not opened.is_current():
            return None
        asked = [query, dict(self._parameters), self._runner.settings]
        return opened.further({"export": repr(asked), "partition_by": spec.partition_by})

    def written(self, export: Prepared) -> Exported:
        """Writes it, whole or not at all."""
        started = clock.perf_counter()
        done = self._written_again(export) or self._written_newly(export)
        seconds = export.seconds + clock.perf_counter() - started
        return Exported(export.spec.name, export.place, *done, seconds)

    def _written_again(self, export: Prepared) -> tuple[int, int, int] | None:
        """By what was compiled before; None, with nothing written, where that does not go as it did."""
        found, place, partition = export.compiled, export.place, export.spec.partition_by
        if found is None or not isinstance(place, Path) or not found.holds():
            return None
        footer = self._footer(export, dict(found.definitions))
        try:
            return self._runner.export_again(found, place, partition, footer)
        except (DataError, EngineError):
            return None  # told by the full way, in its words

    def _written_newly(self, export: Prepared) -> tuple[int, int, int]:
        spec, query, place = export.spec, export.query, export.place
        plan = export.plan or self._planned(spec, query)
        definitions = self._definitions(query.metrics)
        shown = {column.name.lower(): column.name for column in plan.output.columns}
        partition = [shown[c.lower()] for c in spec.partition_by]
        return self._runner.export(plan, place, partition, self._footer(export, definitions), export.asked, definitions)

    def _footer(self, export: Prepared, definitions: Mapping[str, str]) -> dict[str, str]:
        query, options = export.query, export.spec.options
        return footer_of(
            definitions,
            {"metrics": query.metrics, "by": query.by, **{name: value for name, value in options.items() if value}},
            self._version,
            self._runner.version,
            dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            self._runner.spec.secrets,
        )


def _is_plain(value: object) -> bool:
    """Whether a value's `repr` says all of it."""
    if isinstance(value, list | tuple):
        return all(_is_plain(one) for one in value)
    return value is None or type(value) in (str, int, float, bool, dt.date, dt.datetime)
