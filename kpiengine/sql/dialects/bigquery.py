"""BigQuery, whose own weeks begin on Sunday."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.families import family
from kpiengine.sql.dialects.rewriting import Dialect, call, number
from kpiengine.sql.dialects.unrun import NO_QUANTILES, forms, no_epoch, to_base_ten

_WORDS = {"WEEK": "ISOWEEK", "DOY": "DAYOFYEAR"}


def _part(word: str, moment: exp.Expr) -> exp.Expr:
    no_epoch(word)
    if word in ("DOW", "ISODOW"):
        sunday_first = exp.Extract(this=exp.var("DAYOFWEEK"), expression=moment)
        if word == "DOW":
            return exp.paren(exp.Sub(this=sunday_first, expression=number(1)))
        monday_first = exp.Mod(this=exp.paren(exp.Add(this=sunday_first, expression=number(5))), expression=number(7))
        return exp.paren(exp.Add(this=monday_first, expression=number(1)))
    return exp.Extract(this=exp.var(_WORDS.get(word, word)), expression=moment)


def _days(start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return call("DATE_DIFF", end, start, exp.var("DAY"))


def cut(node: exp.TimestampTrunc) -> exp.Expr:
    """date_trunc: a DATE by DATE_TRUNC, and weeks to Monday."""
    unit = node.args["unit"].name.upper()
    unit = "ISOWEEK" if unit == "WEEK" else unit
    if family(node.this) == "date" or (isinstance(node.this, exp.Cast) and node.this.is_type("date")):
        return call("DATE_TRUNC", node.this, exp.var(unit))
    return exp.TimestampTrunc(this=node.this, unit=exp.var(unit))


DIALECT = Dialect(
    "bigquery",
    "bigquery",
    forms={
        **forms(_part, _days),
        **NO_QUANTILES,
        **to_base_ten(lambda value: call("LOG10", value)),
        exp.TimestampTrunc: cut,
    },
    named=True,
)
