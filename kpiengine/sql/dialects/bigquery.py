"""BigQuery, whose own weeks begin on Sunday, and whose NUMERIC has nine digits behind the point."""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from kpiengine.sql.dialects.conditions import extreme_of_pairs, filter_as_condition
from kpiengine.sql.dialects.dates import as_date
from kpiengine.sql.dialects.division import divided_in_double, whole_numbers_alone
from kpiengine.sql.dialects.families import family, family_of_cast
from kpiengine.sql.dialects.filters import window_moved_in
from kpiengine.sql.dialects.formats import written
from kpiengine.sql.dialects.nulls import extreme_of_known
from kpiengine.sql.dialects.numbers import decimal_parts, exact_literal
from kpiengine.sql.dialects.patterns import everywhere, full_match, matches, replacing
from kpiengine.sql.dialects.quantiles import At, quantile_of
from kpiengine.sql.dialects.rewriting import Dialect, Forms, Unsayable, call, number, text, told, wrapped
from kpiengine.sql.dialects.series import series_joined
from kpiengine.sql.dialects.strings import (
    as_text,
    contains,
    joined,
    known_or_empty,
    only_group,
    part_number,
    trimmed,
)
from kpiengine.sql.dialects.tries import double_by_pattern
from kpiengine.sql.dialects.unrun import Says, cast, cut_checked, forms, not_zero

_WORDS = {"WEEK": "ISOWEEK", "DOY": "DAYOFYEAR"}

_FORMATS = {word: f"%{word}" for word in "YymdHIMSjBbAapGVu"}


def _part(word: str, moment: exp.Expr) -> exp.Expr:
    if word in ("DOW", "ISODOW"):
        sunday_first = exp.Extract(this=exp.var("DAYOFWEEK"), expression=moment)
        if word == "DOW":
            return exp.paren(exp.Sub(this=sunday_first, expression=number(1)))
        monday_first = exp.Mod(this=exp.paren(exp.Add(this=sunday_first, expression=number(5))), expression=number(7))
        return exp.paren(exp.Add(this=monday_first, expression=number(1)))
    return exp.Extract(this=exp.var(_WORDS.get(word, word)), expression=moment)


