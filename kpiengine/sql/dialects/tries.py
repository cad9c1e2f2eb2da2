"""TRY_CAST to DOUBLE by a pattern: which texts are numbers differs from engine to engine."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from kpiengine.sql.dialects.families import family
from kpiengine.sql.dialects.rewriting import Form, Unsayable, call, text

_DIGITS = "[0-9]+(_[0-9]+)*"
_NUMBER = rf"({_DIGITS}([.]({_DIGITS})?)?|[.]{_DIGITS})([eE][+-]?{_DIGITS})?"
_SPECIAL = "([iI][nN][fF]([iI][nN][iI][tT][yY])?|[nN][aA][nN])"


def doubles(blanks: str) -> str:
    """The pattern of texts that DuckDB casts to DOUBLE: `+-5`, `1_000` and `.5` are among them."""
    return f"^{blanks}([+]|[-]|[+][-])?({_NUMBER}|{_SPECIAL}){blanks}$"


def double_by_pattern(fits: Callable[[exp.Expr, str], exp.Expr], blanks: str) -> Form:
    """A form for try_cast(x as double). `fits` asks whether a text is, as a whole, of a pattern.

    A text that is no number is NULL; one that DuckDB takes and the engine does not (inf, in some) is an error there.
    """

    def tried(node: exp.TryCast) -> exp.Expr:
        if not node.is_type("double"):
            raise Unsayable("to DOUBLE alone; what else is no value differs")
        inner = family(node.this)
        if inner in ("int", "decimal", "double"):
            return exp.cast(node.this, "DOUBLE")
        if inner != "text":
            raise Unsayable("of texts and numbers")
        plain = call("REPLACE", call("REPLACE", node.this.copy(), text("_"), text("")), text("+-"), text("-"))
        held = fits(node.this.copy(), doubles(blanks))
        return exp.Case(ifs=[exp.If(this=held, true=exp.cast(call("TRIM", plain), "DOUBLE"))])

    return tried
