"""Calendars whose months can be told only by where they begin: moving is jumping near the target and cutting there."""

from __future__ import annotations

import datetime as dt
from abc import abstractmethod
from fractions import Fraction
from functools import lru_cache
from typing import ClassVar

from sqlglot import exp

from kpiengine.calendar import MONTHS_IN, expression, period_stays, plus_days
from kpiengine_plugins.calendars.gregorian import SevenDayWeeks, days_in


class Snapping(SevenDayWeeks):
    """A calendar that says where periods begin (`start_of_months`), and moves by that alone.

    From the 15th day of a month, n mean months later is a day within the month that begins n months later, as long as
    months begin less than 14 days off their mean places. So a first day moves by one addition and one cut.
    """

    mean_year: ClassVar[Fraction]
    """Days in a year, in the long run."""

    @abstractmethod
    def start_of_months(self, day: exp.Expr, unit: str) -> exp.Expr:
        """`start` for month, quarter and year."""

    @abstractmethod
    def start_of_months_of(self, day: dt.date, unit: str) -> dt.date:
        """`start_of` for month, quarter and year."""

    def start(self, day: exp.Expr, unit: str) -> exp.Expr:
        """See `Calendar.start`."""
        if unit == "day":
            return day.copy()
        return self.week(day) if unit == "week" else self.start_of_months(day, unit)

    def start_of(self, day: dt.date, unit: str) -> dt.date:
        """See `Calendar.start_of`."""
        if unit == "day":
            return day
        return self.week_of(day) if unit == "week" else self.start_of_months_of(day, unit)

    def move(self, day: exp.Expr, n: int, unit: str) -> exp.Expr:
        """See `Calendar.move`. A day keeps its place in the month: a quarter is three months, a year twelve."""
        if unit not in MONTHS_IN:
            return plus_days(day, days_in(n, unit))
        # From year to year every month keeps its place, and a year begins by the shorter expression.
        if unit == "year":
            return self._moved_within(self.start(day, "year"), day, n, "year")
        return self.move_from(self.start(day, "month"), day, n, unit)

    def move_from(self, month: exp.Expr, day: exp.Expr, n: int, unit: str) -> exp.Expr:
        """See `Calendar.move_from`."""
        if unit not in MONTHS_IN:
            return plus_days(day, days_in(n, unit))
        return self._moved_within(month, day, n * MONTHS_IN[unit], "month")

    def _moved_within(self, start: exp.Expr, day: exp.Expr, n: int, unit: str) -> exp.Expr:
        return expression(
            "LEAST(first + CAST(date_diff('day', start, day) AS INT), next - 1)",
            day=day,
            start=start,
            first=self.move_start(start, n, unit, unit),
            next=self.move_start(start, n + 1, unit, unit),
        )

    def moved(self, day: dt.date, n: int, unit: str) -> dt.date:
        """See `Calendar.moved`."""
        if unit not in MONTHS_IN:
            return day + dt.timedelta(days=days_in(n, unit))
        months = n * MONTHS_IN[unit]
        start = self.start_of(day, "month")
        first = self._jumped(start, months)
        if day == start:
            return first
        return min(first + (day - start), self._jumped(start, months + 1) - dt.timedelta(days=1))

    def move_start(self, start: exp.Expr, n: int, unit: str, period: str) -> exp.Expr:
        """See `Calendar.move_start`."""
        if period not in MONTHS_IN or not period_stays(unit, period):
            return super().move_start(start, n, unit, period)
        return self.start(plus_days(start, self._jump(n, unit)), period)

    def _jumped(self, month: dt.date, n: int) -> dt.date:
        return self.start_of(month + dt.timedelta(days=self._jump(n, "month")), "month")

    def _jump(self, n: int, unit: str) -> int:
        return _days_to_the_middle(n * MONTHS_IN[unit], self.mean_year)


@lru_cache(maxsize=1024)
def _days_to_the_middle(months: int, mean_year: Fraction) -> int:
    return 14 + round(months * mean_year / 12)
