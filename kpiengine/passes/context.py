"""What a pass may know: the sources' statistics, the calendar, and which engine it is for."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable

from sqlglot import exp

from kpiengine.calendar import Calendar
from kpiengine.plan.expressions import free
from kpiengine.plan.steps import Link, Met, Plan, Scan, Select, Step
from kpiengine.records import dataclass
from kpiengine.statistics import Bounds, Statistics

FEW_ROWS = 50_000
"""Under so many rows a statement is over before it matters which form it has."""

_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT",
            "DOUBLE", "DECIMAL")  # fmt: skip
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Cast, exp.Predicate,
               exp.Connector)  # fmt: skip


@dataclass(frozen=True)
class Context:
    """`always` takes what pays for granted, so that tests see every form on a handful of rows."""

    known: Statistics
    type_of: Callable[[str, str], str | None]
    """The DuckDB type of a source's column."""
    calendar: Calendar
    dialect: str
    always: bool = False
    on_cluster: bool = False
    """Whether each step that reads a file reads it anew, at the price of the whole, and what is grouped is sent."""
    meets: Callable[[Plan, Met], bool] = lambda plan, met: False
    """Whether each row of a scan of a plan is known to meet one of another."""
    memory: Callable[[], float] = lambda: math.inf
    """How many bytes the engine may use."""

    @property
    def fewest_together(self) -> int:
        """From how many aggregates of the same rows on finer groups pay: a cluster folds each one's rows before it
        shuffles them as it is, and gains nothing but rows that are read once."""
        return 2 if self.dialect == "spark" else 1


class Lineage:
    """Where the columns of a plan's steps come from, and with that what is known of them."""

    def __init__(self, plan: Plan, context: Context) -> None:
        self.steps: dict[str, Step] = {step.name: step for step in plan.steps}
        self.context = context
        self._names = set(self.steps)

    def origin(self, step: str, name: str) -> tuple[str, str] | None:
        """The source and its column that a step's column is; None for one that is computed."""
        found = self.steps.get(step)
        if isinstance(found, Scan):
            return (found.source, name) if any(c.name == name for c in found.columns) else None
        if not isinstance(found, Select):
            return None
        made = next((c.expression for c in found.columns if c.name == name), None)
        if not isinstance(made, exp.Column):
            return None
        link = next((link for link in found.links if link.alias == made.table), None)
        return self.origin(link.step if link else found.input, made.name)

    def rows(self, step: str) -> int | None:
        """At most how many rows a step has: those of the source at its root."""
        found = self.steps.get(step)
        while isinstance(found, Select) and all(joins_one(link) for link in found.links):
            found = self.steps.get(found.input)
        return self.context.known.rows(found.source) if isinstance(found, Scan) else None

    def bounds(self, step: str, name: str) -> Bounds | None:
        """The proven bounds of a step's column."""
        origin = self.origin(step, name)
        return self.context.known.bounds(*origin) if origin else None

    def distinct(self, step: str, tree: exp.Expr) -> int | None:
        """About how many values an expression over a step's columns has."""
        names = {column.name for column in tree.find_all(exp.Column)}
        if len(names) != 1:
            return None
        name = names.pop()
        days = self.days(step, name)
        if days is not None and (not isinstance(tree, exp.Column) or self._is_day(step, name)):
            return (days[1] - days[0]).days + 2
        origin = self.origin(step, name)
        found = self.context.known.distinct(*origin) if origin else None
        return None if found is None else found + 1

    def _is_day(self, step: str, name: str) -> bool:
        bounds = self.bounds(step, name)
        return bounds is not None and not isinstance(bounds.low, dt.datetime)

    def days(self, step: str, name: str) -> tuple[dt.date, dt.date] | None:
        """The first and the last day that a column of times may lie on, whatever the time zone."""
        bounds = self.bounds(step, name)
        if bounds is None or not isinstance(bounds.low, dt.date) or not isinstance(bounds.high, dt.date):
            return None
        return _day(bounds.low, -1), _day(bounds.high, 1)

    def numeric(self, step: str, tree: exp.Expr) -> bool:
        """Whether an expression is plain arithmetic over numbers."""
        if not all(isinstance(node, _ARITHMETIC) for node in tree.walk() if isinstance(node, exp.Func | exp.Binary)):
            return False
        origins = [self.origin(step, column.name) for column in tree.find_all(exp.Column)]
        types = [self.context.type_of(*origin) if origin else None for origin in origins]
        return all(kind is not None and kind.startswith(_NUMBERS) for kind in types)

    def unique(self, name: str) -> str:
        """A name that no step has. It is taken with that."""
        found = free(name, self._names)
        self._names.add(found)
        return found


def _day(moment: dt.date, zone: int) -> dt.date:
    """The day of a moment; a day on in the direction `zone` where a time zone may move it there."""
    if not isinstance(moment, dt.datetime):
        return moment
    return moment.date() + dt.timedelta(days=zone if moment.tzinfo is not None else 0)


def joins_one(link: Link) -> bool:
    """Whether a link keeps the number of rows: a LEFT JOIN on a key (links of plans are to unique keys)."""
    return not link.required
