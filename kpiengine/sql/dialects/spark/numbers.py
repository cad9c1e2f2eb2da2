"""Numbers and truth values on Spark, which cuts off where DuckDB rounds."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.division import as_double, whole_numbers_alone
from kpiengine.sql.dialects.families import family, family_of_cast
from kpiengine.sql.dialects.numbers import decimal_of_double, rounded
from kpiengine.sql.dialects.rewriting import Form, Forms, Unsayable, call, number, text, wrapped


def cast(node: exp.Cast) -> exp.Expr:
    """Casts to integers round: decimals half away from zero, doubles half to even."""
    to, inner = family_of_cast(node), family(node.this)
    if to == "int" and inner == "decimal":
        return exp.cast(exp.Round(this=node.this), node.to)
    if to == "int" and inner == "double":
        return exp.cast(_half_to_even(as_double(node.this)), node.to)
    if to == "decimal" and inner == "double":
        return decimal_of_double(node)
    if to == "decimal" and inner == "bool":
        return exp.cast(exp.cast(node.this, "INT"), node.to)
    if to == "text" and inner in ("double", "timestamp", "timestamptz"):
        raise Unsayable("it is written differently as text; of a point in time strftime says how")
    return node


def tried(node: exp.TryCast) -> exp.Expr:
    """try_cast(x as double). Of a text that ends in a letter Spark takes more for a number than DuckDB: those are
    none. Words, which begin with a letter, are none at a glance: a cast that fails is dear."""
    if not node.is_type("double"):
        raise Unsayable("to double alone")
    if family(node.this) in ("int", "decimal", "double"):
        return exp.cast(node.this, "DOUBLE")
    written = exp.cast(node.this, "TEXT")
    digits = exp.LT(this=call("LTRIM", written.copy()), expression=text(":"))
    named = exp.In(
        this=exp.Lower(this=exp.Trim(this=written.copy())), expressions=[text(t) for t in ("inf", "infinity", "nan")]
    )
    suffixed = call("REGEXP_LIKE", written.copy(), text("[0-9.][dDfF][ ]*$"))
    likely = exp.and_(exp.or_(digits, named), exp.Not(this=suffixed))
    node.set("this", exp.case().when(likely, written))
    return node


def _half_to_even(value: exp.Expr) -> exp.Expr:
    """A DOUBLE as a whole one. RINT says so, too, and on Sail rounds halves up."""
    fraction = exp.Abs(this=exp.Sub(this=value.copy(), expression=exp.Floor(this=value.copy())))
    halved = exp.Round(this=exp.Mul(this=value.copy(), expression=number("5e-1")))
    even = exp.Mul(this=number(2), expression=halved)
    is_half = exp.EQ(this=fraction, expression=number("5e-1"))
    return exp.case().when(is_half, even).else_(exp.Round(this=value.copy()))


def logarithm(node: exp.Log) -> exp.Expr:
    """log(x) is to base 10."""
    return call("LOG10", as_double(node.this)) if node.expression is None else node


def truncated(node: exp.Trunc) -> exp.Expr:
    """trunc(x): towards zero."""
    if node.args.get("decimals") is not None:
        raise Unsayable("to whole numbers alone")
    below = exp.LT(this=node.this.copy(), expression=number(0))
    return exp.case().when(below, exp.Ceil(this=node.this.copy())).else_(exp.Floor(this=node.this))


def whole_quotient(node: exp.IntDiv) -> exp.Expr:
    """a // b of integers, which is NULL where b is 0."""
    whole_numbers_alone(node)
    return exp.IntDiv(this=node.this, expression=exp.Nullif(this=node.expression, expression=number(0)))


def remainder(node: exp.Mod) -> exp.Expr:
    """a % b, which is NULL where b is 0."""
    if not (isinstance(node.expression.unnest(), exp.Literal) and node.expression.unnest().to_py()):
        node.set("expression", exp.Nullif(this=node.expression, expression=number(0)))
    return node


def bit(node: exp.BitwiseLeftShift) -> exp.Expr:
    """1 << n. Spark takes the rest of n by 64 where DuckDB raises an error."""
    if not (isinstance(node.this.unnest(), exp.Cast) and node.this.unnest().this == number(1)):
        raise Unsayable("of CAST(1 AS BIGINT) alone")
    place = wrapped(node.expression)
    fits = exp.Between(this=place.copy(), low=number(0), high=number(62))
    known = exp.case().when(exp.or_(fits, exp.Is(this=place.copy(), expression=exp.null())), place)
    wrong = exp.cast(call("RAISE_ERROR", text("a bit has to be one of the places from 0 to 62")), "INT")
    return call("SHIFTLEFT", node.this, exp.cast(known.else_(wrong), "INT"))


def _same(node: exp.Expr) -> exp.Expr:
    return node


_ALIKE: tuple[type[exp.Expr], ...] = (
    exp.Cbrt, exp.Sin, exp.Cos, exp.Tan, exp.Asin, exp.Acos, exp.Atan, exp.Atan2, exp.Degrees, exp.Radians, exp.Pi,
    exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseXor, exp.Sign,
)  # fmt: skip
_SAME: dict[type[exp.Expr] | str, Form] = {kind: _same for kind in _ALIKE}

FORMS: Forms = {
    **_SAME,
    exp.Cast: cast,
    exp.TryCast: tried,
    exp.Round: rounded,
    exp.Log: logarithm,
    exp.Trunc: truncated,
    exp.IntDiv: whole_quotient,
    exp.Mod: remainder,
    exp.BitwiseLeftShift: bit,
    "error": lambda node: call("RAISE_ERROR", *node.expressions),
}
