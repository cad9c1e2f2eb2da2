"""Trino."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.division import divided_in_double
from kpiengine.sql.dialects.rewriting import Dialect, call, number, text
from kpiengine.sql.dialects.unrun import NO_QUANTILES, forms, no_epoch, to_base_ten

_FUNCTIONS = {"ISODOW": "DAY_OF_WEEK", "ISOYEAR": "YEAR_OF_WEEK", "DOY": "DAY_OF_YEAR"}


def _part(word: str, moment: exp.Expr) -> exp.Expr:
    no_epoch(word)
    if word == "DOW":
        return exp.paren(exp.Mod(this=call("DAY_OF_WEEK", moment), expression=number(7)))
    return call(_FUNCTIONS.get(word, word), moment)


def _days(start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return call("DATE_DIFF", text("day"), start, end)


DIALECT = Dialect(
    "trino",
    "trino",
    (divided_in_double,),
    forms={**forms(_part, _days), **NO_QUANTILES, **to_base_ten(lambda value: call("LOG10", value))},
    named=True,
)
