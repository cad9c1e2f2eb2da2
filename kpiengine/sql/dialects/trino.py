"""Trino."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from kpiengine.sql.dialects.dates import as_date
from kpiengine.sql.dialects.division import divided_in_double, whole_numbers_alone
from kpiengine.sql.dialects.families import family
from kpiengine.sql.dialects.filters import filter_moved_in, window_moved_in
from kpiengine.sql.dialects.formats import written
from kpiengine.sql.dialects.nulls import extreme_of_known, is_truth
from kpiengine.sql.dialects.patterns import everywhere, full_match, group_number, matches, pattern, replacing
from kpiengine.sql.dialects.quantiles import At, quantile_of
from kpiengine.sql.dialects.rewriting import Dialect, Forms, Unsayable, call, not_null, number, text, wrapped
from kpiengine.sql.dialects.series import series_joined
from kpiengine.sql.dialects.slices import from_the_first
from kpiengine.sql.dialects.strings import (
    as_text,
    contains,
    ends_with,
    joined,
    known_or_empty,
    part_number,
    right,
    tail,
    trimmed,
)
from kpiengine.sql.dialects.tries import double_by_pattern
from kpiengine.sql.dialects.unrun import Says, cut_checked, forms, moved_by_a_call, not_zero

_FUNCTIONS = {"ISODOW": "DAY_OF_WEEK", "ISOYEAR": "YEAR_OF_WEEK", "DOY": "DAY_OF_YEAR"}

# Of MySQL, whose minutes are %i and whose months' names are %M. Its %f has milliseconds alone.
_FORMATS = {
    "Y": "%Y", "y": "%y", "m": "%m", "-m": "%c", "d": "%d", "-d": "%e", "H": "%H", "I": "%h", "M": "%i", "S": "%s",
    "j": "%j", "B": "%M", "b": "%b", "A": "%W", "a": "%a", "p": "%p", "G": "%x", "V": "%v",
}  # fmt: skip


def _part(word: str, moment: exp.Expr) -> exp.Expr:
    if word == "DOW":
        return exp.paren(exp.Mod(this=call("DAY_OF_WEEK", moment), expression=number(7)))
    return call(_FUNCTIONS.get(word, word), moment)


def _days(start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return call("DATE_DIFF", text("day"), start, end)


def _micros(moment: exp.Expr) -> exp.Expr:
    # Seconds as a DOUBLE: exact to the microsecond within two centuries of 1970.
    scaled = exp.Mul(this=call("TO_UNIXTIME", moment), expression=number("1e6"))
    return exp.cast(scaled, "BIGINT")


def _later(day: exp.Expr, days: exp.Expr) -> exp.Expr:
    return _added("DAY", days, day)


def _added(unit: str, many: exp.Expr, day: exp.Expr) -> exp.Expr:
    return exp.DateAdd(this=day, expression=many, unit=exp.var(unit))


def whole_division(node: exp.IntDiv) -> exp.Expr:
    """a // b of integers, which is NULL where b is 0."""
    divided = whole_numbers_alone(node)
    divided.set("expression", not_zero(divided.expression))
    return exp.cast(divided, "BIGINT")


def from_parts(node: exp.DateFromParts) -> exp.Expr:
    """make_date(year, month, day), counted from 1970."""
    day: exp.Expr = exp.cast(text("1970-01-01"), "DATE")
    for unit, first in (("YEAR", 1970), ("MONTH", 1), ("DAY", 1)):
        many = exp.Sub(this=wrapped(node.args[unit.lower()]), expression=number(first))
        day = _added(unit, many, day)
    return day


def _format(node: exp.Expr | None) -> exp.Expr:
    return text(written(node, _FORMATS, lambda letters: letters.replace("%", "%%")))


def named(format_: str, node: exp.Dayname | exp.Monthname) -> exp.Expr:
    """The name of a day or a month."""
    return call("DATE_FORMAT", exp.cast(as_date(node.this), "TIMESTAMP"), text(format_))


def _sorted(value: exp.Expr, made: Callable[[exp.Expr, At], exp.Expr]) -> exp.Expr:
    """One array for all places: an array of it alone, whose only element is turned into the quantile."""
    every = exp.Filter(
        this=exp.ArrayAgg(this=exp.Order(this=value, expressions=[exp.Ordered(this=value.copy())])),
        expression=exp.Where(this=not_null(value)),
    )
    name = exp.to_identifier("in_order")
    found = made(
        call("CARDINALITY", name.copy()),
        lambda place: call("ELEMENT_AT", name.copy(), exp.Add(this=place, expression=number(1))),
    )
    turned = call("TRANSFORM", exp.Array(expressions=[every]), exp.Lambda(this=found, expressions=[name]))
    return call("ELEMENT_AT", turned, number(1))


def part_of(node: exp.Substring) -> exp.Expr:
    """substring(s, start, length)."""
    found = from_the_first(node)
    return tail(found.this, found.expression) if isinstance(found, exp.Right) else found


def extreme(node: exp.ArgMax | exp.ArgMin) -> exp.Expr:
    """arg_max(x, y): x where y is greatest, of the rows that have both."""
    if node.args.get("count") is not None:
        raise Unsayable("one value at a time")
    both = exp.and_(not_null(node.this), not_null(node.expression))
    return exp.Filter(this=node, expression=exp.Where(this=both))


def split(node: exp.SplitPart) -> exp.Expr:
    """split_part(s, by, n): '' beyond the last part."""
    part_number(node)
    return known_or_empty(node.this, node)


def substituted(node: exp.Replace) -> exp.Expr:
    """replace(s, part, by): of nothing, each letter has some by its side."""
    part = node.expression
    if not (isinstance(part, exp.Literal) and part.is_string and part.this):
        raise Unsayable("what is replaced has to be written out")
    return node


