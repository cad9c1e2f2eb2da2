"""Dates and spans of time as they are written on the command line and in YAML.

Bounds are dates: `2026-03` as a `--since` or an exclusive `--until` is 1 March. Nothing here reads the clock: what
`today` is, the caller says.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping

from sqlglot import exp

from kpiengine.calendar import MONTHS_IN, Calendar, add_months
from kpiengine.errors import UsageError, listing, suggest
from kpiengine.records import dataclass

FIRST_GREGORIAN_YEAR = 1700
"""An earlier year is not meant as a Gregorian one: it is a Jalali year whose calendar was left out."""

_FORMS = "2026-03-01, 2026-03, today, -90d, -3 months, jalali:1405-01-01"

_DIGITS = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "01234567890123456789")

_DATE = re.compile(r"(\d{4})(?:([-/])(\d{1,2})(?:\2(\d{1,2}))?)?")
_DATETIME = re.compile(r"((\d{4})-\d{2}-\d{2})[t ]\d{2}.*")
_RELATIVE = re.compile(r"([-+\N{MINUS SIGN}])\s*(\d{1,6})\s*([a-z]+)")
_NAMED = re.compile(r"([a-z_][a-z0-9_]*)\s*:\s*(.*)")
_SPAN = re.compile(r"(\d{1,9})\s*([a-z]+)")

_MOVES = {"d": "day", "w": "week", "m": "month", "q": "quarter", "y": "year"}

_DAYS_IN = {
    "second": 1 / 86_400,
    "minute": 1 / 1_440,
    "hour": 1 / 24,
    "day": 1.0,
    "week": 7.0,
    "month": 365.25 / 12,
    "year": 365.25,
}


@dataclass(frozen=True)
class Span:
    """A length of time, `30 days`."""

    n: int
    unit: str
    """second, minute, hour, day, week, month or year."""

    @property
    def days(self) -> float:
        """The length in days, where a year has 365.25 and a month a twelfth of that."""
        return self.n * _DAYS_IN[self.unit]

    def interval(self) -> exp.Interval:
        """The span as SQL: a month more than 31 January is the end of February. A week is said as seven days."""
        n, unit = (self.n * 7, "day") if self.unit == "week" else (self.n, self.unit)
        return exp.Interval(this=exp.Literal.string(str(n)), unit=exp.var(unit.upper()))

    def __str__(self) -> str:
        return f"{self.n} {self.unit}{'' if self.n == 1 else 's'}"


def parse_span(text: str) -> Span:
    """A span written `<n> second|minute|hour|day|week|month|year(s)`.

    Raises:
        UsageError: the text is none.
    """
    match = _SPAN.fullmatch(_plain(text))
    unit = _singular(match[2]) if match else ""
    if match is None or unit not in _DAYS_IN:
        hint = suggest(match[2], [f"{name}s" for name in _DAYS_IN]) if match else ""
        units = ", ".join(f"{name}s" for name in _DAYS_IN)
        raise UsageError(f'"{text}" is no span of time; write a number and one of {units}, as in "30 days"{hint}')
    if int(match[1]) == 0:
        raise UsageError(f'"{text}" is an empty span of time; write at least 1 {unit}')
    return Span(int(match[1]), unit)


def parse_date(
    text: str | dt.date,
    *,
    today: dt.date,
    calendar: Calendar | None = None,
    calendars: Mapping[str, Calendar] | None = None,
) -> dt.date:
    """The date (or the datetime, where a time of day is written) that `text` means.

    `today` and `-90d` count from `today`; `-3 months` goes back on `calendar`, the project's, or on the Gregorian one.
    `jalali:1405-01` is the first day of that month in the calendar of that name in `calendars`. A date is itself.

    Raises:
        UsageError: the text is no date, or a date that does not exist.
    """
    if isinstance(text, dt.date):
        return text
    plain = _plain(text)
    if plain in ("today", "yesterday"):
        return today - dt.timedelta(days=plain == "yesterday")
    if match := _RELATIVE.fullmatch(plain):
        return _relative(text, match, today, calendar)
    if match := _NAMED.fullmatch(plain):
        return _in_calendar(text, match[1], match[2], calendars or {})
    if match := _DATE.fullmatch(plain):
        _refuse_early(text, match[1], "-".join(part.zfill(2) for part in match.group(1, 3, 4) if part))
        try:
            return dt.date(*_numbers(match))
        except ValueError as error:
            raise UsageError(f'there is no date "{text}": {error}') from None
    if match := _DATETIME.fullmatch(plain):
        _refuse_early(text, match[2], match[1])
        try:
            return dt.datetime.fromisoformat(plain.upper())
        except ValueError as error:
            raise UsageError(f'"{text}" is no date with a time of day, such as 2026-03-01T12:30: {error}') from None
    raise UsageError(f'"{text}" is no date; write one like {_FORMS}{suggest(plain, ("today", "yesterday"))}')


def _relative(text: str, match: re.Match[str], today: dt.date, calendar: Calendar | None) -> dt.date:
    n = int(match[2]) if match[1] == "+" else -int(match[2])
    unit = _MOVES.get(match[3]) or _singular(match[3])
    if unit not in _MOVES.values():
        hint = suggest(match[3], [f"{name}s" for name in _MOVES.values()])
        raise UsageError(f'"{text}" is no date: "{match[3]}" is none of days, weeks, months, quarters, years{hint}')
    try:
        if unit not in MONTHS_IN:
            return today + dt.timedelta(days=n * (7 if unit == "week" else 1))
        return calendar.moved(today, n, unit) if calendar else add_months(today, n * MONTHS_IN[unit])
    except (ValueError, OverflowError):
        raise UsageError(f'"{text}" lies outside of the years 1 to 9999') from None


def _in_calendar(text: str, name: str, written: str, calendars: Mapping[str, Calendar]) -> dt.date:
    if name not in calendars:
        hint = suggest(name, calendars)
        raise UsageError(f'"{text}" is no date: no calendar "{name}"; there are: {listing(calendars)}{hint}')
    match = _DATE.fullmatch(written)
    if match is None:
        raise UsageError(f'"{text}" is no date; write one like {name}:1405-01-01, {name}:1405-01 or {name}:1405')
    try:
        return calendars[name].date(*_numbers(match))
    except ValueError as error:
        raise UsageError(f'there is no date "{text}": {error}') from None


def _refuse_early(text: str, year: str, date: str) -> None:
    if int(year) < FIRST_GREGORIAN_YEAR:
        cure = f"for a Jalali date write jalali:{date}"
        raise UsageError(f'"{text}": the year {year} is not taken for a Gregorian one; {cure}')


def _numbers(match: re.Match[str]) -> tuple[int, int, int]:
    return int(match[1]), int(match[3] or 1), int(match[4] or 1)


def _plain(text: str) -> str:
    return text.strip().lower().translate(_DIGITS)


def _singular(word: str) -> str:
    return word.removesuffix("s")
