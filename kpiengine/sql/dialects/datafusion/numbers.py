"""Numbers and truth values on DataFusion, which knows no overflow and cuts off where DuckDB rounds."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.division import as_double, whole_numbers_alone
from kpiengine.sql.dialects.families import family, family_of_cast
from kpiengine.sql.dialects.numbers import exact_literal, half_to_even, text_of_number
from kpiengine.sql.dialects.rewriting import Forms, Unsayable, call, number, wrapped


def cast(node: exp.Cast) -> exp.Expr:
    """Casts to integers round; what is a BIGINT already is not cast again."""
    to, inner = family_of_cast(node), family(node.this)
    if isinstance(node.this, exp.Cast) and node.this.to == node.to:
        return node.this
    if to == "int" and inner == "decimal":
        return exp.cast(exp.Round(this=node.this), node.to)
    if to == "int" and inner == "double":
        return exp.cast(half_to_even(node.this), node.to)
    if to == "decimal" and inner == "bool":
        return exp.cast(exp.cast(node.this, "INT"), node.to)
    if to == "text" and inner in ("double", "timestamp", "timestamptz"):
        raise Unsayable("it is written differently as text; of a point in time strftime says how")
    return node


def tried(node: exp.TryCast) -> exp.Expr:
    """try_cast(x as double): NULL for a text that is no number."""
    told = text_of_number(node)
    if told is None:
        return exp.cast(node.this, "DOUBLE")
    tried = exp.alias_(told, exp.to_identifier("DOUBLE"))
    return exp.Anonymous(this="TRY_CAST", expressions=[tried])


def product(node: exp.Mul) -> exp.Expr:
    """a * b. Of INTEGERs it is an INTEGER here that runs over without a word: one of them is made a BIGINT."""
    if family(node.this) == family(node.expression) == "int":
        sides = [side for side in (node.this, node.expression) if not isinstance(side.unnest(), exp.Literal | exp.Cast)]
        if len(sides) == 2:
            node.set("this", exp.cast(node.this, "BIGINT"))
    return node


def whole(node: exp.Ceil | exp.Floor) -> exp.Expr:
    """ceil(x), floor(x). Of a decimal they may leave its type's range here; cutting off and adding one does not."""
    if family(node.this) != "decimal":
        return node
    value, cut = wrapped(node.this), exp.Trunc(this=node.this.copy())
    beyond = (exp.GT if isinstance(node, exp.Ceil) else exp.LT)(this=value, expression=cut.copy())
    one = number(1 if isinstance(node, exp.Ceil) else -1)
    return exp.paren(exp.Add(this=cut, expression=exp.case().when(beyond, one).else_(number(0))))


def logarithm(node: exp.Log) -> exp.Expr:
    """log(x) is to base 10."""
    if node.expression is None:
        return call("LOG10", as_double(node.this))
    return node


def rounded(node: exp.Round) -> exp.Expr:
    """round(x, digits), which PostgreSQL's text would take of a decimal."""
    digits = node.args.get("decimals")
    return call("ROUND", node.this, *([digits] if digits is not None else []))


def sign(node: exp.Sign) -> exp.Expr:
    """sign(x)."""
    return exp.cast(call("SIGNUM", as_double(node.this)), "INT")


def _paren(node: exp.Expr) -> exp.Expr:
    """IS NOT DISTINCT FROM binds its right side weaker than AND here."""
    return exp.paren(node)


FORMS: Forms = {
    exp.Literal: exact_literal,
    exp.Cast: cast,
    exp.TryCast: tried,
    exp.Mul: product,
    exp.Log: logarithm,
    exp.Sign: sign,
    exp.Ceil: whole,
    exp.Floor: whole,
    exp.NullSafeEQ: _paren,
    exp.NullSafeNEQ: _paren,
    exp.IntDiv: whole_numbers_alone,
    exp.Round: rounded,
    exp.Trunc: lambda node: node,
    exp.Cbrt: lambda node: node,
    exp.Sin: lambda node: node,
    exp.Cos: lambda node: node,
    exp.Tan: lambda node: node,
    exp.Asin: lambda node: node,
    exp.Acos: lambda node: node,
    exp.Atan: lambda node: node,
    exp.Atan2: lambda node: node,
    exp.Degrees: lambda node: node,
    exp.Radians: lambda node: node,
    exp.Pi: lambda node: node,
    exp.BitwiseAnd: lambda node: node,
    exp.BitwiseOr: lambda node: node,
}
