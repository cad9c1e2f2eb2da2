"""The retail calendar: years of 52 or 53 whole weeks, quarters of 13, months of four or five."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, ClassVar

from sqlglot import exp

from kpiengine.calendar import MONTHS_IN, add_months, expression, plus_days, plus_months
from kpiengine_plugins.calendars.gregorian import (
    first_of_fiscal_year,
    fiscal_label,
    fiscal_text,
    fiscal_year,
    fiscal_year_of,
)
from kpiengine_plugins.calendars.snapping import Snapping
from kpiengine_plugins.calendars.texts import (
    choice,
    joined,
    language_of,
    localized,
    localized_sql,
    month_number,
    two_digits,
)

# Month m (from 0) of a year begins with week (13 m + 2 − c) // 3, and week w lies in month (3 w + c) // 13.
_PATTERNS = {"4-4-5": 2, "4-5-4": 1, "5-4-4": 0}


class Retail(Snapping):
    """Years of whole weeks that begin near the first of the month `starts` (february).

    `pattern` is 4-5-4 (that of the National Retail Federation), 4-4-5 or 5-4-4. `rule: nearest` begins a year with the
    first day of a week that is nearest to the first of the month; `rule: last` with the week that holds it, so that
    the year ends on the last such weekday of the month before. The 53rd week belongs to the year's last month.
    A year is named by the calendar year in which the month `starts` lies, or with `named_by: end` by that of its end.
    """

    name: ClassVar[str] = "retail"
    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {
        "pattern": str,
        "starts": (int, str),
        "rule": str,
        "named_by": str,
    }
    default_week_start: ClassVar[str] = "sunday"
    mean_year: ClassVar[Fraction] = Fraction(3652425, 10000)

    def __init__(self, week_starts: str | None = None, **options: Any) -> None:
        super().__init__(week_starts, **options)
        self._c = _PATTERNS[choice("pattern", options.get("pattern", "4-5-4"), tuple(_PATTERNS))]
        self.first_month = month_number(options.get("starts", "february"))
        rule = choice("rule", options.get("rule", "nearest"), ("nearest", "last"))
        self.named_by = choice("named_by", options.get("named_by", "start"), ("start", "end"))
        # A week is of the year whose first-of-month is the last one not after the week's day `_decides` (from 0), and
        # the year's first week is the one that holds the day `_reach` days after the first-of-month.
        self._decides, self._reach = (3, 3) if rule == "nearest" else (6, 0)

    def start_of_months(self, day: exp.Expr, unit: str) -> exp.Expr:
        """See `Snapping.start_of_months`."""
        year = self._year(day)
        if unit == "year":
            return year
        if unit == "quarter":
            return plus_days(year, expression("91 * quarter", quarter=self._quarter(day)))
        extra = exp.Literal.number(2 - self._c)
        weeks = expression("(13 * month + extra) // 3", month=self._month(day), extra=extra)
        return plus_days(year, expression("7 * weeks", weeks=weeks))

    def start_of_months_of(self, day: dt.date, unit: str) -> dt.date:
        """See `Snapping.start_of_months_of`."""
        year = self._year_of(day)
        week = (day - year).days // 7
        weeks = {
            "year": 0,
            "quarter": 13 * min(week // 13, 3),
            "month": (13 * self._month_of(week) + 2 - self._c) // 3,
        }[unit]
        return year + dt.timedelta(weeks=weeks)

    def date(self, year: int, month: int, day: int) -> dt.date:
        """The Gregorian date of a retail one: day `day` of month `month` (1–12) of the year that is named `year`."""
        if not 1 <= month <= 12:
            raise ValueError("a retail year has months 1 to 12")
        reach = dt.timedelta(days=self._reach)
        first = self.week_of(first_of_fiscal_year(year, self.first_month, self.named_by) + reach)
        start = first + dt.timedelta(weeks=(13 * (month - 1) + 2 - self._c) // 3)
        found = start + dt.timedelta(days=day - 1)
        if not start <= found <= self.last_day_of(start, "month"):
            raise ValueError(f"that month has {(self.last_day_of(start, 'month') - start).days + 1} days")
        return found

    def label(self, start: exp.Expr, unit: str, language: str) -> exp.Expr | None:
        """`FY2025`, `Q1 FY2025`, `P02 FY2025`, `W05 FY2025`, `2025-03-02`."""
        language = language_of(language)
        if unit == "day":
            return localized_sql(joined(start.copy()), language)
        numbers = {
            "week": lambda: two_digits(expression("week + 1", week=self._week(start))),
            "month": lambda: two_digits(expression("month + 1", month=self._month(start))),
            "quarter": lambda: expression("quarter + 1", quarter=self._quarter(start)),
            "year": lambda: start,
        }
        if unit not in numbers:
            return None
        year = fiscal_year(plus_days(self.week(start), self._decides), self.first_month, self.named_by)
        return fiscal_label(unit, numbers[unit](), year, language)

    def label_of(self, start: dt.date, unit: str, language: str) -> str | None:
        """`label` for one date."""
        language = language_of(language)
        if unit == "day":
            return localized(start.isoformat(), language)
        week = (start - self._year_of(start)).days // 7
        numbers: dict[str, int | str] = {
            "week": f"{week + 1:02}",
            "month": f"{self._month_of(week) + 1:02}",
            "quarter": min(week // 13, 3) + 1,
            "year": 0,
        }
        if unit not in numbers:
            return None
        decider = self.week_of(start) + dt.timedelta(days=self._decides)
        return fiscal_text(unit, numbers[unit], fiscal_year_of(decider, self.first_month, self.named_by), language)

    def _year(self, day: exp.Expr) -> exp.Expr:
        shift = self.first_month - 1
        decider = plus_months(plus_days(self.week(day), self._decides), -shift)
        first = plus_months(expression("CAST(date_trunc('year', day) AS DATE)", day=decider), shift)
        return self.week(plus_days(first, self._reach))

    def _year_of(self, day: dt.date) -> dt.date:
        decider = self.week_of(day) + dt.timedelta(days=self._decides)
        first = add_months(decider.replace(day=1), -((decider.month - self.first_month) % MONTHS_IN["year"]))
        return self.week_of(first + dt.timedelta(days=self._reach))

    def _week(self, day: exp.Expr) -> exp.Expr:
        return expression("date_diff('day', year, day) // 7", year=self._year(day), day=day)

    def _quarter(self, day: exp.Expr) -> exp.Expr:
        return expression("LEAST(date_diff('day', year, day) // 91, 3)", year=self._year(day), day=day)

    def _month(self, day: exp.Expr) -> exp.Expr:
        weeks = expression("3 * week + c", week=self._week(day), c=exp.Literal.number(self._c))
        return expression("LEAST(weeks // 13, 11)", weeks=weeks)

    def _month_of(self, week: int) -> int:
        return min((3 * week + self._c) // 13, 11)
