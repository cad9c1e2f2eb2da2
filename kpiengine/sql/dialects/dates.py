"""Dates and times by what they are made of: forms that dialects with EXTRACT and date arithmetic share."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from kpiengine.sql.dialects.families import family
from kpiengine.sql.dialects.rewriting import Form, Unsayable, number

PARTS: dict[type[exp.Expr] | str, str] = {
    exp.Year: "YEAR", exp.Month: "MONTH", exp.Day: "DAY", exp.DayOfMonth: "DAY", exp.Quarter: "QUARTER",
    exp.Week: "WEEK", exp.WeekOfYear: "WEEK", exp.DayOfWeek: "DOW", "weekday": "DOW", exp.DayOfWeekIso: "ISODOW",
    exp.DayOfYear: "DOY", exp.Hour: "HOUR", exp.Minute: "MINUTE", exp.Second: "SECOND", "isoyear": "ISOYEAR",
}  # fmt: skip
"""DuckDB's functions for one part of a date, and EXTRACT's word for it. Weeks are ISO's; Sunday is 0 or, ISODOW, 7."""

_WORDS = {
    "YEAR": "YEAR", "MONTH": "MONTH", "DAY": "DAY", "QUARTER": "QUARTER", "WEEK": "WEEK", "DOW": "DOW",
    "DAYOFWEEK": "DOW", "WEEKDAY": "DOW", "ISODOW": "ISODOW", "DOY": "DOY", "DAYOFYEAR": "DOY", "HOUR": "HOUR",
    "MINUTE": "MINUTE", "SECOND": "SECOND", "ISOYEAR": "ISOYEAR", "EPOCH": "EPOCH",
}  # fmt: skip

Part = Callable[[str, exp.Expr], exp.Expr]
"""How a dialect says one part (a word of EXTRACT's) of a date or a time, as an integer; EPOCH in seconds, a DOUBLE."""


def part_forms(part: Part) -> dict[type[exp.Expr] | str, Form]:
    """Forms for DuckDB's functions and words for a part of a date."""

    def of_function(word: str) -> Form:
        return lambda node: part(word, node.expressions[0] if isinstance(node, exp.Anonymous) else node.this)

    def extract(node: exp.Extract) -> exp.Expr:
        return part(_word(node.this), node.expression)

    def epoch(node: exp.TimeToUnix) -> exp.Expr:
        return part("EPOCH", node.this)

    forms: dict[type[exp.Expr] | str, Form] = {key: of_function(word) for key, word in PARTS.items()}
    return forms | {exp.Extract: extract, exp.TimeToUnix: epoch}


def _word(node: exp.Expr) -> str:
    found = _WORDS.get(node.name.upper())
    if found is None:
        raise Unsayable(f'no part "{node.name.lower()}" of a date')
    return found


def differences(part: Part, days: Callable[[exp.Expr, exp.Expr], exp.Expr], whole: Form) -> Form:
    """A form for `date_diff`. `days` is the number of days from one DATE to another, `whole` an integer division.

    Days, months, quarters and years are counted by the calendar, hours and shorter units by the clock, both as the
    difference of what each side lies in; weeks are whole ones.
    """

    def difference(node: exp.DateDiff) -> exp.Expr:
        start, end = node.expression, node.this
        unit = (node.args.get("unit") or exp.var("DAY")).name.upper().removesuffix("S")
        if unit == "DAY":
            return days(as_date(start), as_date(end))
        if unit == "WEEK":
            return exp.paren(whole(exp.IntDiv(this=days(as_date(start), as_date(end)), expression=number(7))))
        if unit in ("MONTH", "QUARTER", "YEAR"):
            return exp.paren(exp.Sub(this=_months(part, unit, end), expression=_months(part, unit, start)))
        if unit in ("HOUR", "MINUTE", "SECOND"):
            return exp.paren(exp.Sub(this=_clock(part, unit, end), expression=_clock(part, unit, start)))
        raise Unsayable(f'no difference in the unit "{unit.lower()}"')

    return difference


def _months(part: Part, unit: str, moment: exp.Expr) -> exp.Expr:
    years = part("YEAR", moment.copy())
    if unit == "YEAR":
        return years
    many = exp.Mul(this=years, expression=number(12 if unit == "MONTH" else 4))
    return exp.paren(exp.Add(this=many, expression=part(unit, moment.copy())))


def _clock(part: Part, unit: str, moment: exp.Expr) -> exp.Expr:
    seconds = {"HOUR": 3600, "MINUTE": 60, "SECOND": 1}[unit]
    passed = exp.Div(this=exp.cast(part("EPOCH", moment.copy()), "DOUBLE"), expression=number(seconds), typed=True)
    return exp.cast(exp.Floor(this=passed), "BIGINT")


def as_date(node: exp.Expr) -> exp.Expr:
    """The expression as a DATE: itself where it is known to be one."""
    if isinstance(node, exp.Cast) and node.is_type("date"):
        return node.copy()
    return node.copy() if family(node) == "date" else exp.cast(node.copy(), "DATE")


def minutes_and_more(node: exp.TimestampTrunc) -> exp.Expr:
    """`date_trunc` of a unit that every engine cuts alike."""
    if node.args["unit"].name.upper() in ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"):
        return node
    raise Unsayable(f'no date_trunc to "{node.args["unit"].name.lower()}"')


def no_intervals(node: exp.Sub) -> exp.Expr:
    """a - b, but of two points in time: what an interval is made of differs."""
    if family(node.this).startswith("timestamp") and family(node.expression) in ("timestamp", "timestamptz", "date"):
        raise Unsayable("the time between two moments: say in which unit, as date_diff('hour', start, end)")
    return node


def last_of_month(first: exp.Expr) -> exp.Expr:
    """The last day of the month that begins at `first`."""
    following = exp.Add(this=first, expression=exp.Interval(this=exp.Literal.string("1"), unit=exp.var("MONTH")))
    day = exp.Interval(this=exp.Literal.string("1"), unit=exp.var("DAY"))
    return exp.cast(exp.Sub(this=following, expression=day), "DATE")