def between_parts(node: exp.ConcatWs) -> exp.Expr:
    """concat_ws(by, a, b), which leaves NULL out."""
    by, *values = node.expressions
    return call("CONCAT_WS", by, *map(as_text, values))


def replaced(node: exp.RegexpReplace) -> exp.Expr:
    """regexp_replace(s, pattern, by, 'g')."""
    if not everywhere(node):
        raise Unsayable("every match or none: regexp_replace(s, pattern, by, 'g')")
    return call("REGEXP_REPLACE", *replacing(node))


def extracted(node: exp.RegexpExtract) -> exp.Expr:
    """regexp_extract(s, pattern, group): '' where nothing matches."""
    found = call("REGEXP_EXTRACT", node.this.copy(), text(pattern(node.expression)), number(group_number(node)))
    return known_or_empty(node.this, found)


LONGEST = 10_000
"""A sequence of more entries is an error there."""


def _series(low: exp.Expr, high: exp.Expr, unit: str) -> tuple[exp.Expr, exp.Expr]:
    """Sequences, one behind the other: there are more hours in two years than a sequence may have entries."""
    last = call("DATE_DIFF", text(unit.lower()), low.copy(), high)
    begun = exp.to_identifier("begun")
    end = exp.Least(this=last, expressions=[exp.Add(this=begun.copy(), expression=number(LONGEST - 1))])
    part = exp.Lambda(this=call("SEQUENCE", begun.copy(), end), expressions=[begun])
    every = call("FLATTEN", call("TRANSFORM", call("SEQUENCE", number(0), last.copy(), number(LONGEST)), part))
    alias = exp.TableAlias(this=exp.to_identifier("series"), columns=[exp.to_identifier("step")])
    return exp.Unnest(expressions=[every], alias=alias), _added(unit, exp.column("step", "series"), low)


_COMPARED = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In, exp.NullSafeEQ, exp.NullSafeNEQ)


def moments_compared(tree: exp.Expr) -> exp.Expr:
    """day > '2024-06-01' → the text as a DATE: Trino compares no dates with texts."""
    for node in tree.find_all(*_COMPARED):
        kind = {"date": "DATE", "timestamp": "TIMESTAMP"}.get(family(node.this))
        if kind is not None:
            for value in [v for k in ("expression", "low", "high", "expressions") for v in _listed(node.args.get(k))]:
                if isinstance(value, exp.Literal) and value.is_string:
                    value.replace(exp.cast(value.copy(), kind))
    return tree


def _listed(value: object) -> list[exp.Expr]:
    values = value if isinstance(value, list) else [value]
    return [each for each in values if isinstance(each, exp.Expr)]


def moments_whole(tree: exp.Expr) -> exp.Expr:
    """CAST(x AS TIMESTAMP) → TIMESTAMP(6): bare, it has milliseconds, to which Trino rounds."""
    for node in tree.find_all(exp.Cast):
        if not node.to.expressions and node.to.this in (exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ):
            node.to.set("expressions", [exp.DataTypeParam(this=number(6))])
    return tree


_SAYS = Says(
    _part,
    _micros,
    _days,
    _later,
    whole_division,
    base_ten=lambda value: call("LOG10", value),
    base_two=lambda value: call("LOG2", value),
    at_zone=lambda moment, zone: call("AT_TIMEZONE", moment, zone),
    moved=moved_by_a_call,
)


def _same(node: exp.Expr) -> exp.Expr:
    return node


FORMS: Forms = {
    **forms(_SAYS),
    exp.TryCast: double_by_pattern(lambda value, told: call("REGEXP_LIKE", value, text(told)), r"\s*"),
    exp.Is: is_truth,
    exp.Greatest: extreme_of_known,
    exp.Least: extreme_of_known,
    exp.Degrees: _same,
    exp.Radians: _same,
    exp.Pi: _same,
    exp.Median: quantile_of(_sorted),
    exp.PercentileCont: quantile_of(_sorted),
    exp.ArgMax: extreme,
    exp.ArgMin: extreme,
    exp.Filter: filter_moved_in,
    exp.Window: window_moved_in,
    exp.TimestampTrunc: cut_checked,
    exp.TimeToStr: lambda node: call("DATE_FORMAT", exp.cast(node.this, "TIMESTAMP"), _format(node.args["format"])),
    exp.StrToTime: lambda node: exp.cast(call("DATE_PARSE", node.this, _format(node.args["format"])), "TIMESTAMP"),
    exp.DateFromParts: from_parts,
    exp.Dayname: lambda node: named("%W", node),
    exp.Monthname: lambda node: named("%M", node),
    exp.Trim: trimmed,
    exp.Replace: substituted,
    exp.Substring: part_of,
    exp.Right: lambda node: tail(right(node).this, node.expression),
    exp.Concat: joined,
    exp.ConcatWs: between_parts,
    exp.Contains: contains,
    exp.EndsWith: ends_with,
    exp.SplitPart: split,
    exp.ByteLength: lambda node: exp.Length(this=call("TO_UTF8", node.this)),
    exp.MD5: lambda node: exp.Lower(this=call("TO_HEX", call("MD5", call("TO_UTF8", node.this)))),
    exp.RegexpLike: lambda node: call("REGEXP_LIKE", *matches(node)),
    exp.RegexpFullMatch: lambda node: call("REGEXP_LIKE", *full_match(node)),
    exp.RegexpReplace: replaced,
    exp.RegexpExtract: extracted,
}

DIALECT = Dialect(
    "trino",
    "trino",
    (divided_in_double, series_joined(_series), moments_compared, moments_whole),
    forms=FORMS,
    checked=True,
)
