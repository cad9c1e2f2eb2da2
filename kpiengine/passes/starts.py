"""The first day of a month as a day less its place in the month, where it is cut from each of many rows.

    date_trunc('month', d)  →  d - (day(d) - 1)

DuckDB takes three times as long for the former. Where fine groups are days, there are few to cut a month from, and
nothing is changed; where days would be too many groups, it shows.
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from kpiengine.calendar import expression
from kpiengine.passes.context import FEW_ROWS, Context, Lineage
from kpiengine.passes.trees import core
from kpiengine.plan.steps import Aggregate, Named, Plan, Step


def starts(plan: Plan, context: Context) -> Plan:
    """Aggregates of rows by month, with the month's first day counted back to."""
    lineage = Lineage(plan, context)
    return replace(plan, steps=tuple(_counted_back(step, lineage) for step in plan.steps))


def _counted_back(step: Step, lineage: Lineage) -> Step:
    if not isinstance(step, Aggregate):
        return step
    rows = lineage.rows(step.input)
    if not lineage.context.always and (rows is None or rows < FEW_ROWS):
        return step
    return replace(step, keys=tuple(Named(k.name, _start(k.expression, step.input, lineage)) for k in step.keys))


def _start(key: exp.Expr, step: str, lineage: Lineage) -> exp.Expr:
    """A key that is the first day of a Gregorian month in another form; any other as it is.

    The days have to be known: "infinity" has no place in a month.
    """
    cut = key.this if isinstance(key, exp.Cast) and key.is_type("date") else None
    if not isinstance(cut, exp.DateTrunc | exp.TimestampTrunc) or str(cut.args["unit"].name).upper() != "MONTH":
        return key
    day = core(key)
    columns = list(day.find_all(exp.Column))
    if cut.this != day or len(columns) != 1 or lineage.days(step, columns[0].name) is None:
        return key
    origin = lineage.origin(step, day.name) if isinstance(day, exp.Column) else None
    if origin is not None and lineage.context.type_of(*origin) != "DATE":
        return key
    return expression("d - CAST(day(d) - 1 AS INT)", d=day)
