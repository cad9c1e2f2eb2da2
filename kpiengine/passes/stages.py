"""Long conditions over groups of whole periods, where the fine groups that are at hand are days.

Words as people write them are made plain by a dozen functions. Over some ten thousand groups of day and answer that
costs more than reading the rows; over the few hundred of month and answer, nothing.

    fine: select day(time), answer, count(*) as n …
    coarse: select month(day), sum(n) filter (where long(answer)) … from fine  →
    between: select month(day), answer, sum(n) … from fine
    coarse: select month, sum(n) filter (where long(answer)) … from between
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from kpiengine.passes.context import Context, Lineage
from kpiengine.passes.fold import Folding
from kpiengine.passes.trees import own_columns, size
from kpiengine.plan.expressions import column
from kpiengine.plan.steps import Aggregate, Plan, Step

LONG = 100
"""Conditions that have so many nodes together are worth groups of their own."""


def stages(plan: Plan, context: Context) -> Plan:
    """Aggregates with long conditions over groups, by way of coarser groups."""
    lineage = Lineage(plan, context)
    grouped = {step.name: {k.name for k in step.keys} for step in plan.steps if isinstance(step, Aggregate)}
    together: dict[tuple[str, tuple[exp.Expr, ...], tuple[exp.Expr, ...]], list[Aggregate]] = {}
    for step in plan.steps:
        if isinstance(step, Aggregate) and step.input in grouped and not step.links:
            keys = tuple(k.expression for k in step.keys)
            together.setdefault((step.input, step.filters, keys), []).append(step)
    made: dict[str, list[Step]] = {}
    for (groups, _, _), found in together.items():
        staged = _staged(groups, grouped[groups], found, lineage)
        if staged is not None:
            between, *coarse = staged
            made |= {step.name: [step] for step in coarse}
            made[coarse[0].name].insert(0, between)
    return replace(plan, steps=tuple(s for step in plan.steps for s in made.get(step.name, [step])))


def _staged(groups: str, keys: set[str], found: list[Aggregate], lineage: Lineage) -> list[Aggregate] | None:
    """The groups in between and what is made of them; None where conditions look at values, or nothing is won."""
    folding = Folding(groups, found, lineage)
    conditions = folding.conditions()
    looked_at = {c for condition in conditions for c in own_columns(condition)}
    whole = {k.expression: k.name for k in found[0].keys}
    coarser = any(not isinstance(tree, exp.Column) for tree in whole)
    long = lineage.context.always or sum(map(size, conditions)) >= LONG
    if len(folding.found) < len(found) or not coarser or not long or not {c.name for c in looked_at} <= keys:
        return None
    if not looked_at:
        return None
    beside = sorted(c.name for c in looked_at if c not in whole)
    return folding.by({**whole, **{column(name): name for name in beside}})
