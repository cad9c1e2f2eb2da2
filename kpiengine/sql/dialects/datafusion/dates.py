"""Dates and times on DataFusion."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.dates import differences, last_of_month, minutes_and_more, no_intervals, part_forms
from kpiengine.sql.dialects.division import whole_numbers_alone
from kpiengine.sql.dialects.families import MOMENTS, family
from kpiengine.sql.dialects.formats import written
from kpiengine.sql.dialects.rewriting import Forms, Unsayable, call, number, text, wrapped

# Its formats are strftime's but for parts of a second.
_FORMATS = {word: f"%{word}" for word in ("Y", "m", "d", "H", "M", "S", "y", "j", "B", "b", "A", "a", "G", "V", "u")}
_FORMATS |= {word: f"%{word}" for word in ("-d", "-m", "I", "p")} | {"f": "%6f"}


def _part(word: str, moment: exp.Expr) -> exp.Expr:
    found = exp.Extract(this=exp.var(word), expression=moment)
    return found if word == "EPOCH" else exp.cast(found, "BIGINT")


def _days(start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return exp.paren(exp.Sub(this=wrapped(end), expression=wrapped(start)))


def _format(node: exp.Expr | None) -> exp.Expr:
    return text(written(node, _FORMATS, lambda letters: letters.replace("%", "%%")))


def _as_timestamp(node: exp.Expr) -> exp.Expr:
    return node if family(node) == "timestamp" else exp.cast(node, "TIMESTAMP")


def as_text(node: exp.TimeToStr) -> exp.Expr:
    """strftime(moment, format)."""
    return call("TO_CHAR", _as_timestamp(node.this), _format(node.args["format"]))


def from_text(node: exp.StrToTime) -> exp.Expr:
    """strptime(text, format)."""
    return call("TO_TIMESTAMP_MICROS", node.this, _format(node.args["format"]))


def micros(node: exp.UnixMicros) -> exp.Expr:
    """Microseconds since 1970, exactly."""
    return exp.cast(exp.cast(node.this, "TIMESTAMP"), "BIGINT")


def millis(node: exp.UnixToTime) -> exp.Expr:
    """epoch_ms(moment). Of a number, which it takes too, it is something else."""
    if family(node.this) not in ("date", "timestamp", "timestamptz"):
        raise Unsayable("of a point in time alone")
    return exp.paren(exp.Div(this=micros(exp.UnixMicros(this=node.this)), expression=number(1000), typed=True))


def date_trunc(node: exp.TimestampTrunc) -> exp.Expr:
    """A DATE is cut to a TIMESTAMP, as DuckDB does it."""
    minutes_and_more(node)
    if family(node.this) == "timestamptz":
        raise Unsayable("of a point in time with a zone: say which, as in at AT TIME ZONE 'UTC'")
    return exp.TimestampTrunc(this=_as_timestamp(node.this), unit=node.args["unit"])


def moved(node: exp.Add | exp.Sub) -> exp.Expr:
    """A DATE and hours are a TIMESTAMP, where DataFusion leaves the hours out."""
    span = node.expression
    hours = isinstance(span, exp.Interval) and str(span.args["unit"].name).upper() in ("HOUR", "MINUTE", "SECOND")
    if hours and family(node.this) == "date":
        node.set("this", exp.cast(node.this, "TIMESTAMP"))
    return no_intervals(node) if isinstance(node, exp.Sub) else node


def at_zone(node: exp.AtTimeZone) -> exp.Expr:
    """A point in time as the clock on the wall showed it there."""
    if family(node.this) not in ("timestamptz", "") or not isinstance(node.args["zone"], exp.Literal):
        raise Unsayable("of a point in time with a zone alone, in a zone that is written out")
    kind = f'Timestamp(Microsecond, Some("{node.args["zone"].name}"))'
    return call("TO_LOCAL_TIME", call("ARROW_CAST", node.this, text(kind)))


def timestamps_in_micros(tree: exp.Expr) -> exp.Expr:
    """TIMESTAMP → TIMESTAMP(6): its own counts nanoseconds, and ends in 2262."""
    for node in tree.find_all(exp.DataType):
        if node.this in MOMENTS and not node.expressions:
            node.set("expressions", [exp.DataTypeParam(this=number(6))])
    return tree


def last_day(node: exp.LastDay) -> exp.Expr:
    """last_day(day)."""
    return last_of_month(exp.TimestampTrunc(this=_as_timestamp(node.this), unit=exp.var("MONTH")))


def from_parts(node: exp.DateFromParts) -> exp.Expr:
    """make_date(year, month, day)."""
    return call("MAKE_DATE", *(node.args[name] for name in ("year", "month", "day")))


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
    exp.Add: moved,
    exp.Sub: moved,
    exp.Dayname: lambda node: call("TO_CHAR", node.this, text("%A")),
    exp.Monthname: lambda node: call("TO_CHAR", node.this, text("%B")),
    exp.AtTimeZone: at_zone,
    exp.Explode: lambda node: node,
    exp.GenerateSeries: lambda node: node,
}