def _days(start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return call("DATE_DIFF", end, start, exp.var("DAY"))


def _micros(moment: exp.Expr) -> exp.Expr:
    return call("DATETIME_DIFF", moment, exp.cast(text("1970-01-01 00:00:00"), "TIMESTAMP"), exp.var("MICROSECOND"))


def _later(day: exp.Expr, days: exp.Expr) -> exp.Expr:
    return exp.Add(this=wrapped(day), expression=wrapped(days))


def whole_division(node: exp.IntDiv) -> exp.Expr:
    """a // b of integers, which is NULL where b is 0."""
    whole_numbers_alone(node)
    return call("DIV", node.this, not_zero(node.expression))


def cut(node: exp.TimestampTrunc) -> exp.Expr:
    """date_trunc: a DATE by DATE_TRUNC, another moment by DATETIME_TRUNC, and weeks to Monday."""
    cut_checked(node)
    unit = node.args["unit"].name.upper()
    unit = "ISOWEEK" if unit == "WEEK" else unit
    kind = family(node.this)
    if kind == "date" and unit not in ("HOUR", "MINUTE", "SECOND"):
        return call("DATE_TRUNC", node.this, exp.var(unit))
    moment = node.this if kind == "timestamp" else exp.cast(node.this, "TIMESTAMP")
    return exp.cast(call("DATETIME_TRUNC", moment, exp.var(unit)), "TIMESTAMP")


def _cast(node: exp.Cast) -> exp.Expr:
    """A cast to a decimal rounds to its digits by ROUND: NUMERIC itself is cast to without any."""
    to, inner = family_of_cast(node), family(node.this)
    if to == "text" and inner == "decimal":
        raise Unsayable("written differently (1.5, 1.50)")
    if to != "decimal" or inner in ("double", "int", "bool"):
        return cast(node)
    return exp.Round(this=exp.cast(node.this, node.to), decimals=number(decimal_parts(node.to)[1]))


def decimals_wide_enough(tree: exp.Expr) -> exp.Expr:
    """CAST(x AS DECIMAL(p, s)) → BIGNUMERIC where NUMERIC has too few digits, before the point or behind it."""
    for node in tree.find_all(exp.Cast):
        if node.to.this == exp.DType.DECIMAL:
            digits, scale = decimal_parts(node.to)
            if scale > 9 or digits - scale > 29:
                node.set("to", exp.DataType.build("BIGDECIMAL"))
    return tree


def product(node: exp.Mul) -> exp.Expr:
    """a * b of decimals, exactly: a product of two has their digits behind the point together."""
    if family(node.this) == family(node.expression) == "decimal":
        node.set("this", exp.cast(node.this, "DECIMAL(38, 30)"))
    return node


def span(node: exp.Interval) -> exp.Expr:
    """INTERVAL 1 MONTH: how many is a number there, and no text."""
    if not isinstance(node.this, exp.Literal) or not node.this.this.lstrip("-").isdigit():
        raise Unsayable("how many has to be written out as a number")
    return exp.Interval(this=number(node.this.this), unit=node.args["unit"])


def _format(node: exp.Expr | None) -> exp.Expr:
    return text(written(node, _FORMATS, lambda letters: letters.replace("%", "%%")))


def _sorted(value: exp.Expr, made: Callable[[exp.Expr, At], exp.Expr]) -> exp.Expr:
    ordered = exp.Order(this=value, expressions=[exp.Ordered(this=value.copy(), nulls_first=True)])
    every = exp.ArrayAgg(this=exp.IgnoreNulls(this=ordered))
    return made(
        exp.Count(this=value.copy()),
        lambda place: exp.Bracket(this=every.copy(), expressions=[call("SAFE_OFFSET", place)]),
    )


def texts_joined(node: exp.GroupConcat) -> exp.Expr:
    """string_agg(x, ',' order by y)."""
    if not isinstance(node.this, exp.Order):
        raise Unsayable("without an order it is not the same twice: string_agg(x, ',' order by x)")
    if isinstance(node.this.this, exp.Distinct):  # sorted by itself, and NULL is left out
        for key in node.this.expressions:
            key.set("nulls_first", not key.args.get("desc"))
    else:
        node.this.set("expressions", _nulls_last(node.this.expressions))
    return node


def nulls_last(node: exp.Window) -> exp.Expr:
    """OVER (ORDER BY x NULLS LAST) → ORDER BY x IS NULL, x, which every function and frame takes."""
    moved = window_moved_in(node)
    for window in moved.find_all(exp.Window):
        order = window.args.get("order")
        if isinstance(order, exp.Order):
            order.set("expressions", _nulls_last(order.expressions))
    return moved


def _nulls_last(keys: list[exp.Expr]) -> list[exp.Expr]:
    found: list[exp.Expr] = []
    for key in keys:
        descending, first = bool(key.args.get("desc")), bool(key.args.get("nulls_first"))
        if first == descending:  # NULL is the smallest there, and stands elsewhere by itself
            absent = exp.Is(this=key.this.copy(), expression=exp.null())
            found.append(exp.Ordered(this=absent, desc=first, nulls_first=not first))
        found.append(exp.Ordered(this=key.this, desc=descending, nulls_first=not descending))
    return found


def joined_on_nothing(tree: exp.Expr) -> exp.Expr:
    """LEFT JOIN t ON TRUE → CROSS JOIN t, where t is an aggregate without groups, which has one row always."""
    with_ = tree.args.get("with_") or tree.args.get("with")
    steps = {cte.alias: cte.this for cte in with_.expressions} if with_ is not None else {}
    for join in tree.find_all(exp.Join):
        on = join.args.get("on")
        if join.side == "LEFT" and isinstance(on, exp.Boolean):
            if not on.this or not _is_one_row(steps.get(join.this.name)):
                raise Unsayable("an outer join without an equality")
            join.set("side", None)
            join.set("kind", "CROSS")
            join.set("on", None)
    return tree


def _is_one_row(query: exp.Expr | None) -> bool:
    if not isinstance(query, exp.Select) or any(query.args.get(part) for part in ("group", "having", "limit")):
        return False
    return any(node.find(exp.AggFunc) and not node.find(exp.Window) for node in query.expressions)


def joined_on_null(tree: exp.Expr) -> exp.Expr:
    """LEFT JOIN … ON a IS NOT DISTINCT FROM b → TO_JSON_STRING(a) = TO_JSON_STRING(b): outer joins take equalities."""
    for join in tree.find_all(exp.Join):
        on = join.args.get("on")
        for node in list(on.find_all(exp.NullSafeEQ)) if on is not None else ():
            if len({family(side) for side in (node.this, node.expression)} - {""}) > 1:
                raise Unsayable(f"{told(node)}: keys of different types are written differently")
            node.replace(exp.EQ(this=_with_null(node.this), expression=_with_null(node.expression)))
    return tree


def _with_null(key: exp.Expr) -> exp.Expr:
    """A text for each value, NULL among them: texts themselves stand in quotes there."""
    return exp.Coalesce(this=call("TO_JSON_STRING", key.copy()), expressions=[text("null")])


def between_parts(node: exp.ConcatWs) -> exp.Expr:
    """concat_ws(by, a, b), which leaves NULL out."""
    by, *values = node.expressions
    return call("ARRAY_TO_STRING", exp.Array(expressions=[as_text(v) for v in values]), by)


def alike(node: exp.Like | exp.ILike) -> exp.Expr:
    """s LIKE pattern, in which a backslash is itself."""
    if not (isinstance(node.expression, exp.Literal) and node.expression.is_string):
        raise Unsayable("the pattern has to be written out")
    node.set("expression", text(node.expression.this.replace("\\", "\\\\")))
    return node


def escaped(node: exp.Escape) -> exp.Expr:
    """s LIKE pattern ESCAPE '!' → by backslashes, the one escape that there is."""
    mark, like = node.expression.this, node.this
    plain = like.expression.this.replace("\\\\", "\\")
    pieces = re.findall(re.escape(mark) + r"(.)|(.)", plain, re.DOTALL)
    written_out = (
        "\\" + meant if meant in "%_\\" and meant else other.replace("\\", "\\\\") or meant for meant, other in pieces
    )
    like.set("expression", text("".join(written_out)))
    found: exp.Expr = like
    return found


def split(node: exp.SplitPart) -> exp.Expr:
    """split_part(s, by, n): '' beyond the last part."""
    place = call("SAFE_OFFSET", number(part_number(node) - 1))
    parts = call("SPLIT", node.this.copy(), node.args["delimiter"])
    return known_or_empty(node.this, exp.Bracket(this=parts, expressions=[place]))


def replaced(node: exp.RegexpReplace) -> exp.Expr:
    """regexp_replace(s, pattern, by, 'g')."""
    if not everywhere(node):
        raise Unsayable("every match or none: regexp_replace(s, pattern, by, 'g')")
    return call("REGEXP_REPLACE", *replacing(node))


def _series(low: exp.Expr, high: exp.Expr, unit: str) -> tuple[exp.Expr, exp.Expr]:
    step = exp.Interval(this=number(1), unit=exp.var(unit))
    alias = exp.TableAlias(this=exp.to_identifier("series"), columns=[exp.to_identifier("moment")])
    if unit == "DAY":
        every, told = call("GENERATE_DATE_ARRAY", low, high, step), exp.column("moment")
        return exp.Unnest(expressions=[every], alias=alias), told
    edges = [call("TIMESTAMP", edge, text("UTC")) for edge in (low, high)]
    every = call("GENERATE_TIMESTAMP_ARRAY", *edges, step)
    return exp.Unnest(expressions=[every], alias=alias), call("DATETIME", exp.column("moment"), text("UTC"))


def _circle(node: exp.Degrees | exp.Radians) -> exp.Expr:
    half, pi = number("180e0"), _pi()
    over, under = (half, pi) if isinstance(node, exp.Degrees) else (pi, half)
    return exp.Div(this=exp.Mul(this=wrapped(node.this), expression=over), expression=under, typed=True)


def _pi() -> exp.Expr:
    return call("ACOS", number(-1))


_SAYS = Says(
    _part,
    _micros,
    _days,
    _later,
    whole_division,
    base_ten=lambda value: call("LOG10", value),
    base_two=lambda value: call("LOG", value, number(2)),
    at_zone=lambda moment, zone: call("DATETIME", moment, zone),
    moved=lambda node: node,
)


def _same(node: exp.Expr) -> exp.Expr:
    return node


FORMS: Forms = {
    **forms(_SAYS),
    exp.Literal: exact_literal,
    exp.Cast: _cast,
    exp.TryCast: double_by_pattern(lambda value, told: call("REGEXP_CONTAINS", value, text(told)), "[[:space:]]*"),
    exp.Greatest: extreme_of_known,
    exp.Least: extreme_of_known,
    exp.Mul: product,
    exp.Degrees: _circle,
    exp.Radians: _circle,
    exp.Pi: lambda node: _pi(),
    exp.Interval: span,
    exp.Median: quantile_of(_sorted),
    exp.PercentileCont: quantile_of(_sorted),
    exp.GroupConcat: texts_joined,
    exp.ArgMax: extreme_of_pairs,
    exp.ArgMin: extreme_of_pairs,
    exp.Filter: filter_as_condition,
    exp.Window: nulls_last,
    exp.TimestampTrunc: cut,
    exp.TimeToStr: lambda node: call("FORMAT_DATETIME", _format(node.args["format"]), exp.cast(node.this, "TIMESTAMP")),
    exp.StrToTime: lambda node: exp.cast(call("PARSE_DATETIME", _format(node.args["format"]), node.this), "TIMESTAMP"),
    exp.DateFromParts: _same,
    exp.Dayname: lambda node: call("FORMAT_DATE", text("%A"), as_date(node.this)),
    exp.Monthname: lambda node: call("FORMAT_DATE", text("%B"), as_date(node.this)),
    exp.Trim: trimmed,
    exp.Like: alike,
    exp.ILike: alike,
    exp.Escape: escaped,
    exp.Concat: joined,
    exp.ConcatWs: between_parts,
    exp.Contains: contains,
    exp.EndsWith: _same,
    exp.Repeat: _same,
    exp.SplitPart: split,
    exp.MD5: _same,
    exp.RegexpLike: lambda node: call("REGEXP_CONTAINS", *matches(node)),
    exp.RegexpFullMatch: lambda node: call("REGEXP_CONTAINS", *full_match(node)),
    exp.RegexpReplace: replaced,
    exp.RegexpExtract: lambda node: known_or_empty(
        node.this, call("REGEXP_EXTRACT", node.this.copy(), text(only_group(node)))
    ),
}

DIALECT = Dialect(
    "bigquery",
    "bigquery",
    (divided_in_double, series_joined(_series), joined_on_nothing, joined_on_null, decimals_wide_enough),
    forms=FORMS,
    checked=True,
)
