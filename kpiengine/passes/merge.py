"""One pass over the rows for aggregates that group them alike.

a: select customer, min(time) from orders group by customer
b: select customer, bit_or(…) from orders group by customer   →
both: select customer, min(time), bit_or(…) from orders group by customer;  a and b: columns of it
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from kpiengine.passes.context import Context, Lineage
from kpiengine.plan.expressions import column, free
from kpiengine.plan.steps import Aggregate, Named, Plan, Select, Step

Rows = tuple[str, tuple[exp.Expr, ...], tuple[exp.Expr, ...]]


def merge(plan: Plan, context: Context) -> Plan:
    """Aggregates of the same rows by the same keys, as columns of one."""
    alike: dict[Rows, list[Aggregate]] = {}
    for step in plan.steps:
        if isinstance(step, Aggregate) and step.keys and not step.links:
            rows = (step.input, step.filters, tuple(k.expression for k in step.keys))
            alike.setdefault(rows, []).append(step)
    lineage = Lineage(plan, context)
    made: dict[str, list[Step]] = {}
    for found in alike.values():
        if len(found) > 1:
            made |= _merged(found, lineage)
    return replace(plan, steps=tuple(s for step in plan.steps for s in made.get(step.name, [step])))


def _merged(found: list[Aggregate], lineage: Lineage) -> dict[str, list[Step]]:
    """The step that measures all, in front of the first, and each as a choice of its columns."""
    first = found[0]
    names: dict[exp.Expr, str] = {}
    for measure in (m for step in found for m in step.measures):
        if measure.expression not in names:
            names[measure.expression] = free(measure.name, [*(k.name for k in first.keys), *names.values()])
    whole = replace(
        first, name=lineage.unique(f"{first.name}_and_more"), measures=tuple(Named(n, e) for e, n in names.items())
    )
    made: dict[str, list[Step]] = {}
    for step in found:
        keys = [Named(k.name, column(own.name)) for k, own in zip(step.keys, first.keys, strict=True)]
        values = [Named(m.name, column(names[m.expression])) for m in step.measures]
        made[step.name] = [Select(step.name, whole.name, (*keys, *values))]
    made[first.name].insert(0, whole)
    return made
