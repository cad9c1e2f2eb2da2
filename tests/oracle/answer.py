"""A question answered: for every group and period, every metric from the rows that it sees."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .dates import end_of, moved, start_of
from .formulas import (
    Aggregate,
    Closing,
    Formula,
    LooksAround,
    Metric,
    Number,
    OfTime,
    Opening,
    Operation,
    Prior,
    Reference,
    Running,
    ToDate,
    Total,
    Trailing,
    operated,
    taken,
)
from .tables import Condition, Path, Row, World, day_of, value

PERIODS = ("day", "week", "month", "quarter", "year")
Group = tuple[Any, ...]


@dataclass(frozen=True)
class Question:
    """`by` holds a period at most once, as ("month",)."""

    metrics: tuple[str, ...]
    by: tuple[Path, ...] = ()
    where: tuple[Condition, ...] = ()
    since: dt.date | None = None
    until: dt.date | None = None
    descending: tuple[str, bool] | None = None
    """A column to order by first, and whether downwards."""
    limit: int | None = None
    totals: bool = False
    fill: bool = False
    as_of: dt.date | None = None
    having: tuple[str, str, int] | None = None
    """A metric, an operator (`>`, `<=`), and what it is compared with."""
    week_starts: int = 0


@dataclass(frozen=True)
class Cell:
    """What a metric is asked for: a group (None: any), and days from `low` to before `high` (None: unbounded).

    `period` is the first day of the period that is meant, None without periods. `timeless` is the NULL period.
    `shown` says that `since` and `until` cut it: no time function has looked elsewhere.
    """

    group: Group | None
    period: dt.date | None = None
    low: dt.date | None = None
    high: dt.date | None = None
    timeless: bool = False
    shown: bool = True
    edge: str = ""


def answer(world: World, metrics: Mapping[str, Metric], question: Question) -> list[tuple[Any, ...]]:
    """The rows: dimensions in the order asked, then metrics; sorted by dimensions unless the question says otherwise."""
    found: list[tuple[Any, ...]] = []
    for kept in range(len(question.by), -1, -1) if question.totals else [len(question.by)]:
        dropped = len(question.by) - kept
        for row in _Answer(world, metrics, question, kept).rows():
            told = (dropped,) if question.totals else ()
            found.append((*row[:kept], *[None] * dropped, *told, *row[kept:]))
    return _arranged(found, question)


def _arranged(rows: list[tuple[Any, ...]], question: Question) -> list[tuple[Any, ...]]:
    """The rows that `having` leaves, in order, up to the limit."""
    first = len(question.by) + question.totals
    if question.having is not None:
        name, operator, bound = question.having
        place = first + question.metrics.index(name)
        rows = [row for row in rows if row[place] is not None and (row[place] > bound) == (operator == ">")]
    rows.sort(key=lambda row: [_last_if_null(v) for v in row[:first]])
    if question.descending is not None:
        column, downwards = question.descending
        place = first + question.metrics.index(column)
        known = [row for row in rows if row[place] is not None]
        known.sort(key=lambda row: row[place], reverse=downwards)
        rows = known + [row for row in rows if row[place] is None]
    return rows[: question.limit]


class _Answer:
    """The answer by the first `kept` of the question's dimensions."""

    def __init__(self, world: World, metrics: Mapping[str, Metric], question: Question, kept: int) -> None:
        self.world = world
        self.metrics = metrics
        self.question = question
        self.by = question.by[:kept]
        periods = [path[0] for path in self.by if path in [(p,) for p in PERIODS]]
        self.period = periods[0] if periods else None
        self.dimensions = tuple(path for path in self.by if path != (self.period,))
        self._passed: dict[Any, list[tuple[Group, dt.date | None, Row]]] = {}
        self.met_rows = False

    # -- which rows there are

    def passed(self, source: str, filters: tuple[Condition, ...]) -> list[tuple[Group, dt.date | None, Row]]:
        """Rows of a source that pass, with their group and day."""
        if (source, filters) not in self._passed:
            table, every = self.world[source], (*filters, *self.question.where)
            self._passed[source, filters] = [
                (tuple(value(self.world, table, row, d) for d in self.dimensions), day_of(table, row), row)
                for row in table.rows
                if self.exists(day_of(table, row)) and all(c.holds(self.world, table, row) is True for c in every)
            ]
        return self._passed[source, filters]

    def sources(
        self, formula: Formula, metric: Metric, filters: tuple[Condition, ...]
    ) -> Iterator[tuple[str, tuple[Condition, ...]]]:
        """The sources that a formula aggregates, with the filters there."""
        match formula:
            case Aggregate():
                assert metric.source is not None
                yield metric.source, filters
            case Reference(name):
                inner = self.metrics[name]
                yield from self.sources(inner.formula, inner, (*filters, *inner.filters))
            case Operation(_, left, right):
                yield from self.sources(left, metric, filters)
                yield from self.sources(right, metric, filters)
            case Number():
                pass
            case _:
                yield from self.sources(formula.inner, metric, filters)

    def looks_around(self, formula: Formula) -> bool:
        match formula:
            case Prior() | Trailing() | ToDate() | Running():
                return True
            case Reference(name):
                return self.looks_around(self.metrics[name].formula)
            case Operation(_, left, right):
                return self.looks_around(left) or self.looks_around(right)
            case Aggregate() | Number():
                return False
        return self.looks_around(formula.inner)

    def exists(self, day: dt.date | None) -> bool:
        """Whether a row of that day is there for `as_of`."""
        return day is None or self.question.as_of is None or day <= self.question.as_of

    def start_of(self, day: dt.date, unit: str) -> dt.date:
        return start_of(day, unit, self.question.week_starts)

    def end_of(self, day: dt.date, unit: str) -> dt.date:
        return end_of(day, unit, self.question.week_starts)

    def span(self, days: list[dt.date]) -> tuple[dt.date, dt.date] | None:
        """The first and the last day whose periods are there, where every period is."""
        since, until = (self.question.since, self.question.until) if self.question.fill else (None, None)
        low = min([*days, *([since] if since else [])], default=None)
        high = max([*days, *([until - dt.timedelta(days=1)] if until else [])], default=None)
        return (low, high) if low is not None and high is not None else None

    def within(self, day: dt.date | None) -> bool:
        """Whether a row of that day is shown."""
        since, until = self.question.since, self.question.until
        if since is None and until is None:
            return True
        return day is not None and (since is None or since <= day) and (until is None or day < until)

    def cells(self) -> set[tuple[Group, dt.date | None]]:
        """The groups and periods that have a row in the answer."""
        asked = [self.metrics[name] for name in self.question.metrics]
        seen = [x for m in asked for s in self.sources(m.formula, m, m.filters) for x in self.passed(*s)]
        if self.period is None:
            groups = {(group, None) for group, day, _ in seen if self.within(day)}
            return groups if self.dimensions else {((), None)}
        period = self.period
        if not self.question.fill and not any(self.looks_around(m.formula) for m in asked):
            return {(g, d and self.start_of(d, period)) for g, d, _ in seen if self.within(d)}
        groups_seen = {group for group, _, _ in seen}
        if not self.dimensions:
            groups_seen = {()}
        cells = {(group, None) for group, day, _ in seen if day is None and self.within(None)}
        span = self.span([day for _, day, _ in seen if day is not None])
        first = self.start_of(span[0], period) if span else None
        while span and first is not None and first <= span[1]:
            begun = self.question.until is None or first < self.question.until
            if begun and (self.question.since is None or self.end_of(first, period) > self.question.since):
                cells |= {(group, first) for group in groups_seen}
            first = self.end_of(first, period)
        return cells

    # -- what a metric is in a cell

    def metric(self, name: str, cell: Cell, filters: tuple[Condition, ...] = ()) -> Any:
        metric = self.metrics[name]
        return self.of(metric.formula, metric, cell, (*filters, *metric.filters))

    def of(self, formula: Formula, metric: Metric, cell: Cell, filters: tuple[Condition, ...]) -> Any:
        if isinstance(formula, OfTime) and cell.timeless:
            return None
        match formula:
            case Aggregate():
                return self.aggregate(formula, metric, cell, filters)
            case Reference(name):
                return self.metric(name, cell, filters)
            case Number(number):
                return number
            case Operation(operator, left, right):
                return operated(operator, self.of(left, metric, cell, filters), self.of(right, metric, cell, filters))
            case Total(inner):
                return self.of(inner, metric, replace(cell, group=None), filters)
            case Closing(inner):
                return self.of(inner, metric, replace(cell, edge="last"), filters)
            case Opening(inner):
                return self.of(inner, metric, replace(cell, edge="first"), filters)
            case Trailing() | ToDate() if self.period is None:
                return None
            case Prior(inner):
                return self.before(formula, inner, metric, cell, filters)
        return self.of(formula.inner, metric, self.around(formula, cell), filters)

    def before(self, call: Prior, inner: Formula, metric: Metric, cell: Cell, filters: tuple[Condition, ...]) -> Any:
        """The value in the period before; NULL, and no count of 0, where that has no rows."""
        if self.period is None:
            return None
        assert cell.period is not None
        low = self.start_of(moved(cell.period, -call.n, call.unit), self.period)
        there = replace(cell, period=low, low=low, high=self.end_of(low, self.period), shown=False)
        outside, self.met_rows = self.met_rows, False
        found = self.of(inner, metric, there, filters)
        found = found if self.met_rows else None
        self.met_rows = self.met_rows or outside
        return found

    def around(self, call: LooksAround, cell: Cell) -> Cell:
        """The days that a time function sees from a cell."""
        if self.period is None:  # running, from the beginning to the end of what is shown
            return replace(cell, high=self.question.until, shown=False)
        assert cell.high is not None
        match call:
            case Running():
                low = None
            case Trailing(_, n, unit):
                low = moved(cell.high, -n, unit)
            case ToDate(_, unit):
                low = self.start_of(cell.high - dt.timedelta(days=1), unit)
        return replace(cell, low=low, shown=False)

    def aggregate(self, call: Aggregate, metric: Metric, cell: Cell, filters: tuple[Condition, ...]) -> Any:
        assert metric.source is not None
        seen = [(g, d, row) for g, d, row in self.passed(metric.source, filters) if self.sees(cell, d)]
        if cell.edge:
            days = [d for _, d, _ in seen if d is not None]
            edge = (max if cell.edge == "last" else min)(days, default=None)
            seen = [(g, d, row) for g, d, row in seen if d is not None and d == edge]
        rows = [row for g, _, row in seen if cell.group is None or g == cell.group]
        self.met_rows = self.met_rows or bool(rows)
        return taken(call, self.world, self.world[metric.source], rows)

    def sees(self, cell: Cell, day: dt.date | None) -> bool:
        if cell.shown and not self.within(day):
            return False
        if cell.timeless:
            return day is None
        if cell.low is None and cell.high is None:
            return True
        if day is None:
            return False
        return (cell.low is None or cell.low <= day) and (cell.high is None or day < cell.high)

    # -- the answer

    def rows(self) -> list[tuple[Any, ...]]:
        found = []
        for group, first in self.cells():
            cell = Cell(group)
            if self.period is not None:
                timeless = first is None
                high = self.end_of(first, self.period) if first is not None else None
                cell = Cell(group, period=first, low=first, high=high, timeless=timeless)
            values = iter(group)
            shown = [first if path == (self.period,) else next(values) for path in self.by]
            found.append((*shown, *(self.metric(name, cell) for name in self.question.metrics)))
        return found


def _last_if_null(item: Any) -> tuple[bool, Any]:
    return (item is None, 0 if item is None else item)


def column_names(question: Question) -> Sequence[str]:
    """The names of the answer's columns."""
    last = [path[-1] for path in question.by]
    told = ["totals"] if question.totals else []
    return [*("_".join(p) if last.count(p[-1]) > 1 else p[-1] for p in question.by), *told, *question.metrics]
