"""Numbers and truth values on PostgreSQL: casts, rounding, logarithms."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.division import as_double, whole_numbers_alone
from kpiengine.sql.dialects.families import family, family_of_cast
from kpiengine.sql.dialects.numbers import decimal_of_double, rounded
from kpiengine.sql.dialects.rewriting import Forms, Unsayable, call, number, wrapped


def literal(node: exp.Literal) -> exp.Expr:
    """1e3 is a DOUBLE in DuckDB, and exact here."""
    return exp.cast(node, "DOUBLE") if not node.is_string and "e" in node.this.lower() else node


def cast(node: exp.Cast) -> exp.Expr:
    """Truth values are cast to numbers, numbers to truth values, and numbers to text, as DuckDB does it."""
    to, inner = family_of_cast(node), family(node.this)
    if inner == "bool" and to in ("int", "double", "decimal") and not node.is_type("int"):
        return exp.cast(exp.cast(node.this, "INT"), node.to)
    if to == "bool" and inner in ("int", "decimal", "double"):
        return exp.paren(exp.NEQ(this=wrapped(node.this), expression=number(0)))
    if to == "decimal" and inner == "double":
        return decimal_of_double(node)
    if to == "text" and inner == "double":
        raise Unsayable("a DOUBLE is written differently as text (100.0, 100)")
    return node


def logarithm(node: exp.Log) -> exp.Expr:
    """log(x) is to base 10; log(base, x) of DOUBLEs by ln."""
    if node.expression is None:
        return call("LOG", as_double(node.this))
    top, bottom = (exp.Ln(this=as_double(side)) for side in (node.expression, node.this))
    return exp.paren(exp.Div(this=top, expression=bottom, typed=True))


def whole_division(node: exp.IntDiv) -> exp.Expr:
    """a // b of integers. A sum of BIGINTs is a NUMERIC here, of which `/` has a fraction: it is cut off."""
    divided = whole_numbers_alone(node)
    return exp.Trunc(this=divided) if node.find(exp.Sum) else divided


def remainder(node: exp.Mod) -> exp.Expr:
    """a % b, which is there for integers and decimals."""
    if "double" in (family(node.this), family(node.expression)):
        raise Unsayable("% is there for integers and decimals only")
    return node


def of_double(node: exp.Func) -> exp.Expr:
    """A function that is a DOUBLE in DuckDB, whatever it is taken of."""
    node.set("this", as_double(node.this))
    return node


FORMS: Forms = {
    exp.Literal: literal,
    exp.Cast: cast,
    exp.Round: rounded,
    exp.Log: logarithm,
    exp.IntDiv: whole_division,
    exp.Mod: remainder,
    exp.Ln: of_double,
    exp.Exp: of_double,
    exp.Sqrt: of_double,
    exp.Pow: of_double,
    exp.Trunc: lambda node: node,
    exp.Sign: lambda node: node,
    exp.Cbrt: of_double,
    exp.Sin: lambda node: node,
    exp.Cos: lambda node: node,
    exp.Tan: lambda node: node,
    exp.Atan: lambda node: node,
    exp.Degrees: lambda node: node,
    exp.Radians: lambda node: node,
    exp.Pi: lambda node: node,
    exp.BitwiseAnd: lambda node: node,
    exp.BitwiseOr: lambda node: node,
    exp.BitwiseXor: lambda node: node,
}
