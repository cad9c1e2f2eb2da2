"""The contract of a calendar, and the few helpers that calendars are written with.

A calendar says, as expressions of DuckDB's dialect over a DATE, in which period a day lies, and where that day is
n units earlier or later. Expressions use only what every engine renders alike: `date_trunc`, intervals of months, and
integer arithmetic on day numbers, of which every operand is positive, since engines disagree on how they round a
negative quotient. So a calendar works on all of them. The Python side answers the same for single dates: both are
tested against each other.
"""

from __future__ import annotations

import calendar as gregorian
import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp

from kpiengine.errors import suggest

PERIODS = ("hour", "day", "week", "month", "quarter", "year")
"""Periods that `--by` takes, finest first. `hour` is cut from a timestamp and is the same in every calendar."""

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

MONTHS_IN = {"month": 1, "quarter": 3, "year": 12}
"""Months in the units that are made of months."""

_EPOCH = dt.date(1970, 1, 1)


class Calendar(ABC):
    """A calendar. `week_starts` is a name of `WEEKDAYS`. `day` expressions are DATE, and so are the results.

    `options` names the options that the calendar takes, with the types of their values. A wrong option raises
    ValueError with a sentence that says so.
    """

    name: ClassVar[str]
    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {}
    default_week_start: ClassVar[str] = "monday"
    has_labels: ClassVar[bool] = True
    """Whether queries add a `<period>_label` column."""

    def __init__(self, week_starts: str | None = None, **options: Any) -> None:
        self.week_starts = (week_starts or self.default_week_start).lower()
        if self.week_starts not in WEEKDAYS:
            raise ValueError(f'no weekday "{week_starts}"; there are: {", ".join(WEEKDAYS)}')
        self.first_weekday = WEEKDAYS.index(self.week_starts)
        for name, value in options.items():
            if name not in self.options:
                known = f"it takes: {', '.join(self.options)}" if self.options else "it takes none"
                raise ValueError(f'calendar "{self.name}" has no option "{name}"; {known}{suggest(name, self.options)}')
            if not isinstance(value, self.options[name]):
                raise ValueError(f'option "{name}" of calendar "{self.name}" cannot be {value!r}')

    @abstractmethod
    def start(self, day: exp.Expr, unit: str) -> exp.Expr:
        """The first day of the `unit` (day, week, month, quarter, year) that holds `day`."""

    @abstractmethod
    def move(self, day: exp.Expr, n: int, unit: str) -> exp.Expr:
        """`day` moved by n units (n < 0: back). A day that the target month lacks becomes that month's last.

        A quarter is three months and a year twelve, so that first days of months stay first days of months.
        """

    @abstractmethod
    def start_of(self, day: dt.date, unit: str) -> dt.date:
        """`start` for one date."""

    @abstractmethod
    def moved(self, day: dt.date, n: int, unit: str) -> dt.date:
        """`move` for one date."""

    @abstractmethod
    def date(self, year: int, month: int, day: int) -> dt.date:
        """The Gregorian date of a date of this calendar. ValueError for one that does not exist."""

    def label(self, start: exp.Expr, unit: str, language: str) -> exp.Expr | None:
        """The text that names the period with that first day, or None where it is read as a date (an hour always)."""
        return None

    def label_of(self, start: dt.date, unit: str, language: str) -> str | None:
        """`label` for one date."""
        return None

    def move_from(self, month: exp.Expr, day: exp.Expr, n: int, unit: str) -> exp.Expr:
        """`move`, where the first day of the month that holds `day` is at hand as a column, `month`.

        A calendar whose `move` is long says this shorter: a statement reads better that names `month` in a step before.
        """
        return self.move(day, n, unit)

    def move_start(self, start: exp.Expr, n: int, unit: str, period: str) -> exp.Expr:
        """The first day of the `period` that holds `start`, a first day of one, moved by n units.

        The same as `self.start(self.move(start, n, unit), period)`, said as shortly as the calendar can.
        """
        moved = self.move(start, n, unit)
        return moved if period_stays(unit, period) else self.start(moved, period)

    def last_day(self, start: exp.Expr, unit: str) -> exp.Expr:
        """The last day of the `unit` whose first day is `start`."""
        return plus_days(self.move_start(start, 1, unit, unit), -1)

    def last_day_of(self, day: dt.date, unit: str) -> dt.date:
        """The last day of the `unit` that holds one date."""
        return self.moved(self.start_of(day, unit), 1, unit) - dt.timedelta(days=1)


def period_stays(unit: str, period: str) -> bool:
    """Whether a first day of a `period` is still one when it has moved by whole units of `unit`.

    True of every calendar; one whose months are made of weeks knows more.
    """
    if period in MONTHS_IN and unit in MONTHS_IN:
        return MONTHS_IN[unit] >= MONTHS_IN[period]
    return period == "day" or (period == "week" and unit == "week")


def day_number(day: exp.Expr, zero: int = 0) -> exp.Expr:
    """`date.toordinal` of a DATE as a BIGINT expression (1 is 0001-01-01, a Monday), less `zero`."""
    offset = exp.Literal.number(abs(_EPOCH.toordinal() - zero))
    text = "date_diff('day', DATE '1970-01-01', day) "
    return expression(text + ("+ n" if zero <= _EPOCH.toordinal() else "- n"), day=day, n=offset)


def plus_days(day: exp.Expr, days: int | exp.Expr) -> exp.Expr:
    """A DATE that many days later, or for a negative number earlier."""
    if isinstance(days, exp.Expr):
        return expression("day + CAST(days AS INT)", day=day, days=days)
    if isinstance(day, (exp.Add, exp.Sub)) and day.expression.is_int:
        already = int(day.expression.to_py())
        return plus_days(day.this, days + (already if isinstance(day, exp.Add) else -already))
    if days == 0:
        return day.copy()
    return expression("day + n" if days > 0 else "day - n", day=day, n=exp.Literal.number(abs(days)))


def plus_months(day: exp.Expr, months: int) -> exp.Expr:
    """A DATE that many months of the Gregorian calendar later (negative: earlier); 31 March − 1 is 28/29 February."""
    if months == 0:
        return day.copy()
    span = exp.Interval(this=exp.Literal.string(str(abs(months))), unit=exp.var("MONTH"))
    return expression("CAST(day + span AS DATE)" if months > 0 else "CAST(day - span AS DATE)", day=day, span=span)


def add_months(day: dt.date, months: int) -> dt.date:
    """`plus_months` for one date."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = day.day if day.day <= 28 else min(day.day, gregorian.monthrange(year, month + 1)[1])
    return day.replace(year=year, month=month + 1, day=last)


def expression(text: str, /, **parts: exp.Expr) -> exp.Expr:
    """A constant text of DuckDB's dialect as a tree, each name in it that is a key of `parts` replaced by that tree.

    The text is more than one name.

    >>> expression("(33 * n + 11) % 12053", n=exp.column("days")).sql("duckdb")
    '(33 * days + 11) % 12053'
    """
    tree = _parsed(text).copy()
    for name in [node for node in tree.find_all(exp.Column) if not node.table and node.name in parts]:
        part = parts[name.name].copy()
        if isinstance(part, exp.Binary) and isinstance(name.parent, (exp.Binary, exp.Unary)):
            part = exp.paren(part, copy=False)
        name.replace(part)
    return tree


@lru_cache(maxsize=256)
def _parsed(text: str) -> exp.Expr:
    tree: exp.Expr = sqlglot.parse_one(text, dialect="duckdb")
    return tree
