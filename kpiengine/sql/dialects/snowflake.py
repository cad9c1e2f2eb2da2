"""Snowflake."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.conditions import extreme_of_pairs, filter_as_condition
from kpiengine.sql.dialects.dates import as_date
from kpiengine.sql.dialects.division import divided_in_double, whole_numbers_alone
from kpiengine.sql.dialects.families import family, family_of_cast
from kpiengine.sql.dialects.filters import window_moved_in
from kpiengine.sql.dialects.formats import written
from kpiengine.sql.dialects.identifiers import names_ignoring_case
from kpiengine.sql.dialects.nulls import is_truth
from kpiengine.sql.dialects.patterns import everywhere, group_number, matches, pattern, replacing
from kpiengine.sql.dialects.postgres.aggregates import discrete_quantile, quantile
from kpiengine.sql.dialects.rewriting import Dialect, Forms, Unsayable, call, number, text, wrapped
from kpiengine.sql.dialects.series import series_joined
from kpiengine.sql.dialects.strings import as_text, joined, known_or_empty, part_number
from kpiengine.sql.dialects.tries import double_by_pattern
from kpiengine.sql.dialects.unrun import Says, cast, cut_checked, forms, moved_by_a_call, not_zero

_ISO = {"WEEK": "WEEKISO", "ISODOW": "DAYOFWEEKISO", "ISOYEAR": "YEAROFWEEKISO", "DOY": "DAYOFYEAR"}
"""Parts that no setting of a session changes."""

_FORMATS = {
    "Y": "YYYY", "y": "YY", "m": "MM", "d": "DD", "H": "HH24", "I": "HH12", "M": "MI", "S": "SS", "f": "FF6",
    "B": "MMMM", "b": "MON", "a": "DY", "p": "AM",
}  # fmt: skip

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_RESERVED = frozenset((
    "account", "all", "alter", "and", "any", "as", "between", "by", "case", "cast", "check", "column", "connect",
    "connection", "constraint", "create", "cross", "current", "current_date", "current_time", "current_timestamp",
    "current_user", "database", "delete", "distinct", "drop", "else", "exists", "false", "following", "for", "from",
    "full", "grant", "group", "gscluster", "having", "ilike", "in", "increment", "inner", "insert", "intersect",
    "into", "is", "issue", "join", "lateral", "left", "like", "localtime", "localtimestamp", "minus", "natural",
    "not", "null", "of", "on", "or", "order", "organization", "qualify", "regexp", "revoke", "right", "rlike", "row",
    "rows", "sample", "schema", "select", "set", "some", "start", "table", "tablesample", "then", "to", "trigger",
    "true", "try_cast", "union", "unique", "update", "using", "values", "view", "when", "whenever", "where", "with",
))  # fmt: skip
"""Words that are no names there."""


def _part(word: str, moment: exp.Expr) -> exp.Expr:
    if word == "DOW":
        return exp.paren(exp.Mod(this=call("DAYOFWEEKISO", moment), expression=number(7)))
    return call(_ISO.get(word, word), moment)


def _difference(unit: str, start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return call("DATEDIFF", exp.var(unit), start, end)


def _days(start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return _difference("DAY", start, end)


def _micros(moment: exp.Expr) -> exp.Expr:
    return _difference("MICROSECOND", exp.cast(text("1970-01-01 00:00:00"), "TIMESTAMP"), moment)


def _later(day: exp.Expr, days: exp.Expr) -> exp.Expr:
    return exp.DateAdd(this=day, expression=days, unit=exp.var("DAY"))


def whole_division(node: exp.IntDiv) -> exp.Expr:
    """a // b of integers. A quotient has six digits behind the point, and is rounded there: to a whole number it is
    only where b has more digits, and for those that are not known the remainder is taken off first.
    """
    divided = whole_numbers_alone(node)
    if isinstance(node.expression, exp.Literal) and 0 < int(node.expression.this) <= 100_000:
        return exp.cast(exp.Trunc(this=divided), "BIGINT")
    divisor = not_zero(node.expression)
    rest = exp.Mod(this=wrapped(node.this.copy()), expression=divisor)
    without = exp.paren(exp.Sub(this=wrapped(node.this), expression=exp.paren(rest)))
    return exp.cast(exp.Div(this=without, expression=divisor.copy(), typed=True), "BIGINT")


def cut(node: exp.TimestampTrunc) -> exp.Expr:
    """date_trunc; weeks by the day of the week, since a session may begin them elsewhere."""
    cut_checked(node)
    if node.args["unit"].name.upper() != "WEEK":
        return node
    back = exp.Sub(this=number(1), expression=call("DAYOFWEEKISO", node.this.copy()))
    return call("DATEADD", exp.var("DAY"), back, exp.TimestampTrunc(this=node.this, unit=exp.var("DAY")))


def _cast(node: exp.Cast) -> exp.Expr:
    if family_of_cast(node) == "text" and family(node.this) == "date":
        return call("TO_CHAR", node.this, text("YYYY-MM-DD"))
    return cast(node)


def _format(node: exp.Expr | None) -> exp.Expr:
    return text(written(node, _FORMATS, lambda letters: f'"{letters}"' if any(map(str.isalpha, letters)) else letters))


def day_name(node: exp.Dayname) -> exp.Expr:
    """dayname(day): the whole word, where DAYNAME gives three letters."""
    told = exp.Case(this=call("DAYOFWEEKISO", as_date(node.this)))
    for place, name in enumerate(_DAYS, 1):
        told = told.when(number(place), text(name))
    return told


def texts_joined(node: exp.GroupConcat) -> exp.Expr:
    """string_agg(x, ',' order by y), NULL where there is nothing to join and LISTAGG gives ''."""
    if not isinstance(node.this, exp.Order):
        raise Unsayable("without an order it is not the same twice: string_agg(x, ',' order by x)")
    value = node.this.this
    value = value.expressions[0] if isinstance(value, exp.Distinct) else value
    some = exp.GT(this=exp.Count(this=value.copy()), expression=number(0))
    return exp.case().when(some, node)


def between_parts(node: exp.ConcatWs) -> exp.Expr:
    """concat_ws(by, a, b), which leaves NULL out."""
    by, *values = node.expressions
    return call("ARRAY_TO_STRING", call("ARRAY_CONSTRUCT_COMPACT", *map(as_text, values)), by)


def _pattern(node: exp.Expr | None) -> exp.Expr:
    told = pattern(node)
    if "(?" in told:
        raise Unsayable("groups that are not numbered are read differently")
    return text(told)


def found_within(node: exp.RegexpLike) -> exp.Expr:
    """regexp_matches(s, pattern): anywhere in the text, where REGEXP_LIKE asks of the whole."""
    value, _ = matches(node)
    place = call("REGEXP_INSTR", value, _pattern(node.expression))
    return exp.paren(exp.GT(this=place, expression=number(0)))


def whole_match(node: exp.RegexpFullMatch) -> exp.Expr:
    """regexp_full_match(s, pattern)."""
    if node.args.get("options"):
        raise Unsayable("no options of regular expressions")
    return call("REGEXP_LIKE", node.this, _pattern(node.expression))


def replaced(node: exp.RegexpReplace) -> exp.Expr:
    """regexp_replace(s, pattern, by), of the first match or with 'g' of all."""
    value, _, by = replacing(node)
    return call("REGEXP_REPLACE", value, _pattern(node.expression), by, number(1), number(0 if everywhere(node) else 1))


def extracted(node: exp.RegexpExtract) -> exp.Expr:
    """regexp_extract(s, pattern, group): '' where nothing matches."""
    group = group_number(node)
    parts = [number(1), number(1), text("e"), number(group)] if group else []
    return known_or_empty(node.this, call("REGEXP_SUBSTR", node.this.copy(), _pattern(node.expression), *parts))


def split(node: exp.SplitPart) -> exp.Expr:
    """split_part(s, by, n)."""
    part_number(node)
    return node


def _series(low: exp.Expr, high: exp.Expr, unit: str) -> tuple[exp.Expr, exp.Expr]:
    steps = exp.Add(this=_difference(unit, low.copy(), high), expression=number(1))
    rows = call("FLATTEN", exp.Kwarg(this=exp.var("INPUT"), expression=call("ARRAY_GENERATE_RANGE", number(0), steps)))
    later = exp.cast(exp.column("VALUE", "series"), "INT")
    found = exp.Lateral(this=rows, alias=exp.TableAlias(this=exp.to_identifier("series")))
    return found, call("DATEADD", exp.var(unit), later, low)


def moments_without_zone(tree: exp.Expr) -> exp.Expr:
    """CAST(x AS TIMESTAMP) → TIMESTAMPNTZ: which one TIMESTAMP is, a session may say."""
    for node in tree.find_all(exp.DataType):
        if node.this == exp.DType.TIMESTAMP:
            node.set("this", exp.DType.TIMESTAMPNTZ)
    return tree


_SAYS = Says(
    _part,
    _micros,
    _days,
    _later,
    whole_division,
    base_ten=lambda value: call("LOG", number(10), value),
    base_two=lambda value: call("LOG", number(2), value),
    at_zone=lambda moment, zone: call("CONVERT_TIMEZONE", zone, moment),
    moved=moved_by_a_call,
)


def _same(node: exp.Expr) -> exp.Expr:
    return node


FORMS: Forms = {
    **forms(_SAYS),
    exp.Cast: _cast,
    exp.TryCast: double_by_pattern(lambda value, told: call("REGEXP_LIKE", value, text(told)), "[[:space:]]*"),
    exp.Is: is_truth,
    exp.Literal: lambda node: exp.cast(node, "DOUBLE") if not node.is_string and "e" in node.this.lower() else node,
    exp.Degrees: _same,
    exp.Radians: _same,
    exp.Pi: _same,
    exp.Median: quantile,
    exp.PercentileCont: quantile,
    exp.PercentileDisc: discrete_quantile,
    exp.Mode: _same,
    exp.GroupConcat: texts_joined,
    exp.ArgMax: extreme_of_pairs,
    exp.ArgMin: extreme_of_pairs,
    exp.Filter: filter_as_condition,
    exp.Window: window_moved_in,
    exp.TimestampTrunc: cut,
    exp.TimeToStr: lambda node: call("TO_CHAR", exp.cast(node.this, "TIMESTAMP"), _format(node.args["format"])),
    exp.StrToTime: lambda node: call("TO_TIMESTAMP_NTZ", node.this, _format(node.args["format"])),
    exp.DateFromParts: _same,
    exp.Dayname: day_name,
    exp.Monthname: lambda node: call("TO_CHAR", as_date(node.this), text("MMMM")),
    exp.Concat: joined,
    exp.ConcatWs: between_parts,
    exp.Contains: _same,
    exp.EndsWith: _same,
    exp.Repeat: _same,
    exp.SplitPart: split,
    exp.MD5: _same,
    exp.RegexpLike: found_within,
    exp.RegexpFullMatch: whole_match,
    exp.RegexpReplace: replaced,
    exp.RegexpExtract: extracted,
}

DIALECT = Dialect(
    "snowflake",
    "snowflake",
    (divided_in_double, series_joined(_series), moments_without_zone, names_ignoring_case(_RESERVED)),
    forms=FORMS,
    checked=True,
)
