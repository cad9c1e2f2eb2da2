"""Conditions and formulas as a user writes them."""

from __future__ import annotations

from typing import Any

from .formulas import (
    Aggregate,
    Closing,
    Formula,
    Metric,
    Number,
    Opening,
    Operation,
    Per,
    Prior,
    Reference,
    Running,
    ToDate,
    Total,
    Trailing,
)
from .tables import All, Compare, Condition, Either, IsNull, Not


def condition_text(condition: Condition) -> str:
    match condition:
        case Compare(path, operator, constant):
            shown = f"'{constant}'" if isinstance(constant, str) else str(constant)
            return f"{'.'.join(path)} {operator} {shown}"
        case IsNull(path):
            return f"{'.'.join(path)} is null"
        case Not(inner):
            return f"not ({condition_text(inner)})"
        case All(left, right):
            return f"({condition_text(left)}) and ({condition_text(right)})"
        case Either(left, right):
            return f"({condition_text(left)}) or ({condition_text(right)})"


def formula_text(formula: Formula) -> str:
    match formula:
        case Aggregate():
            return _aggregate_text(formula)
        case Reference(name):
            return name
        case Number(number):
            return str(number)
        case Operation(operator, left, right):
            return f"({formula_text(left)}) {operator} ({formula_text(right)})"
        case Prior(inner, n, unit):
            return f"prior({formula_text(inner)}, {n}, {unit})"
        case Trailing(inner, n, unit):
            return f"trailing({formula_text(inner)}, {n}, {unit})"
        case ToDate(inner, unit):
            return f"to_date({formula_text(inner)}, {unit})"
        case Running(inner) | Total(inner) | Closing(inner) | Opening(inner):
            return f"{type(formula).__name__.lower()}({formula_text(inner)})"


def _aggregate_text(call: Aggregate) -> str:
    where = f" where {condition_text(call.where)}" if call.where is not None else ""
    match call.what:
        case None:
            return f"count(*){where}"
        case Per(key, inner, more_than):
            compared = "" if more_than is None else f" > {more_than}"
            what = f"per({'.'.join(key)}, {_aggregate_text(inner)}{compared})"
        case tuple():
            what = ".".join(call.what)
        case _:
            what = condition_text(call.what)
    if call.function == "count distinct":
        return f"count(distinct {what}){where}"
    return f"{call.function}({what}){where}"


def metric_yaml(metric: Metric) -> dict[str, Any]:
    written: dict[str, Any] = {"formula": formula_text(metric.formula)}
    if metric.source is not None:
        written["source"] = metric.source
    if metric.filters:
        written["filters"] = [condition_text(c) for c in metric.filters]
    return written
