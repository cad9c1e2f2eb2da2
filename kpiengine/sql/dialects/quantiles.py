"""Exact quantiles of groups, from the sorted array of a group's values, where an engine's own are estimates."""

from __future__ import annotations

from collections.abc import Callable

from sqlglot import exp

from kpiengine.sql.dialects.aggregates import number_alone, share
from kpiengine.sql.dialects.rewriting import Form, Unsayable, number

At = Callable[[exp.Expr], exp.Expr]
"""The value at a place, counted from 0, among a group's sorted values; NULL where there are none."""

Values = Callable[[exp.Expr, Callable[[exp.Expr, At], exp.Expr]], exp.Expr]
"""From what is taken of each row, and what is to be made of how many values there are and of each, to an expression."""


def quantile_of(values: Values) -> Form:
    """A form for median(x) and quantile_cont(x, q): the value at (n - 1) q, or between its two neighbours."""

    def quantile(node: exp.Median | exp.PercentileCont) -> exp.Expr:
        if isinstance(node, exp.PercentileCont) and node.expression is None:
            raise Unsayable("written quantile_cont(x, q)")
        wanted = share(node)
        return values(number_alone(node.this), lambda count, at: _between(count, at, wanted))

    return quantile


def _between(count: exp.Expr, at: At, wanted: exp.Expr) -> exp.Expr:
    last = exp.paren(exp.Sub(this=count, expression=number(1)))
    place = exp.Mul(this=last, expression=exp.cast(wanted, "DOUBLE"))
    below = exp.cast(exp.Floor(this=place.copy()), "BIGINT")
    above = exp.cast(exp.Ceil(this=place.copy()), "BIGINT")
    step = exp.Sub(this=at(above), expression=at(below.copy()))
    part = exp.Sub(this=place, expression=exp.Floor(this=place.copy()))
    return exp.paren(exp.Add(this=at(below), expression=exp.Mul(this=exp.paren(step), expression=exp.paren(part))))
