"""The Gregorian calendar, by hand."""

from __future__ import annotations

import calendar
import datetime as dt


def start_of(day: dt.date, unit: str, week_starts: int = 0) -> dt.date:
    """The first day of the period that holds `day`; `week_starts` counts from 0, Monday."""
    match unit:
        case "day":
            return day
        case "week":
            return day - dt.timedelta(days=(day.weekday() - week_starts) % 7)
        case "month":
            return day.replace(day=1)
        case "quarter":
            return dt.date(day.year, day.month - (day.month - 1) % 3, 1)
    return dt.date(day.year, 1, 1)


def moved(day: dt.date, n: int, unit: str) -> dt.date:
    """`day` n units later; a day that its month lacks becomes the month's last."""
    if unit in ("day", "week"):
        return day + dt.timedelta(days=n * (7 if unit == "week" else 1))
    months = day.year * 12 + day.month - 1 + n * {"month": 1, "quarter": 3, "year": 12}[unit]
    year, month = months // 12, months % 12 + 1
    return dt.date(year, month, min(day.day, calendar.monthrange(year, month)[1]))


def end_of(day: dt.date, unit: str, week_starts: int = 0) -> dt.date:
    """The day after the period's last."""
    return moved(start_of(day, unit, week_starts), 1, unit)
