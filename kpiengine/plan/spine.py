"""The periods of a query, one row each, with the days and earlier periods that its time functions look at.

The engine makes them: a series of days between the first and the last period with rows, cut by the calendar.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from sqlglot import exp

from kpiengine.calendar import Calendar, period_stays, plus_days
from kpiengine.errors import UsageError
from kpiengine.plan.expressions import column, date_literal
from kpiengine.plan.frames import Frame, Window
from kpiengine.plan.steps import Aggregate, Named, Part, Select, Series, Step, Union
from kpiengine.records import dataclass

LAST_DAY = "last_day"
SPINE_ENDINGS = ("_seen", "_span", "_days", "_hours", "_starts")
"""What names of steps on the way to a spine have behind the spine's."""


@dataclass(frozen=True)
class Spine:
    """The step with the periods: the period's own column, and `columns`, the periods that shifts lead to."""

    step: str
    period: str
    columns: tuple[str, ...]


def shift_name(shifts: Sequence[tuple[int, str]]) -> str:
    """The column with the period that shifts lead to: `prior_1_month`."""
    return "_".join(f"prior_{n}_{unit}" if n >= 0 else f"next_{-n}_{unit}" for n, unit in shifts)


def window_start(window: Window) -> str | None:
    """The column with a window's first day; None for one that starts at the beginning."""
    return None if window.function == "running" else f"{window.name}_start"


_LONGEST = {"hour": 1, "day": 1, "week": 7, "month": 35, "quarter": 98, "year": 390}
"""Days that a unit has at most, in whatever calendar."""


def window_reach(window: Window, period: str) -> int | None:
    """So many days after a day no window of periods holds it any more; None for one that starts at the beginning."""
    if window.function == "running":
        return None
    return max(window.n, 1) * _LONGEST[window.unit] + _LONGEST[period] + 1


def made_of_periods(window: Window, period: str) -> bool:
    """Whether a window that ends with a period's last day begins with a period's first, in every calendar."""
    return period != "hour" and (window.function == "running" or period_stays(window.unit, period))


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
        low = _or_bound(low, exp.LT, _start(calendar, since, unit))
    if until is not None:
        high = _or_bound(high, exp.GT, _start(calendar, _before(until, unit), unit))
    span = Aggregate(f"{name}_span", seen, (), (Named("low", low), Named("high", high)))
    hourly = unit == "hour"
    series = Series(f"{name}_{'hours' if hourly else 'days'}", span.name, "moment" if hourly else "day", hourly)
    inner = column(series.column)
    start = inner if unit in ("hour", "day") else calendar.start(inner, unit)
    periods = Select(f"{name}_starts", series.name, (Named(unit, start),), distinct=True)
    looks = _looks(unit, calendar, frames)
    steps += [span, series, periods, Select(name, periods.name, (Named(unit, column(unit)), *looks))]
    return steps, Spine(name, unit, tuple(dict.fromkeys(shift_name(f.shifts) for f in frames if f.shifts)))


def _or_bound(edge: exp.Expr, beyond: type[exp.Expr], bound: dt.date) -> exp.Expr:
    """The edge of the rows where it lies beyond the bound, else the bound, which holds where there are no rows."""
    there = date_literal(bound)
    return exp.Case(ifs=[exp.If(this=beyond(this=edge.copy(), expression=there.copy()), true=edge)], default=there)


def _before(until: dt.date, unit: str) -> dt.date:
    """The last moment that an exclusive bound leaves."""
    if isinstance(until, dt.datetime) or unit == "hour":
        return _instant(until) - dt.timedelta(microseconds=1)
    return until - dt.timedelta(days=1)


def _instant(day: dt.date) -> dt.datetime:
    return day if isinstance(day, dt.datetime) else dt.datetime(day.year, day.month, day.day)


def hour_of(day: dt.date) -> dt.datetime:
    """The beginning of the hour, or of the day for a date."""
    return _instant(day).replace(minute=0, second=0, microsecond=0)


def _start(calendar: Calendar, day: dt.date, unit: str) -> dt.date:
    if unit == "hour":
        return hour_of(day)
    plain = day.date() if isinstance(day, dt.datetime) else day
    return calendar.start_of(plain, unit)


def _looks(unit: str, calendar: Calendar, frames: Sequence[Frame]) -> tuple[Named, ...]:
    """The last day of each period, the first days of windows, and the periods that shifts lead to."""
    here = column(unit)
    last = last_day(here, unit, calendar)
    looks = {LAST_DAY: last}
    for frame in frames:
        window = frame.window
        if window is not None and window.function != "running":
            start = _hours_start if unit == "hour" else _days_start
            looks[f"{window.name}_start"] = start(here, last, unit, window, calendar)
        if frame.shifts:
            looks[shift_name(frame.shifts)] = shifted(here, unit, frame.shifts, calendar)
    return tuple(Named(n, e) for n, e in looks.items())


def _days_start(here: exp.Expr, last: exp.Expr, unit: str, window: Window, calendar: Calendar) -> exp.Expr:
    if window.unit == "hour":
        raise UsageError(f"{window.told} by {unit}: hours are looked at by hour only")
    if window.function == "to_date":
        return calendar.start(last, window.unit)
    return trailing_start(here, last, unit, window, calendar)


def _hours_start(here: exp.Expr, last: exp.Expr, unit: str, window: Window, calendar: Calendar) -> exp.Expr:
    """The first hour of a window that ends with the hour `here`."""
    if window.function == "to_date":
        return here if window.unit == "hour" else exp.cast(calendar.start(last, window.unit), "TIMESTAMP")
    hour = exp.Interval(this=exp.Literal.string("1"), unit=exp.var("HOUR"))
    after = exp.paren(exp.Add(this=here.copy(), expression=hour), copy=False)
    return _moved_hour(after, window.n, window.unit, calendar, window.told)


def trailing_start(here: exp.Expr, last: exp.Expr, unit: str, window: Window, calendar: Calendar) -> exp.Expr:
    """The first day of the n units that end with a period's last day; `here` is the period's first."""
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
        if unit == "hour":
            here = _moved_hour(here, n, by, calendar, f"prior(…, {n}, {by})")
        else:
            here = calendar.move_start(here, -n, by, unit)
    return here


def _moved_hour(here: exp.Expr, n: int, by: str, calendar: Calendar, told: str) -> exp.Expr:
    if by not in ("hour", "day", "week") and calendar.name != "gregorian":
        raise UsageError(f"{told} by hour is there in the Gregorian calendar only")
    back = exp.Interval(
        this=exp.Literal.string(str(abs(n) * (3 if by == "quarter" else 1))),
        unit=exp.var("MONTH" if by == "quarter" else by.upper()),
    )
    op = exp.Sub if n >= 0 else exp.Add
    return exp.cast(op(this=here, expression=back), "TIMESTAMP")
