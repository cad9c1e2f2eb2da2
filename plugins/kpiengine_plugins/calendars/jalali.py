"""The Jalali (Solar Hijri) calendar of Iran and Afghanistan, by arithmetic that is exact for the years 1200 to 1500.

Leap years recur in a cycle of 33, of which 8 are leap: y is leap where (25 y + 11) % 33 < 8. Spread evenly as they are,
a year has 12053/33 days, and with days counted from the right zero, year y begins on day (12053 y + 21) // 33, day n
lies in year (33 n + 11) // 12053, and is that year's day ((33 n + 11) % 12053) // 33, counted from 0.
"""

from __future__ import annotations

import datetime as dt
from fractions import Fraction
from typing import ClassVar

from sqlglot import exp

from kpiengine.calendar import MONTHS_IN, day_number, expression
from kpiengine_plugins.calendars.snapping import Snapping
from kpiengine_plugins.calendars.texts import (
    WEEK_OF,
    joined,
    language_of,
    localized,
    localized_sql,
    one_of,
    two_digits,
)

FIRST_YEAR, LAST_YEAR = 1200, 1500
"""The years for which the arithmetic has been compared with the astronomical calendar."""

MONTHS = {
    "en": (
        "Farvardin", "Ordibehesht", "Khordad", "Tir", "Mordad", "Shahrivar",
        "Mehr", "Aban", "Azar", "Dey", "Bahman", "Esfand",
    ),
    "fa": (
        "فروردین", "اردیبهشت", "خرداد", "تیر", "مرداد", "شهریور", "مهر", "آبان", "آذر", "دی", "بهمن", "اسفند",
    ),
}  # fmt: skip
QUARTERS = {"en": ("Q1", "Q2", "Q3", "Q4"), "fa": ("بهار", "تابستان", "پاییز", "زمستان")}

_ZERO = 226530
_HALF = 186  # days in the six months of 31 days; the others have 30, the last 29 where the year is not leap


class Jalali(Snapping):
    """The Jalali calendar; weeks begin on Saturday."""

    name: ClassVar[str] = "jalali"
    default_week_start: ClassVar[str] = "saturday"
    mean_year: ClassVar[Fraction] = Fraction(12053, 33)

    def start_of_months(self, day: exp.Expr, unit: str) -> exp.Expr:
        """See `Snapping.start_of_months`."""
        past = _day_of_year(day)
        if unit != "year":
            past = expression(
                "CASE WHEN past < 186 THEN past % long ELSE (past - 6) % short END",
                past=past,
                long=exp.Literal.number(31 * MONTHS_IN[unit]),
                short=exp.Literal.number(30 * MONTHS_IN[unit]),
            )
        return expression("day - CAST(past AS INT)", day=day, past=past)

    def start_of_months_of(self, day: dt.date, unit: str) -> dt.date:
        """See `Snapping.start_of_months_of`."""
        _, past = _split(day)
        if unit != "year":
            length = MONTHS_IN[unit]
            past = past % (31 * length) if past < _HALF else (past - 6) % (30 * length)
        return day - dt.timedelta(days=past)

    def date(self, year: int, month: int, day: int) -> dt.date:
        """The Gregorian date of a Jalali one. ValueError for one that does not exist, or a year out of 1200 to 1500."""
        if not FIRST_YEAR <= year <= LAST_YEAR:
            raise ValueError(f"Jalali years are known from {FIRST_YEAR} to {LAST_YEAR}")
        if not 1 <= month <= 12:
            raise ValueError("a year has months 1 to 12")
        length = 31 if month <= 6 else 30 if month < 12 or is_leap(year) else 29
        if not 1 <= day <= length:
            raise ValueError(f"{MONTHS['en'][month - 1]} {year} has {length} days")
        past = 30 * (month - 1) + min(month - 1, 6) + day - 1
        return dt.date.fromordinal(_ZERO + (12053 * year + 21) // 33 + past)

    def label(self, start: exp.Expr, unit: str, language: str) -> exp.Expr | None:
        """`1405`, `Q1 1405`, `Farvardin 1405`, `week of 1405/01/01`, `1405/01/01`; Persian for `fa`."""
        language = language_of(language)
        year = expression("(33 * n + 11) // 12053", n=day_number(start, _ZERO))
        past = _day_of_year(start)
        if unit == "year":
            return localized_sql(joined(year), language)
        if unit == "quarter":
            quarter = one_of(expression("past // 90", past=past), 0, QUARTERS[language])
            return localized_sql(joined(quarter, " ", year), language)
        if unit == "month":
            month = one_of(expression("past // 30", past=past), 0, MONTHS[language])
            return localized_sql(joined(month, " ", year), language)
        if unit not in ("week", "day"):
            return None
        month = expression("GREATEST(past // 31, (past - 6) // 30) + 1", past=past)
        day = expression("CASE WHEN past < 186 THEN past % 31 ELSE (past - 6) % 30 END + 1", past=past)
        before = WEEK_OF[language] if unit == "week" else ""
        return localized_sql(joined(before, year, "/", two_digits(month), "/", two_digits(day)), language)

    def label_of(self, start: dt.date, unit: str, language: str) -> str | None:
        """`label` for one date."""
        language = language_of(language)
        year, month, day = jalali_of(start)
        texts = {
            "year": f"{year}",
            "quarter": f"{QUARTERS[language][(month - 1) // 3]} {year}",
            "month": f"{MONTHS[language][month - 1]} {year}",
            "week": f"{WEEK_OF[language]}{year}/{month:02}/{day:02}",
            "day": f"{year}/{month:02}/{day:02}",
        }
        return localized(texts[unit], language) if unit in texts else None


def is_leap(year: int) -> bool:
    """Whether a Jalali year has a 30 Esfand."""
    return (25 * year + 11) % 33 < 8


def jalali_of(day: dt.date) -> tuple[int, int, int]:
    """Year, month and day of a Gregorian date in the Jalali calendar."""
    year, past = _split(day)
    month = past // 31 if past < _HALF else (past - 6) // 30
    return year, month + 1, past - 30 * month - min(month, 6) + 1


def _split(day: dt.date) -> tuple[int, int]:
    """The year, and the days of it that are past."""
    year, rest = divmod(33 * (day.toordinal() - _ZERO) + 11, 12053)
    return year, rest // 33


def _day_of_year(day: exp.Expr) -> exp.Expr:
    return expression("(33 * n + 11) % 12053 // 33", n=day_number(day, _ZERO))
