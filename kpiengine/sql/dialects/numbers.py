"""Numbers: forms that several dialects share."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.division import as_double
from kpiengine.sql.dialects.families import family
from kpiengine.sql.dialects.rewriting import Unsayable, number, text, wrapped


def exact_literal(node: exp.Literal) -> exp.Expr:
    """1.1 is an exact number in DuckDB, and a DOUBLE on engines that write it so."""
    if not _exact(node):
        return node
    whole, _, fraction = node.this.partition(".")
    digits = max(len(whole.lstrip("0") + fraction), 1)
    return exp.cast(text(node.this), f"DECIMAL({digits}, {len(fraction)})")


def exact_wide_literal(node: exp.Literal) -> exp.Expr:
    """The same in 38 digits, where a number beside it takes its few digits on."""
    return exp.cast(text(node.this), f"DECIMAL(38, {len(node.this.partition('.')[2])})") if _exact(node) else node


def _exact(node: exp.Literal) -> bool:
    return not node.is_string and "." in node.this and "e" not in node.this.lower()


def half_to_even(value: exp.Expr) -> exp.Expr:
    """A DOUBLE rounded to a whole one, halves to the even side, as DuckDB casts to integers."""
    fraction = exp.Abs(this=exp.Sub(this=wrapped(value.copy()), expression=exp.Trunc(this=value.copy())))
    is_half = exp.EQ(this=fraction, expression=number("0.5"))
    halved = exp.Div(this=wrapped(value.copy()), expression=number("2e0"), typed=True)
    even = exp.Mul(this=number("2e0"), expression=exp.Round(this=halved))
    return exp.case().when(is_half, even).else_(exp.Round(this=value.copy()))


def rounded(node: exp.Round) -> exp.Expr:
    """A DOUBLE is rounded half away from zero, for engines that round it half to even, or to no digits at all."""
    if family(node.this) in ("int", "decimal"):
        return node
    value = as_double(node.this)
    digits = node.args.get("decimals")
    if digits is None:
        return half_away(value)
    power = exp.Pow(this=exp.cast(number(10), "DOUBLE"), expression=digits)
    scaled = half_away(exp.Mul(this=value, expression=power))
    return exp.Div(this=scaled, expression=power.copy(), typed=True)


def half_away(value: exp.Expr) -> exp.Expr:
    """A DOUBLE rounded to a whole one, halves away from zero."""
    size = exp.Floor(this=exp.Add(this=exp.Abs(this=value.copy()), expression=exp.cast(number("0.5"), "DOUBLE")))
    return exp.Mul(this=exp.Sign(this=value.copy()), expression=size)


def decimal_of_double(node: exp.Cast) -> exp.Expr:
    """A DOUBLE as a decimal: scaled, rounded half away from zero, and scaled back exactly."""
    _, scale = decimal_parts(node.to)
    value = as_double(node.this)
    if scale == 0:
        return exp.cast(half_away(value), node.to)
    scaled = exp.Mul(this=value, expression=number(f"1e{scale}"))
    whole = exp.cast(half_away(scaled), "DECIMAL(38, 0)")
    unit = exp.cast(text("0." + "1".rjust(scale, "0")), f"DECIMAL(38, {scale})")
    return exp.cast(exp.Mul(this=whole, expression=unit), node.to)


def decimal_parts(kind: exp.DataType) -> tuple[int, int]:
    """Digits in all, and behind the point."""
    found = [part.this for part in kind.expressions]
    if not found:
        return 18, 3  # what DuckDB takes
    if any(not isinstance(part, exp.Literal) for part in found):
        raise Unsayable("its digits have to be written out")
    digits = [int(part.this) for part in found]
    return digits[0], digits[1] if len(digits) > 1 else 0


def text_of_number(node: exp.TryCast) -> exp.Expr | None:
    """The text that try_cast(x as double) is of; None where x is a number already."""
    if not node.is_type("double"):
        raise Unsayable("try_cast to double alone: what else is no value differs")
    inner = family(node.this)
    if inner in ("int", "decimal", "double", "bool"):
        return None
    return node.this if inner == "text" else exp.cast(node.this, "TEXT")
