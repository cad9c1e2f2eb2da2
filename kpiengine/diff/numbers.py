"""How far the numbers of changed metrics moved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kpiengine.diff.compare import MetricChange
from kpiengine.errors import KpiError
from kpiengine.project import Project


@dataclass(frozen=True)
class Moved:
    """A metric's number before and after; None where there is no such row, or nothing in it.

    `key` are the dimensions of its row, empty for the grand total. `change` is None where a number is missing.
    """

    key: Mapping[str, Any]
    old: Any
    new: Any

    @property
    def change(self) -> Any:
        """The difference of the two numbers."""
        if not isinstance(self.old, int | float | Decimal) or not isinstance(self.new, int | float | Decimal):
            return None
        if isinstance(self.old, float) or isinstance(self.new, float):
            return float(self.new) - float(self.old)
        return self.new - self.old


def moved(old: Project, new: Project, change: MetricChange) -> tuple[Moved, ...]:
    """The grand total of a changed metric, and the rows of its default grain that differ.

    Nothing for a kind, which is a table of its own. A metric without a total and a grain (a growth) is told by month.
    What cannot be asked (of a version whose columns today's data does not have) is left out.
    """
    metric = new.model.metric(change.name)
    if metric.kind or old.model.metric(change.name).kind:
        return ()
    totals = _rows(old, change.name, ()), _rows(new, change.name, ())
    found = [] if None in totals else [_total(totals)]
    grain = metric.grain or (() if found else ("month",))  # a growth has no grand total
    before, after = (_rows(project, change.name, grain) if grain else None for project in (old, new))
    if before is None or after is None:
        return tuple(found)
    for key in sorted(before.keys() | after.keys(), key=_sortable):
        row = Moved(dict(key), before.get(key), after.get(key))
        if row.old != row.new:
            found.append(row)
    return tuple(found)


def _total(totals: Sequence[Mapping[tuple[Any, ...], Any] | None]) -> Moved:
    old, new = (next(iter((rows or {}).values()), None) for rows in totals)
    return Moved({}, old, new)


def _sortable(key: tuple[tuple[str, Any], ...]) -> list[tuple[bool, str]]:
    return [(value is None, str(value)) for _, value in key]


def _rows(project: Project, name: str, by: tuple[str, ...]) -> dict[tuple[tuple[str, Any], ...], Any] | None:
    """Dimensions with their values → the metric's; None where it cannot be asked so."""
    try:
        result = project.query(name, by=by)
        rows = result.rows()
    except KpiError:
        return None
    column = next(c.name for c in result.columns if c.role == "metric")
    keys = [c.name for c in result.columns if c.role in ("period", "dimension")]
    return {tuple((key, row[key]) for key in keys): row[column] for row in rows}
