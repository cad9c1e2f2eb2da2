"""TRY_CAST on PostgreSQL, which has none: a pattern tells what DuckDB would cast."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.families import family, family_of_cast
from kpiengine.sql.dialects.rewriting import Forms, Unsayable, call, text, wrapped

_BLANKS = r"[ \t\n\v\f\r]*"
_DIGITS = r"[0-9]+(_[0-9]+)*"
_NUMBER = rf"({_DIGITS}(\.({_DIGITS})?)?|\.{_DIGITS})([eE][+-]?{_DIGITS})?"
_SPECIAL = "([iI][nN][fF]([iI][nN][iI][tT][yY])?|[nN][aA][nN])"
DOUBLES = rf"^{_BLANKS}([+-]|\+-)?({_NUMBER}|{_SPECIAL}){_BLANKS}$"
"""Texts that DuckDB casts to DOUBLE: `+-5`, `1_000` and `.5` are among them."""


def tried(node: exp.TryCast) -> exp.Expr:
    """A text that is no number is NULL; one beyond DOUBLE's range is an error, where DuckDB has an infinity."""
    to, inner = family_of_cast(node), family(node.this)
    if to == "double" and inner in ("int", "decimal", "double"):
        return exp.cast(node.this, "DOUBLE")
    if to != "double" or inner != "text":
        raise Unsayable("try_cast is there from texts and numbers to DOUBLE")
    plain = call("REPLACE", call("REPLACE", node.this.copy(), text("_"), text("")), text("+-"), text("-"))
    fits = exp.RegexpLike(this=wrapped(node.this.copy()), expression=text(DOUBLES))
    return exp.Case(ifs=[exp.If(this=fits, true=exp.cast(plain, "DOUBLE"))])


FORMS: Forms = {exp.TryCast: tried}
