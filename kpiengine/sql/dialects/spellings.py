"""One spelling of what DuckDB has several for, before a dialect's forms are looked up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlglot import exp

from kpiengine.sql.dialects.rewriting import Form, Forms, Unsayable, in_forms, text, wrapped


def _two(made: Callable[..., exp.Expr]) -> Form:
    def of_two(node: exp.Anonymous) -> exp.Expr:
        first, second = node.expressions
        return made(this=first, expression=second)

    return of_two


def _cast(kind: str) -> Form:
    def cast(node: Any) -> exp.Expr:
        if node.args.get("zone") is not None or node.args.get("format") is not None or node.expressions:
            raise Unsayable("of one text alone")
        return exp.cast(node.this, kind)

    return cast


def _added(node: exp.DateAdd) -> exp.Expr:
    if not isinstance(node.expression, exp.Interval):
        raise Unsayable("an interval is to be added, as in interval 1 month")
    return exp.paren(exp.Add(this=wrapped(node.this), expression=node.expression))


def _at_zone(node: exp.Anonymous) -> exp.Expr:
    zone, moment = node.expressions
    return exp.AtTimeZone(this=wrapped(moment), zone=zone)


def _extract(node: exp.Anonymous) -> exp.Expr:
    word, moment = node.expressions
    return exp.Extract(this=exp.var(word.name.upper()), expression=moment)


def _every_row(node: exp.Count) -> exp.Expr:
    return node if node.this is not None else exp.Count(this=exp.Star(), big_int=True)


def _interval(unit: str) -> Form:
    def interval(node: Any) -> exp.Expr:
        many = node.expressions[0] if isinstance(node, exp.Anonymous) else node.this
        if not (isinstance(many, exp.Literal) and many.is_int):
            raise Unsayable("how many has to be written out as a number")
        return exp.Interval(this=text(many.this), unit=exp.var(unit))

    return interval


_SPELLINGS: Forms = {
    exp.Date: _cast("DATE"),
    exp.DateStrToDate: _cast("DATE"),
    exp.TsOrDsToDate: _cast("DATE"),
    exp.TimeStrToTime: _cast("TIMESTAMP"),
    exp.DateAdd: _added,
    exp.Count: _every_row,
    exp.IgnoreNulls: lambda node: node.this if isinstance(node.this, exp.AnyValue) else node,
    exp.ToDays: _interval("DAY"),
    "to_months": _interval("MONTH"),
    "to_years": _interval("YEAR"),
    "to_hours": _interval("HOUR"),
    "date_part": _extract,
    "epoch_us": lambda node: exp.UnixMicros(this=node.expressions[0]),
    "mean": lambda node: exp.Avg(this=node.expressions[0]),
    "prefix": _two(exp.StartsWith),
    "suffix": _two(exp.EndsWith),
    "strlen": lambda node: exp.ByteLength(this=node.expressions[0]),
    "timezone": _at_zone,
}


def spelled_alike(tree: exp.Expr) -> exp.Expr:
    """The tree with one node for each meaning: date('2026-01-31') is a CAST, suffix() is ends_with()."""
    return in_forms(tree, _SPELLINGS)
