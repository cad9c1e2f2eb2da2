"""Dates and times on PostgreSQL."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.dates import differences, last_of_month, minutes_and_more, no_intervals, part_forms
from kpiengine.sql.dialects.division import whole_numbers_alone
from kpiengine.sql.dialects.families import family
from kpiengine.sql.dialects.formats import written
from kpiengine.sql.dialects.rewriting import Forms, Unsayable, call, number, text, wrapped

# to_char's word for each of strftime's; other letters stand in double quotes.
_FORMATS = {
    "Y": "YYYY", "m": "MM", "d": "DD", "H": "HH24", "M": "MI", "S": "SS", "y": "YY", "j": "DDD", "B": "FMMonth",
    "b": "Mon", "A": "FMDay", "a": "Dy", "G": "IYYY", "V": "IW", "u": "ID", "-d": "FMDD", "-m": "FMMM", "I": "HH12",
    "p": "AM", "f": "US",
}  # fmt: skip


def _part(word: str, moment: exp.Expr) -> exp.Expr:
    found: exp.Expr = exp.Extract(this=exp.var(word), expression=moment)
    if word == "SECOND":
        found = exp.Floor(this=found)
    return exp.cast(found, "DOUBLE" if word == "EPOCH" else "BIGINT")


def _days(start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return exp.paren(exp.Sub(this=wrapped(end), expression=wrapped(start)))


def _format(node: exp.Expr | None) -> exp.Expr:
    return text(written(node, _FORMATS, lambda letters: f'"{letters}"' if letters.strip() else letters))


def as_text(node: exp.TimeToStr) -> exp.Expr:
    """strftime(moment, format)."""
    return call("TO_CHAR", node.this, _format(node.args["format"]))


def from_text(node: exp.StrToTime) -> exp.Expr:
    """strptime(text, format): a time without a zone."""
    return exp.cast(call("TO_TIMESTAMP", node.this, _format(node.args["format"])), "TIMESTAMP")


def micros(node: exp.UnixMicros) -> exp.Expr:
    """Microseconds since 1970, exactly."""
    seconds = exp.Extract(this=exp.var("EPOCH"), expression=node.this)
    return exp.cast(exp.Mul(this=seconds, expression=number(1_000_000)), "BIGINT")


def millis(node: exp.UnixToTime) -> exp.Expr:
    """epoch_ms(moment). Of a number, which it takes too, it is something else."""
    if family(node.this) not in ("date", "timestamp", "timestamptz"):
        raise Unsayable("of a point in time alone")
    seconds = exp.Extract(this=exp.var("EPOCH"), expression=node.this)
    scaled = exp.Mul(this=seconds, expression=number(1000))
    return exp.cast(call("TRUNC", scaled), "BIGINT")


def from_parts(node: exp.DateFromParts) -> exp.Expr:
    """make_date(year, month, day)."""
    parts = [exp.cast(node.args[name], "INT") for name in ("year", "month", "day")]
    return call("MAKE_DATE", *parts)


def date_trunc(node: exp.TimestampTrunc) -> exp.Expr:
    """A DATE is cut to a TIMESTAMP, as DuckDB does it; PostgreSQL gives one with a time zone."""
    minutes_and_more(node)
    if family(node.this) == "timestamptz":
        raise Unsayable("of a point in time with a zone: say which, as in at AT TIME ZONE 'UTC'")
    return exp.TimestampTrunc(this=_as_timestamp(node.this), unit=node.args["unit"])


def _as_timestamp(node: exp.Expr) -> exp.Expr:
    return node if family(node) == "timestamp" else exp.cast(node, "TIMESTAMP")


def series_of_moments(tree: exp.Expr) -> exp.Expr:
    """unnest(generate_series(low, high, step)) → a set of timestamps, which generate_series is here."""
    for node in list(tree.find_all(exp.Explode)):
        series = node.this
        if isinstance(series, exp.GenerateSeries):
            bounds = (exp.cast(series.args[name], "TIMESTAMP") for name in ("start", "end"))
            node.replace(call("GENERATE_SERIES", *bounds, series.args["step"]))
    return tree


def last_day(node: exp.LastDay) -> exp.Expr:
    """last_day(day)."""
    return last_of_month(exp.TimestampTrunc(this=_as_timestamp(node.this), unit=exp.var("MONTH")))


FORMS: Forms = {
    **part_forms(_part),
    exp.DateDiff: differences(_part, _days, whole_numbers_alone),
    exp.TimestampTrunc: date_trunc,
    exp.TimeToStr: as_text,
    exp.StrToTime: from_text,
    exp.UnixMicros: micros,
    exp.UnixToTime: millis,
    exp.DateFromParts: from_parts,
    exp.LastDay: last_day,
    exp.Sub: no_intervals,
    exp.Dayname: lambda node: call("TO_CHAR", node.this, text("FMDay")),
    exp.Monthname: lambda node: call("TO_CHAR", node.this, text("FMMonth")),
    exp.CurrentDate: lambda node: node,
    exp.AtTimeZone: lambda node: node,
    exp.Explode: lambda node: node,
    exp.GenerateSeries: lambda node: node,
}
