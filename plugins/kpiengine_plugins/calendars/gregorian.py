"""The Gregorian calendar, and the fiscal one, whose quarters and years begin in another month."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, ClassVar

from sqlglot import exp

from kpiengine.calendar import (
    MONTHS_IN,
    Calendar,
    add_months,
    expression,
    plus_days,
    plus_months,
)
from kpiengine_plugins.calendars.texts import (
    GREGORIAN_MONTHS,
    WEEK_OF,
    choice,
    joined,
    language_of,
    localized,
    localized_sql,
    month_number,
    one_of,
)


class SevenDayWeeks(Calendar):
    """Days and weeks, which are the same in every calendar here: a week is seven days from `week_starts` on."""

    def week(self, day: exp.Expr) -> exp.Expr:
        """The first day of the week that holds `day`. Engines cut weeks at Mondays, so the day goes there and back."""
        shift = -self.first_weekday % 7
        return plus_days(_truncated(plus_days(day, shift), "week"), -shift)

    def week_of(self, day: dt.date) -> dt.date:
        """`week` for one date."""
        return day - dt.timedelta(days=(day.weekday() - self.first_weekday) % 7)


class Gregorian(SevenDayWeeks):
    """The Gregorian calendar. With weeks from Monday on, its weeks are those of ISO 8601. Read as dates, no labels."""

    name: ClassVar[str] = "gregorian"
    has_labels: ClassVar[bool] = False
    first_month: int = 1

    def start(self, day: exp.Expr, unit: str) -> exp.Expr:
        """See `Calendar.start`. Years begin with `first_month`, and every third month a quarter."""
        if unit == "day":
            return day.copy()
        if unit == "week":
            return self.week(day)
        shift = (self.first_month - 1) % MONTHS_IN[unit]
        return plus_months(_truncated(plus_months(day, -shift), unit), shift)

    def move(self, day: exp.Expr, n: int, unit: str) -> exp.Expr:
        """See `Calendar.move`."""
        if unit in MONTHS_IN:
            return plus_months(day, n * MONTHS_IN[unit])
        return plus_days(day, days_in(n, unit))

    def start_of(self, day: dt.date, unit: str) -> dt.date:
        """See `Calendar.start_of`."""
        if unit == "day":
            return day
        if unit == "week":
            return self.week_of(day)
        return add_months(day.replace(day=1), -((day.month - self.first_month) % MONTHS_IN[unit]))

    def moved(self, day: dt.date, n: int, unit: str) -> dt.date:
        """See `Calendar.moved`."""
        if unit in MONTHS_IN:
            return add_months(day, n * MONTHS_IN[unit])
        return day + dt.timedelta(days=days_in(n, unit))

    def date(self, year: int, month: int, day: int) -> dt.date:
        """See `Calendar.date`."""
        return dt.date(year, month, day)


class Fiscal(Gregorian):
    """A year that begins on the first of the month `starts`. Months are the Gregorian ones.

    A year is named by the calendar year in which it ends (`FY2026` from April 2025 on), or with `named_by: start`
    by the one in which it begins.
    """

    name: ClassVar[str] = "fiscal"
    options: ClassVar[Mapping[str, type | tuple[type, ...]]] = {"starts": (int, str), "named_by": str}
    has_labels: ClassVar[bool] = True

    def __init__(self, week_starts: str | None = None, **options: Any) -> None:
        super().__init__(week_starts, **options)
        if "starts" not in options:
            raise ValueError('calendar "fiscal" needs the month its years start with: {fiscal: {starts: april}}')
        self.first_month = month_number(options["starts"])
        self.named_by = choice("named_by", options.get("named_by", "end"), ("end", "start"))

    def date(self, year: int, month: int, day: int) -> dt.date:
        """The Gregorian date of a fiscal one: `fiscal:2026-01-01` is the first day of the first month of FY2026."""
        if not 1 <= month <= 12:
            raise ValueError("a fiscal year has months 1 to 12")
        first = add_months(first_of_fiscal_year(year, self.first_month, self.named_by), month - 1)
        return first.replace(day=day)

    def label(self, start: exp.Expr, unit: str, language: str) -> exp.Expr | None:
        """`FY2026`, `Q1 FY2026`, `April 2025`, `week of 2025-04-07`, `2025-04-07`."""
        language = language_of(language)
        if unit in ("year", "quarter"):
            year = fiscal_year(start, self.first_month, self.named_by)
            quarter = expression("EXTRACT(QUARTER FROM day)", day=plus_months(start, 1 - self.first_month))
            return fiscal_label(unit, quarter, year, language)
        if unit == "month":
            name = one_of(expression("EXTRACT(MONTH FROM day)", day=start), 1, GREGORIAN_MONTHS[language])
            return localized_sql(joined(name, " ", expression("EXTRACT(YEAR FROM day)", day=start)), language)
        if unit in ("week", "day"):
            return localized_sql(joined(WEEK_OF[language] if unit == "week" else "", start.copy()), language)
        return None

    def label_of(self, start: dt.date, unit: str, language: str) -> str | None:
        """`label` for one date."""
        language = language_of(language)
        if unit in ("year", "quarter"):
            year = fiscal_year_of(start, self.first_month, self.named_by)
            quarter = (add_months(start, 1 - self.first_month).month + 2) // 3
            return fiscal_text(unit, quarter, year, language)
        if unit == "month":
            return localized(f"{GREGORIAN_MONTHS[language][start.month - 1]} {start.year}", language)
        if unit in ("week", "day"):
            return localized((WEEK_OF[language] if unit == "week" else "") + start.isoformat(), language)
        return None


def days_in(n: int, unit: str) -> int:
    """The days in n units of days or weeks."""
    return n * {"day": 1, "week": 7}[unit]


def fiscal_year(day: exp.Expr, first_month: int, named_by: str) -> exp.Expr:
    """The number that names the fiscal year which holds `day`."""
    months = (1 - first_month) % 12 if named_by == "end" else 1 - first_month
    return expression("EXTRACT(YEAR FROM day)", day=plus_months(day, months))


def fiscal_year_of(day: dt.date, first_month: int, named_by: str) -> int:
    """`fiscal_year` for one date."""
    return add_months(day, (1 - first_month) % 12 if named_by == "end" else 1 - first_month).year


def first_of_fiscal_year(year: int, first_month: int, named_by: str) -> dt.date:
    """The first of the month with which the fiscal year named `year` begins."""
    return dt.date(year - 1 if named_by == "end" and first_month > 1 else year, first_month, 1)


_FISCAL = {
    "en": {"year": "", "quarter": "Q", "month": "P", "week": "W", "of": "FY", "gap": " "},
    "fa": {"year": "", "quarter": "سه‌ماههٔ ", "month": "دورهٔ ", "week": "هفتهٔ ", "of": "سال مالی ", "gap": "، "},
}


def fiscal_label(unit: str, number: exp.Expr, year: exp.Expr, language: str) -> exp.Expr:
    """`Q1 FY2026` for a period's number, `FY2026` for the year itself."""
    words = _FISCAL[language]
    if unit == "year":
        return localized_sql(joined(words["of"], year), language)
    return localized_sql(joined(words[unit], number, words["gap"] + words["of"], year), language)


def fiscal_text(unit: str, number: int | str, year: int, language: str) -> str:
    """`fiscal_label` for one period."""
    words = _FISCAL[language]
    period = "" if unit == "year" else f"{words[unit]}{number}{words['gap']}"
    return localized(f"{period}{words['of']}{year}", language)


def _truncated(day: exp.Expr, unit: str) -> exp.Expr:
    # date_trunc of a DATE is a TIMESTAMP in most engines.
    return expression("CAST(date_trunc(unit, day) AS DATE)".replace("unit", f"'{unit}'"), day=day)
