"""Forms of the dialects whose engines are not to be had here, by their vendors' documentation; nothing of it was run.

What is neither known to be the same everywhere nor written as a form is refused, as on engines that are run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from kpiengine.sql.dialects.aggregates import count_if, joined, mean, of_truth, spread
from kpiengine.sql.dialects.dates import Part, as_date, differences, minutes_and_more, no_intervals, part_forms
from kpiengine.sql.dialects.division import as_double
from kpiengine.sql.dialects.families import family, family_of_cast
from kpiengine.sql.dialects.numbers import decimal_of_double, half_to_even, rounded
from kpiengine.sql.dialects.rewriting import Form, Forms, Unsayable, number, refused, text, wrapped
from kpiengine.sql.dialects.slices import from_the_first
from kpiengine.sql.dialects.strings import as_text, left, right

ZONE = "of a moment with a zone: say which, at time zone 'UTC'"
"""Why parts of a moment with a zone are refused: engines take another zone each."""


@dataclass(frozen=True)
class Says:
    """How a dialect says what all others are made of.

    `part` says a part of a date (not EPOCH) as an integer, `micros` the microseconds from 1970 to a TIMESTAMP, `days`
    the days from one DATE to another, `later` a DATE so many days later, `whole` an integer division, `base_ten` a
    logarithm, `base_two` one to base 2, `at_zone` what the clock on the wall shows somewhere, of a moment with a zone,
    `moved` a DATE or a moment plus or minus an interval.
    """

    part: Part
    micros: Callable[[exp.Expr], exp.Expr]
    days: Callable[[exp.Expr, exp.Expr], exp.Expr]
    later: Callable[[exp.Expr, exp.Expr], exp.Expr]
    whole: Form
    base_ten: Callable[[exp.Expr], exp.Expr]
    base_two: Callable[[exp.Expr], exp.Expr]
    at_zone: Callable[[exp.Expr, exp.Expr], exp.Expr]
    moved: Form


def cast(node: exp.Cast) -> exp.Expr:
    """Casts: a DOUBLE becomes the nearest integer, of two the even one; truth values become numbers by INT."""
    to, inner = family_of_cast(node), family(node.this)
    if to == "date" and node.this.is_type("timestamp") and isinstance(node.this.this, exp.DateAdd):
        node.set("this", node.this.this)  # by `moved_by_a_call`
    if inner == "timestamptz" and to in ("date", "timestamp", "text"):
        raise Unsayable(ZONE)
    if to == "int" and inner == "double":
        return exp.cast(half_to_even(as_double(node.this)), node.to)
    if to == "decimal" and inner == "double":
        return decimal_of_double(node)
    if to in ("double", "decimal") and inner == "bool":
        return exp.cast(exp.cast(node.this, "INT"), node.to)
    if to == "bool" and inner in ("int", "decimal", "double"):
        return exp.paren(exp.NEQ(this=node.this, expression=number(0)))
    if to == "text" and inner in ("double", "timestamp"):
        raise Unsayable("it is written differently as text; of a point in time strftime says how")
    return node


def remainder(node: exp.Mod) -> exp.Expr:
    """a % b of integers and decimals, which is NULL where b is 0."""
    if "double" in (family(node.this), family(node.expression)):
        raise Unsayable("% is there for integers and decimals only")
    node.set("expression", not_zero(node.expression))
    return node


def not_zero(divisor: exp.Expr) -> exp.Expr:
    """A divisor that is NULL where it is 0; itself where it is written out and not 0."""
    bare = divisor.this if isinstance(divisor, exp.Neg | exp.Paren) else divisor
    if isinstance(bare, exp.Literal) and bare.to_py():
        return divisor
    return exp.Nullif(this=divisor, expression=number(0))


def of_double(node: exp.Func) -> exp.Expr:
    """A function that is a DOUBLE in DuckDB, whatever it is taken of."""
    node.set("this", as_double(node.this))
    return node


def any_value(node: exp.AnyValue) -> exp.Expr:
    """any_value(x): one that is not NULL, of which the smallest is one."""
    return exp.Min(this=node.this)


def counted(node: exp.Count) -> exp.Expr:
    """count(distinct x), of one value: where one of several is NULL, engines count otherwise."""
    inner = node.this
    if isinstance(inner, exp.Distinct) and (len(inner.expressions) > 1 or inner.find(exp.Tuple)):
        raise Unsayable("of one value alone")
    return node


def concatenated(node: exp.DPipe) -> exp.Expr:
    """a || b of texts, and of what is written the same everywhere."""
    return exp.DPipe(this=as_text(node.this), expression=as_text(node.expression), safe=True)


_UNITS = ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND")


def moved_by_a_call(node: exp.Add | exp.Sub) -> exp.Expr:
    """x + INTERVAL 1 QUARTER → DATE_ADD('QUARTER', 1, x): not every unit is one of a dialect's intervals, and of the
    call the documentation tells what becomes of the end of a month."""
    span = node.expression
    unit, many = span.args["unit"].name.upper().removesuffix("S"), span.this
    if unit not in _UNITS:
        raise Unsayable(f'no interval in the unit "{unit.lower()}"')
    if isinstance(many, exp.Literal) and many.this.lstrip("-").isdigit():
        many = number(many.this)
    elif family(many) != "int":
        raise Unsayable("how many is an integer")
    many = exp.Neg(this=wrapped(many)) if isinstance(node, exp.Sub) else many
    found = exp.DateAdd(this=node.this, expression=many, unit=exp.var(unit))
    # A TIMESTAMP, as DuckDB's is: the call's own is a DATE where it is given one.
    return exp.cast(found, "TIMESTAMP") if family(node.this) == "date" else found


def _moved(says: Says) -> Form:
    def moved(node: exp.Add | exp.Sub) -> exp.Expr:
        minus = isinstance(node, exp.Sub)
        if not minus and isinstance(node.this, exp.Interval):
            node = exp.Add(this=wrapped(node.expression), expression=node.this)
        span = node.expression
        left_, right_ = family(node.this), family(span)
        if minus and left_ == right_ == "date":
            return says.days(span, node.this)
        if left_ == "date" and right_ == "int":
            return says.later(node.this, exp.Neg(this=wrapped(span)) if minus else span)
        if left_ == "int" and right_ == "date":
            return says.later(span, node.this)
        hours = isinstance(span, exp.Interval) and str(span.args["unit"].name).upper() in ("HOUR", "MINUTE", "SECOND")
        if hours and left_ == "date":
            node.set("this", exp.cast(node.this, "TIMESTAMP"))
        if isinstance(span, exp.Interval):
            return says.moved(node)
        return no_intervals(node) if isinstance(node, exp.Sub) else node

    return moved


def _logarithm(says: Says) -> Form:
    def logarithm(node: exp.Log) -> exp.Expr:
        base, value = (node.this, node.expression) if node.expression is not None else (number(10), node.this)
        known = base.this if isinstance(base, exp.Literal) else ""
        if known in ("10", "2"):
            return (says.base_ten if known == "10" else says.base_two)(as_double(value))
        top, bottom = (exp.Ln(this=as_double(side)) for side in (value, base))
        return exp.paren(exp.Div(this=top, expression=bottom, typed=True))

    return logarithm


def _zone_told(says: Says) -> Form:
    def at_zone(node: exp.AtTimeZone) -> exp.Expr:
        if family(node.this) != "timestamptz" or not isinstance(node.args["zone"], exp.Literal):
            raise Unsayable("of a point in time with a zone alone, in a zone that is written out")
        return exp.cast(says.at_zone(node.this, node.args["zone"]), "TIMESTAMP")

    return at_zone


def _dates(says: Says) -> Forms:
    def micros(moment: exp.Expr) -> exp.Expr:
        if family(moment) == "timestamptz":
            return says.micros(exp.cast(says.at_zone(moment, text("UTC")), "TIMESTAMP"))
        return says.micros(moment if family(moment) == "timestamp" else exp.cast(moment, "TIMESTAMP"))

    def part(word: str, moment: exp.Expr) -> exp.Expr:
        if word == "EPOCH":
            seconds = exp.Div(this=exp.cast(micros(moment), "DOUBLE"), expression=number("1e6"), typed=True)
            return exp.paren(seconds)
        if family(moment) == "timestamptz":
            raise Unsayable(ZONE)
        return says.part(word, moment)

    def millis(node: exp.UnixToTime) -> exp.Expr:
        if family(node.this) not in ("date", "timestamp", "timestamptz"):
            raise Unsayable("of a point in time alone")
        return says.whole(exp.IntDiv(this=micros(node.this), expression=number(1000)))

    return {
        **part_forms(part),
        exp.DateDiff: differences(part, says.days, says.whole),
        exp.UnixMicros: lambda node: micros(node.this),
        exp.UnixToTime: millis,
        exp.LastDay: lambda node: exp.LastDay(this=as_date(node.this)),
        exp.AtTimeZone: _zone_told(says),
        exp.Add: _moved(says),
        exp.Sub: _moved(says),
        exp.GenerateSeries: _same,
        exp.Explode: _same,
    }


def cut_checked(node: exp.TimestampTrunc) -> exp.Expr:
    """date_trunc of a unit that is cut alike, and not of a moment with a zone."""
    if family(node.this) == "timestamptz":
        raise Unsayable(ZONE)
    return minutes_and_more(node)


def _same(node: exp.Expr) -> exp.Expr:
    return node


_ALIKE: tuple[type[exp.Expr], ...] = (
    exp.Trunc, exp.Sign, exp.Cbrt, exp.Sin, exp.Cos, exp.Tan, exp.Asin, exp.Acos, exp.Atan, exp.Atan2, exp.BitwiseAnd,
    exp.BitwiseOr, exp.BitwiseXor, exp.StrPosition, exp.Pad, exp.Translate, exp.Reverse, exp.LogicalAnd, exp.LogicalOr,
    exp.CovarPop, exp.CovarSamp, exp.GroupConcat,
)  # fmt: skip

_BY_ORDER = refused("there is no first by an order: write arg_min(x, y) or arg_max(x, y)")
_OF_DOUBLE = (exp.Ln, exp.Exp, exp.Sqrt, exp.Pow)
_SPREADS = (exp.Stddev, exp.StddevSamp, exp.StddevPop, exp.Variance, exp.VariancePop)


def forms(says: Says) -> Forms:
    """Those of every such dialect, from how it says what they are made of."""
    return {
        **dict.fromkeys(_ALIKE, _same),
        **_dates(says),
        **dict.fromkeys(_OF_DOUBLE, of_double),
        **dict.fromkeys(_SPREADS, spread),
        exp.Cast: cast,
        exp.Mod: remainder,
        exp.IntDiv: says.whole,
        exp.Round: rounded,
        exp.Log: _logarithm(says),
        exp.Avg: mean,
        exp.Max: of_truth,
        exp.Min: of_truth,
        exp.Count: counted,
        exp.CountIf: count_if,
        exp.AnyValue: any_value,
        exp.First: _BY_ORDER,
        exp.Last: _BY_ORDER,
        exp.GroupConcat: joined,
        exp.Substring: from_the_first,
        exp.Left: left,
        exp.Right: right,
        exp.DPipe: concatenated,
        exp.ByteLength: _same,
        exp.ApproxDistinct: refused("an estimate is another on each engine; count(distinct x) is exact"),
    }
