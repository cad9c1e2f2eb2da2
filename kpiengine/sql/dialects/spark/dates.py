"""Dates and times on Spark, in a session whose time zone is UTC."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.dates import as_date, differences, minutes_and_more, no_intervals, part_forms
from kpiengine.sql.dialects.families import family
from kpiengine.sql.dialects.formats import written
from kpiengine.sql.dialects.rewriting import Forms, Unsayable, call, number, text
from kpiengine.sql.dialects.spark.numbers import whole_quotient

_FORMATS = {
    "Y": "yyyy", "y": "yy", "m": "MM", "-m": "M", "d": "dd", "-d": "d", "H": "HH", "I": "hh", "M": "mm", "S": "ss",
    "f": "SSSSSS", "j": "DDD", "B": "MMMM", "b": "MMM", "A": "EEEE", "a": "EEE", "p": "a",
}  # fmt: skip

_FUNCTIONS = {
    "YEAR": "YEAR", "MONTH": "MONTH", "DAY": "DAYOFMONTH", "QUARTER": "QUARTER", "DOY": "DAYOFYEAR", "HOUR": "HOUR",
    "MINUTE": "MINUTE", "SECOND": "SECOND", "WEEK": "WEEKOFYEAR",
}  # fmt: skip


def _part(word: str, moment: exp.Expr) -> exp.Expr:
    if word in _FUNCTIONS:
        return exp.cast(call(_FUNCTIONS[word], moment), "BIGINT")
    if word == "EPOCH":
        return exp.paren(exp.Div(this=exp.cast(_micros(moment), "DOUBLE"), expression=number("1e6"), typed=True))
    # Monday is 0 and Sunday 6, on Sail -1: other functions count from 1, from Sunday, or not alike everywhere.
    later = exp.Add(this=call("WEEKDAY", as_date(moment)), expression=number(7))
    weekday = exp.cast(exp.Mod(this=exp.paren(later), expression=number(7)), "INT")
    if word == "ISODOW":
        return exp.paren(exp.Add(this=weekday, expression=number(1)))
    if word == "DOW":
        return exp.Mod(this=exp.paren(exp.Add(this=weekday, expression=number(1))), expression=number(7))
    thursday = call("DATE_ADD", as_date(moment), exp.Sub(this=number(3), expression=weekday))
    return exp.cast(call("YEAR", thursday), "BIGINT")  # of the ISO week


def _micros(moment: exp.Expr) -> exp.Expr:
    known = family(moment) == "timestamptz"
    return call("UNIX_MICROS", moment if known else exp.cast(moment, "TIMESTAMPTZ"))


def _days(start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return call("DATEDIFF", end, start)


def _format(node: exp.Expr | None) -> exp.Expr:
    def literally(letters: str) -> str:
        return f"'{letters}'" if any(c.isalpha() for c in letters) else letters.replace("'", "''")

    return text(written(node, _FORMATS, literally))


def millis(node: exp.UnixToTime) -> exp.Expr:
    """epoch_ms(moment). Of a number, which it takes too, it is something else."""
    if family(node.this) not in ("date", "timestamp", "timestamptz"):
        raise Unsayable("of a point in time alone")
    return exp.IntDiv(this=_micros(node.this), expression=number(1000))


def moved(node: exp.Add | exp.Sub) -> exp.Expr:
    """A DATE and hours are a TIMESTAMP, and the difference of two DATEs is a number of days."""
    span = node.expression
    if isinstance(node, exp.Sub) and family(node.this) == family(span) == "date":
        return _days(span, node.this)
    hours = isinstance(span, exp.Interval) and str(span.args["unit"].name).upper() in ("HOUR", "MINUTE", "SECOND")
    if hours and family(node.this) == "date":
        node.set("this", exp.cast(node.this, "TIMESTAMP"))
    return no_intervals(node) if isinstance(node, exp.Sub) else node


def at_zone(node: exp.AtTimeZone) -> exp.Expr:
    """A point in time as the clock on the wall showed it there."""
    if family(node.this) not in ("timestamptz", "") or not isinstance(node.args["zone"], exp.Literal):
        raise Unsayable("of a point in time with a zone alone, in a zone that is written out")
    return node


FORMS: Forms = {
    **part_forms(_part),
    exp.DateDiff: differences(_part, _days, whole_quotient),
    exp.TimestampTrunc: minutes_and_more,
    exp.TimeToStr: lambda node: call("DATE_FORMAT", node.this, _format(node.args["format"])),
    exp.StrToTime: lambda node: call("TO_TIMESTAMP", node.this, _format(node.args["format"])),
    exp.UnixMicros: lambda node: _micros(node.this),
    exp.UnixToTime: millis,
    exp.DateFromParts: lambda node: node,
    exp.LastDay: lambda node: node,
    exp.Add: moved,
    exp.Sub: moved,
    exp.Dayname: lambda node: call("DATE_FORMAT", node.this, text("EEEE")),
    exp.Monthname: lambda node: call("DATE_FORMAT", node.this, text("MMMM")),
    exp.AtTimeZone: at_zone,
    exp.Explode: lambda node: node,
    exp.GenerateSeries: lambda node: node,
}
