"""Snowflake, in a session whose WEEK_START is 0 or 1: weeks begin on Monday."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.division import divided_in_double
from kpiengine.sql.dialects.rewriting import Dialect, call, number
from kpiengine.sql.dialects.unrun import forms, no_epoch, to_base_ten

_ISO = {"WEEK": "WEEKISO", "ISODOW": "DAYOFWEEKISO", "ISOYEAR": "YEAROFWEEKISO", "DOY": "DAYOFYEAR"}
"""Parts that no setting of a session changes."""


def _part(word: str, moment: exp.Expr) -> exp.Expr:
    no_epoch(word)
    if word == "DOW":
        return exp.paren(exp.Mod(this=call("DAYOFWEEKISO", moment), expression=number(7)))
    return call(_ISO.get(word, word), moment)


def _days(start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return call("DATEDIFF", exp.var("DAY"), start, end)


DIALECT = Dialect(
    "snowflake",
    "snowflake",
    (divided_in_double,),
    forms={**forms(_part, _days), **to_base_ten(lambda value: call("LOG", number(10), value))},
    named=True,
)
