"""What all ways of computing a funnel share: names, columns, the window, and short forms of sqlglot's builders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from sqlglot import exp

from kpiengine.kind import Cte, KindContext
from kpiengine.records import dataclass
from kpiengine_plugins.funnel.steps import Conditions, Steps

UNITS = ("second", "minute", "hour", "day", "week", "month", "year")
"""Units that a span is given in."""

ALL_BEFORE = {"kind": "ROWS", "start": "UNBOUNDED", "start_side": "PRECEDING"}
"""A window's frame that begins with the partition's first row."""


@dataclass(frozen=True)
class Span:
    """A length of time: `30 days`. Months and years are the calendar's."""

    count: int
    unit: str


def parse_span(text: str) -> Span:
    """A span from `<n> second|minute|hour|day|week|month|year(s)`. ValueError where it is none."""
    match = re.fullmatch(r"\s*([0-9]{1,9})\s*([a-z]+?)s?\s*", text.lower())
    if match is None or match[2] not in UNITS:
        raise ValueError(f'window must be a span such as "30 days" (units: {", ".join(UNITS)}), not "{text}"')
    return Span(int(match[1]), match[2])


def column(name: str, table: str | None = None) -> exp.Column:
    """A column, of a table where it is told."""
    return exp.column(name, table=table)


def number(value: int) -> exp.Expr:
    """A whole number."""
    return exp.Literal.number(value)


def known(value: exp.Expr) -> exp.Not:
    """`value IS NOT NULL`."""
    return exp.Not(this=exp.Is(this=value, expression=exp.null()))


def when(condition: exp.Expr, value: exp.Expr) -> exp.Case:
    """`CASE WHEN condition THEN value END`."""
    return exp.case().when(condition, value)


def first_known(values: Sequence[exp.Expr]) -> exp.Expr:
    """The first value that is not NULL."""
    return exp.Coalesce(this=values[0], expressions=list(values[1:])) if len(values) > 1 else values[0]


def latest(values: Sequence[exp.Expr]) -> exp.Expr:
    """The greatest of the values that are not NULL."""
    # Without `ignore_nulls` sqlglot makes it NULL as soon as one is: some dialect's GREATEST does so.
    return (
        exp.Greatest(this=values[0], expressions=list(values[1:]), ignore_nulls=True) if len(values) > 1 else values[0]
    )


def rank(partition: Sequence[exp.Expr], order: Sequence[exp.Expr]) -> exp.Window:
    """`row_number()` over a partition in an order."""
    return over(exp.RowNumber(), partition, order, None)


def over(
    function: exp.Expr, partition: Sequence[exp.Expr], order: Sequence[exp.Expr], frame: dict[str, str] | None
) -> exp.Window:
    """A window function; NULLs sort last, on every engine."""
    ordered = [
        value if isinstance(value, exp.Ordered) else exp.Ordered(this=value, nulls_first=False) for value in order
    ]
    return exp.Window(
        this=function,
        partition_by=list(partition),
        order=exp.Order(expressions=ordered) if ordered else None,
        spec=exp.WindowSpec(**frame) if frame else None,
    )


@dataclass(frozen=True)
class Work:
    """One funnel to compile: its context, its steps, its window."""

    context: KindContext
    steps: Steps
    window: Span | None

    def name(self, step: str) -> str:
        """The name of a common table expression, which starts with the metric's."""
        return f"{self.context.name}_{step}"

    @property
    def by(self) -> tuple[str, ...]:
        """The names that the `by` columns have inside: `by_1`, …"""
        return tuple(f"by_{place}" for place in range(1, len(self.context.by) + 1))

    @property
    def carried(self) -> tuple[str, ...]:
        """Those of the `by` columns that events have; the others are periods, and told by an event's time."""
        return tuple(name for name in self.by if name not in self.periods)

    @cached_property
    def periods(self) -> Mapping[str, exp.Expr]:
        """The `by` columns that are periods, cut from the chain's first time."""
        found = {inside: self.context.period(name, column("time_1")) for inside, name in self._named_by}
        return {inside: period for inside, period in found.items() if period is not None}

    @property
    def _named_by(self) -> Iterable[tuple[str, str]]:
        return zip(self.by, self.context.by, strict=True)

    @property
    def streams(self) -> bool:
        """Whether windows without an order go through rows in the order in which these come, as in DuckDB."""
        return self.context.dialect == "duckdb"

    @property
    def times(self) -> tuple[str, ...]:
        """The columns of a chain's times: `time_1`, …"""
        return tuple(f"time_{step}" for step in self.steps.numbers)

    def deadline(self, start: exp.Expr) -> exp.Expr:
        """The last moment of a chain that starts at `start`; without a window the start itself, a mere mark."""
        if self.window is None:
            return start
        count, unit = self.window.count, self.window.unit
        if unit == "week":
            count, unit = count * 7, "day"
        if unit == "day" and self._zoned:  # a day of 24 hours, whatever the clocks do
            count, unit = count * 24, "hour"
        return exp.Add(
            this=start, expression=exp.Interval(this=exp.Literal.string(str(count)), unit=exp.var(unit.upper()))
        )

    def in_time(self, moment: exp.Expr, deadline: exp.Expr) -> exp.Expr:
        """Whether a moment does not lie beyond a deadline that `deadline` gave, if there is one at all."""
        return known(deadline) if self.window is None else exp.LTE(this=moment, expression=deadline)

    @property
    def _zoned(self) -> bool:
        kind = self.context.types.get("time", "").upper()
        return kind.startswith("TIMESTAMP") and ("ZONE" in kind or kind == "TIMESTAMPTZ")

    def condition(self, step: int) -> exp.Expr:
        """A step's condition over the input rows."""
        return self.steps.conditions[self.steps.ask(step) - 1].tree(self.context.types)

    def events(self, *columns: exp.Expr) -> exp.Select:
        """The input's rows that have an entity and a time, as `entity`, `moment`, the columns given, and `carried`."""
        time: exp.Expr = column("time")
        if not self._zoned and self.context.types.get("time", "TIMESTAMP").upper() != "TIMESTAMP":
            time = exp.cast(time, "TIMESTAMP", dialect="duckdb")
        by = [exp.column(name, quoted=True).as_(inside) for inside, name in self._named_by if inside in self.carried]
        return (
            exp.select(column("entity"), time.as_("moment"), *columns, *by)
            .from_(self.context.rows)
            .where(known(column("entity")), known(column("time")))
        )

    def step(self, name: str, query: exp.Query) -> Cte:
        """A step of the statement."""
        return Cte(self.name(name), query)


def fits(conditions: Conditions) -> str:
    """The column that says how many events fit one of the conditions: `fit_1`, `fit_1_3`."""
    return "_".join(["fit", *map(str, conditions)])


def any_of(conditions: Iterable[int], table: str | None = None) -> exp.Expr:
    """Whether an event fits one of the conditions, by its columns `is_1`, …"""
    return exp.or_(*(column(f"is_{number}", table) for number in conditions))
