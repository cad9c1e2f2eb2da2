"""Dates and times on ClickHouse."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.dates import differences, minutes_and_more, no_intervals, part_forms
from kpiengine.sql.dialects.families import family
from kpiengine.sql.dialects.formats import written
from kpiengine.sql.dialects.rewriting import Forms, Unsayable, call, not_null, number, text

_PARTS = {
    "YEAR": "toYear", "MONTH": "toMonth", "DAY": "toDayOfMonth", "QUARTER": "toQuarter", "WEEK": "toISOWeek",
    "ISODOW": "toDayOfWeek", "DOY": "toDayOfYear", "HOUR": "toHour", "MINUTE": "toMinute", "SECOND": "toSecond",
    "ISOYEAR": "toISOYear",
}  # fmt: skip

_FORMATS = {
    "Y": "%Y", "m": "%m", "d": "%d", "H": "%H", "M": "%i", "S": "%S", "y": "%y", "j": "%j", "B": "%M", "b": "%b",
    "A": "%W", "a": "%a", "G": "%G", "V": "%V", "u": "%u", "I": "%I", "p": "%p", "f": "%f",
}  # fmt: skip


def _zoneless(node: exp.Expr) -> exp.Expr:
    if family(node) == "timestamptz":
        raise Unsayable("of a point in time with a zone: say which, as in at AT TIME ZONE 'UTC'")
    return node


def _as_timestamp(node: exp.Expr) -> exp.Expr:
    return node if family(_zoneless(node)) == "timestamp" else exp.cast(node, "TIMESTAMP")


def _part(word: str, moment: exp.Expr) -> exp.Expr:
    if word == "EPOCH":
        micros = call("toUnixTimestamp64Micro", exp.cast(moment, "TIMESTAMP"))
        return exp.Div(this=exp.cast(micros, "DOUBLE"), expression=number(1_000_000), typed=True)
    if word == "DOW":
        return exp.cast(exp.Mod(this=call("toDayOfWeek", _zoneless(moment)), expression=number(7)), "BIGINT")
    return exp.cast(call(_PARTS[word], _zoneless(moment)), "BIGINT")


def _days(start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return call("dateDiff", text("day"), start, end)


def _whole(node: exp.IntDiv) -> exp.Expr:
    return call("intDiv", node.this, node.expression)


def difference(node: exp.Sub) -> exp.Expr:
    """a - b: of two dates the days between them."""
    if family(node.this) == family(node.expression) == "date":
        return _days(node.expression, node.this)
    return no_intervals(node)


def _format(node: exp.Expr | None) -> exp.Expr:
    return text(written(node, _FORMATS, lambda letters: letters.replace("%", "%%")))


def as_text(node: exp.TimeToStr) -> exp.Expr:
    """strftime(moment, format)."""
    return call("formatDateTime", _as_timestamp(node.this), _format(node.args["format"]))


def from_text(node: exp.StrToTime) -> exp.Expr:
    """strptime(text, format). What is parsed where the text is NULL has to be a date, too."""
    told = _format(node.args["format"])
    some = call("formatDateTime", exp.cast(text("1970-01-01"), "TIMESTAMP"), told.copy())
    parsed = call("parseDateTime64", exp.Coalesce(this=node.this, expressions=[some]), told)
    return exp.Case(ifs=[exp.If(this=not_null(node.this), true=parsed)])


def micros(node: exp.UnixMicros) -> exp.Expr:
    """Microseconds since 1970, exactly."""
    return call("toUnixTimestamp64Micro", exp.cast(node.this, "TIMESTAMP"))


def millis(node: exp.UnixToTime) -> exp.Expr:
    """epoch_ms(moment). Of a number, which it takes too, it is something else."""
    if family(node.this) not in ("date", "timestamp", "timestamptz"):
        raise Unsayable("of a point in time alone")
    return call("intDiv", micros(exp.UnixMicros(this=node.this)), number(1000))


def date_trunc(node: exp.TimestampTrunc) -> exp.Expr:
    """A moment is cut to a TIMESTAMP, where ClickHouse gives a date for units of days."""
    minutes_and_more(node)
    unit = node.args["unit"].name.lower()
    if unit in ("hour", "minute", "second"):
        return call("dateTrunc", text(unit), _as_timestamp(node.this))
    return exp.cast(call("dateTrunc", text(unit), _zoneless(node.this)), "TIMESTAMP")


def at_zone(node: exp.AtTimeZone) -> exp.Expr:
    """A point in time as the clock on the wall showed it there."""
    if family(node.this) not in ("timestamptz", "") or not isinstance(node.args["zone"], exp.Literal):
        raise Unsayable("of a point in time with a zone alone, in a zone that is written out")
    there = call("toTimeZone", node.this.copy(), node.args["zone"])
    return call("toTimeZone", call("addSeconds", node.this, call("timeZoneOffset", there)), text("UTC"))


def series_as_arrays(tree: exp.Expr) -> exp.Expr:
    """unnest(generate_series(low, high, step)) → as many rows by arrayJoin; none where there is no low."""
    for node in list(tree.find_all(exp.Explode)):
        series = node.this
        step = series.args.get("step") if isinstance(series, exp.GenerateSeries) else None
        unit = step.args["unit"].name.lower() if isinstance(step, exp.Interval) else ""
        if unit not in ("day", "hour") or not isinstance(step, exp.Interval) or step.this.name != "1":
            raise Unsayable("a series of moments goes by one day or one hour")
        kind = "DATE" if unit == "day" else "TIMESTAMP"
        low, high = (exp.cast(series.args[name], kind) for name in ("start", "end"))
        many = exp.Add(this=call("dateDiff", text(unit), low.copy(), high), expression=number(1))
        count = call("toUInt64", exp.Coalesce(this=many, expressions=[number(0)]))
        moment = call("addDays" if unit == "day" else "addHours", low, exp.column("n"))
        each = exp.Lambda(this=moment, expressions=[exp.to_identifier("n")])
        node.replace(call("arrayJoin", call("arrayMap", each, call("range", count))))
    return tree


def from_parts(node: exp.DateFromParts) -> exp.Expr:
    """make_date(year, month, day)."""
    return call("makeDate32", *(node.args[name] for name in ("year", "month", "day")))


FORMS: Forms = {
    **part_forms(_part),
    exp.DateDiff: differences(_part, _days, _whole),
    exp.TimestampTrunc: date_trunc,
    exp.TimeToStr: as_text,
    exp.StrToTime: from_text,
    exp.UnixMicros: micros,
    exp.UnixToTime: millis,
    exp.DateFromParts: from_parts,
    exp.LastDay: lambda node: call("toLastDayOfMonth", _zoneless(node.this)),
    exp.Sub: difference,
    exp.Dayname: lambda node: call("formatDateTime", _as_timestamp(node.this), text("%W")),
    exp.Monthname: lambda node: call("formatDateTime", _as_timestamp(node.this), text("%M")),
    exp.AtTimeZone: at_zone,
    exp.Explode: lambda node: node,
    exp.GenerateSeries: lambda node: node,
}
