"""Numbers and truth values on ClickHouse, which knows no overflow of integers and cuts off where DuckDB rounds."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.division import as_double, whole_numbers_alone
from kpiengine.sql.dialects.families import family, family_of_cast
from kpiengine.sql.dialects.numbers import decimal_of_double, decimal_parts, exact_wide_literal, rounded, text_of_number
from kpiengine.sql.dialects.rewriting import Form, Forms, Unsayable, call, number, wrapped


def cast(node: exp.Cast) -> exp.Expr:
    """Casts to integers and decimals round, here as in DuckDB; what is one already is not cast again."""
    to, inner = family_of_cast(node), family(node.this)
    if isinstance(node.this, exp.Cast) and node.this.to == node.to:
        return node.this
    if inner == "timestamptz" and to in ("date", "timestamp", "text"):
        raise Unsayable("of a point in time with a zone: say which, as in at AT TIME ZONE 'UTC'")
    if to == "int" and inner in ("decimal", "double"):
        # round() is half away from zero of a decimal, half to even of a DOUBLE: just what casts do in DuckDB.
        return exp.cast(exp.Round(this=node.this), node.to)
    if to == "decimal":
        return _decimal(node, inner)
    if to == "text" and inner in ("double", "decimal", "timestamp"):
        raise Unsayable("it is written differently as text; of a point in time strftime says how")
    return node


def _decimal(node: exp.Cast, inner: str) -> exp.Expr:
    if inner == "double":
        return decimal_of_double(node)
    _, scale = decimal_parts(node.to)
    if inner == "text":
        if isinstance(node.this, exp.Literal) and len(node.this.this.partition(".")[2]) <= scale:
            return node
        if scale > 9:
            raise Unsayable("a text becomes a decimal of 9 digits behind the point at most")
        return exp.cast(exp.Round(this=exp.cast(node.this, "DECIMAL(38, 10)"), decimals=number(scale)), node.to)
    if inner == "decimal":
        return exp.cast(exp.Round(this=node.this, decimals=number(scale)), node.to)
    return node


def tried(node: exp.TryCast) -> exp.Expr:
    """try_cast(x as double): NULL for a text that is no number."""
    told = text_of_number(node)
    return exp.cast(node.this, "DOUBLE") if told is None else call("toFloat64OrNull", exp.Trim(this=told))


def product(node: exp.Mul) -> exp.Expr:
    """a * b: of decimals in all 38 digits, of integers in 64 bits."""
    kinds = {family(node.this), family(node.expression)}
    sides = (node.this.unnest(), node.expression.unnest())
    if any(isinstance(side, exp.Literal | exp.Cast) for side in sides) or not kinds <= {"int", "decimal"}:
        return node
    if "decimal" in kinds:
        one = exp.cast(number(1), "DECIMAL(38, 0)")
        node.set("this", exp.Mul(this=one, expression=wrapped(node.this)))
    else:
        node.set("this", exp.cast(node.this, "BIGINT"))
    return node


def remainder(node: exp.Mod) -> exp.Expr:
    """a % b of integers and DOUBLEs."""
    if "decimal" in (family(node.this), family(node.expression)):
        raise Unsayable("% of decimals is another number there")
    return node


def whole_division(node: exp.IntDiv) -> exp.Expr:
    """a // b of integers."""
    whole_numbers_alone(node)
    return call("intDiv", node.this, node.expression)


def logarithm(node: exp.Log) -> exp.Expr:
    """log(x) is to base 10, log(base, x) to any."""
    if node.expression is None:
        return call("log10", as_double(node.this))
    top, bottom = (call("log", as_double(side)) for side in (node.expression, node.this))
    return exp.paren(exp.Div(this=top, expression=bottom, typed=True))


def one_of(node: exp.In) -> exp.Expr:
    """x IN (1, NULL) is never false, where ClickHouse leaves the NULL out."""
    known = [value for value in node.expressions if not isinstance(value, exp.Null)]
    if len(known) == len(node.expressions):
        return node
    if not known:
        return exp.null()
    return exp.paren(exp.Or(this=exp.In(this=node.this, expressions=known), expression=exp.null()))


def extremes(node: exp.Greatest | exp.Least) -> exp.Expr:
    """greatest(a, b), least(a, b): decimals beside DOUBLEs become DOUBLEs."""
    values = [node.this, *node.expressions]
    if {"decimal", "double"} <= set(map(family, values)):
        values = [as_double(value) for value in values]
    return type(node)(this=values[0], expressions=values[1:], ignore_nulls=node.args.get("ignore_nulls"))


def named(name: str) -> Form:
    """A function that ClickHouse calls `name`, of one argument."""
    return lambda node: call(name, node.this)


def both(name: str) -> Form:
    """A function that ClickHouse calls `name`, of two arguments."""
    return lambda node: call(name, node.this, node.expression)


FORMS: Forms = {
    exp.Literal: exact_wide_literal,
    exp.Cast: cast,
    exp.TryCast: tried,
    exp.Mul: product,
    exp.Mod: remainder,
    exp.IntDiv: whole_division,
    exp.Round: rounded,
    exp.Log: logarithm,
    exp.In: one_of,
    exp.Greatest: extremes,
    exp.Least: extremes,
    exp.Trunc: named("trunc"),
    exp.Sign: named("sign"),
    exp.Cbrt: named("cbrt"),
    exp.Sin: named("sin"),
    exp.Cos: named("cos"),
    exp.Tan: named("tan"),
    exp.Asin: named("asin"),
    exp.Acos: named("acos"),
    exp.Atan: named("atan"),
    exp.Atan2: both("atan2"),
    exp.Degrees: named("degrees"),
    exp.Radians: named("radians"),
    exp.Pi: lambda node: call("pi"),
    exp.BitwiseAnd: both("bitAnd"),
    exp.BitwiseOr: both("bitOr"),
    exp.BitwiseXor: both("bitXor"),
}
