"""The periods that a column of days may lie in, told before a row is read, and their numbers as an expression."""

from __future__ import annotations

import datetime as dt
import itertools

from sqlglot import exp

from kpiengine.calendar import PERIODS, Calendar, expression
from kpiengine.passes.context import Lineage
from kpiengine.passes.trees import core
from kpiengine.records import dataclass

_SHORTEST = {"day": 1, "week": 7, "month": 28, "quarter": 84, "year": 350}


@dataclass(frozen=True)
class Periods:
    """The first days of all periods that there may be, in order, and `number`, a row's place among them from 0.

    `number` is no place among them for a day out of bounds, and NULL for a row without a time.
    """

    starts: tuple[dt.date, ...]
    number: exp.Expr


def periods_of(key: exp.Expr, step: str, lineage: Lineage, most: int) -> Periods | None:
    """The periods of a key that is the first day of one; None where it is no such key, or they are not known, or more
    than `most`."""
    day = core(key)
    column = day.find(exp.Column)
    if day is key or column is None:
        return None
    calendar = lineage.context.calendar
    unit = next((u for u in PERIODS if u != "hour" and calendar.start(day.copy(), u) == key), None)
    days = lineage.days(step, column.name)
    if unit is None or days is None:
        return None
    starts = _starts(calendar, unit, *days, most)
    number = _number(day, unit, starts)
    return None if number is None else Periods(starts, number)


def _starts(calendar: Calendar, unit: str, low: dt.date, high: dt.date, most: int) -> tuple[dt.date, ...]:
    """The first days of periods; none where they are too many."""
    start = calendar.start_of(low, unit)
    found = [start]
    while start <= high:
        following = start + dt.timedelta(days=_SHORTEST[unit])
        while calendar.start_of(following, unit) == start:
            following += dt.timedelta(days=1)
        start = following
        if start <= high:
            found.append(start)
        if len(found) > most:
            return ()
    return tuple(found)


def _number(day: exp.Expr, unit: str, starts: tuple[dt.date, ...]) -> exp.Expr | None:
    """The place of a day's period, where periods are of one length or are the Gregorian calendar's own."""
    if not starts:
        return None
    first = starts[0]
    if unit == "week" and all((b - a).days == 7 for a, b in itertools.pairwise(starts)):
        return expression("(d - first) // 7 - 1", d=day, first=_date(first - dt.timedelta(days=7)))
    if any(s.day != 1 for s in starts):
        return None
    year, month = first.year, first.month
    texts = {
        "month": ("year(d) * 12 + month(d) - n", year * 12 + month),
        "quarter": ("year(d) * 4 + quarter(d) - n", year * 4 + (month + 2) // 3),
        "year": ("year(d) - n", year),
    }
    if unit not in texts:
        return None
    text, zero = texts[unit]
    spans = {"month": 1, "quarter": 3, "year": 12}
    if any(s != _later(first, n * spans[unit]) for n, s in enumerate(starts)) or (
        unit != "month" and month % spans[unit] != 1
    ):
        return None
    return expression(text, d=day, n=exp.Literal.number(zero))


def _later(first: dt.date, months: int) -> dt.date:
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    return dt.date(year, month + 1, 1)


def _date(day: dt.date) -> exp.Expr:
    return exp.cast(exp.Literal.string(day.isoformat()), "DATE")
