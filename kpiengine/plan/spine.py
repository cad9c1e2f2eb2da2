"""The periods of a query, one row each, with the days and earlier periods that its time functions look at.

The engine makes them: a series of days between the first and the last period with rows, cut by the calendar.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from kpiengine.calendar import Calendar, period_stays, plus_days
from kpiengine.errors import UsageError
from kpiengine.plan.expressions import column, date_literal
from kpiengine.plan.frames import Frame, Window
from kpiengine.plan.steps import Aggregate, Named, Part, Select, Series, Step, Union

LAST_DAY = "last_day"


@dataclass(frozen=True)
class Spine:
    """The step with the periods: the period's own column, and one per look-back of the query."""

    step: str
    period: str
    columns: tuple[str, ...]


def shift_name(shifts: Sequence[tuple[int, str]]) -> str:
    """The column with the period that shifts lead to: `prior_1_month`."""
    return "_".join(f"prior_{n}_{unit}" if n >= 0 else f"next_{-n}_{unit}" for n, unit in shifts)


def window_start(window: Window) -> str | None:
    """The column with a window's first day; None for one that starts at the beginning."""
    return None if window.function == "running" else f"{window.name}_start"


def spine_steps(
    name: str, unit: str, calendar: Calendar, parts: Sequence[Part], frames: Sequence[Frame],
    since: dt.date | None = None, until: dt.date | None = None,
) -> tuple[list[Step], Spine]:  # fmt: skip
    """The steps that make the spine from the periods seen in `parts`, widened to `since` and `until` where given."""
    steps: list[Step] = []
    seen = parts[0].step
    if len(parts) > 1:
        seen = f"{name}_seen"
        steps.append(Union(seen, tuple(Select("", p.step, (Named(unit, column(unit)),)) for p in parts)))
    low: exp.Expr = exp.Min(this=column(unit))
    high: exp.Expr = exp.Max(this=column(unit))
    if since is not None:
        low = exp.Least(this=low, expressions=[date_literal(_start(calendar, since, unit))])
    if until is not None:
        high = exp.Greatest(this=high, expressions=[date_literal(_start(calendar, _before(until, unit), unit))])
    span = Aggregate(f"{name}_span", seen, (), (Named("low", low), Named("high", high)))
    hourly = unit == "hour"
    series = Series(f"{name}_{'hours' if hourly else 'days'}", span.name, "moment" if hourly else "day", hourly)
    inner = column(series.column)
    start = inner if unit in ("hour", "day") else calendar.start(inner, unit)
    periods = Select(f"{name}_starts", series.name, (Named(unit, start),), distinct=True)
    looks = _looks(unit, calendar, frames)
    steps += [span, series, periods, Select(name, periods.name, (Named(unit, column(unit)), *looks))]
    return steps, Spine(name, unit, tuple(n.name for n in looks))


def _before(until: dt.date, unit: str) -> dt.date:
    """The last moment that an exclusive bound leaves."""
    if isinstance(until, dt.datetime):
        return until - (dt.timedelta(hours=1) if unit == "hour" else dt.timedelta(microseconds=1))
    return until - dt.timedelta(days=1)


def _start(calendar: Calendar, day: dt.date, unit: str) -> dt.date:
    if unit == "hour":
        return dt.datetime(day.year, day.month, day.day, getattr(day, "hour", 0))
    plain = day.date() if isinstance(day, dt.datetime) else day
    return calendar.start_of(plain, unit)


def _looks(unit: str, calendar: Calendar, frames: Sequence[Frame]) -> tuple[Named, ...]:
    """The last day of each period, the first days of windows, and the periods that shifts lead to."""
    here = column(unit)
    last = last_day(here, unit, calendar)
    looks = {LAST_DAY: last}
    for frame in frames:
        window = frame.window
        if window is not None and window.function == "trailing":
            looks[f"{window.name}_start"] = _trailing_start(here, last, unit, window, calendar)
        elif window is not None and window.function == "to_date":
            looks[f"{window.name}_start"] = calendar.start(last, window.unit)
        if frame.shifts:
            looks[shift_name(frame.shifts)] = shifted(here, unit, frame.shifts, calendar)
    return tuple(Named(n, e) for n, e in looks.items())


def _trailing_start(here: exp.Expr, last: exp.Expr, unit: str, window: Window, calendar: Calendar) -> exp.Expr:
    """The first of the n units that end with the period's last day."""
    if unit not in ("hour", "day") and period_stays(window.unit, unit):
        following = calendar.move_start(here, 1, unit, unit)
        return calendar.move_start(following, -window.n, window.unit, unit)
    return calendar.move(plus_days(last, 1), -window.n, window.unit)


def last_day(start: exp.Expr, unit: str, calendar: Calendar) -> exp.Expr:
    """The last day of the period with that start."""
    if unit == "hour":
        return exp.cast(start.copy(), "DATE")
    if unit == "day":
        return start.copy()
    return calendar.last_day(start, unit)


def shifted(start: exp.Expr, unit: str, shifts: Sequence[tuple[int, str]], calendar: Calendar) -> exp.Expr:
    """The period that holds a period's first day moved back, once per shift."""
    here = start.copy()
    for n, by in shifts:
        hourly = unit == "hour"
        here = _moved_hour(here, n, by, calendar) if hourly else calendar.move_start(here, -n, by, unit)
    return here


def _moved_hour(here: exp.Expr, n: int, by: str, calendar: Calendar) -> exp.Expr:
    if by not in ("hour", "day", "week") and calendar.name != "gregorian":
        raise UsageError(f"prior(…, {n}, {by}) by hour is there in the Gregorian calendar only")
    back = exp.Interval(
        this=exp.Literal.string(str(abs(n) * (3 if by == "quarter" else 1))),
        unit=exp.var("MONTH" if by == "quarter" else by.upper()),
    )
    op = exp.Sub if n >= 0 else exp.Add
    return exp.cast(op(this=here, expression=back), "TIMESTAMP")
