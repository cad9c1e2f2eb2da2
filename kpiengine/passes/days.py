"""Times of which the day alone is read, kept as days.

    each: select customer, min(time) as first from orders group by customer
    new: select month(day(first)), count(customer) from each group by …   →
    each: select customer, min(day(time)) as first from orders group by customer

A day takes two bytes of what is shuffled where a time takes six: the least day is the day of the least time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlglot import exp

from kpiengine.passes.context import Context, Lineage
from kpiengine.passes.prune import reads
from kpiengine.passes.trees import taken_apart
from kpiengine.plan.expressions import with_filter
from kpiengine.plan.steps import Aggregate, Named, Plan, Select, Step

Place = tuple[str, str]
"""A step, and its column."""


def days(plan: Plan, context: Context) -> Plan:
    """The first and the last times of groups as days, where no step asks for more of them."""
    if not context.on_cluster:
        return plan
    lineage = Lineage(plan, context)
    whole = _read_whole(plan)
    steps: list[Step] = []
    for step in plan.steps:
        if isinstance(step, Aggregate):
            kept = [m if (step.name, m.name) in whole else _as_day(m, step.input, lineage) for m in step.measures]
            step = replace(step, measures=tuple(kept))
        steps.append(step)
    return replace(plan, steps=tuple(steps))


def _as_day(measure: Named, rows: str, lineage: Lineage) -> Named:
    """The extreme of times that `measure` is, as one of their days; the measure as it is where it is none."""
    call, conditions = taken_apart(measure.expression)
    time = _extreme_of(call)
    origin = lineage.origin(rows, time.name) if time is not None else None
    kind = (lineage.context.type_of(*origin) if origin else None) or ""
    if time is None or not kind.startswith("TIMESTAMP") or kind.endswith(("TZ", "ZONE")):
        return measure
    return Named(measure.name, with_filter(type(call)(this=exp.cast(time.copy(), "DATE")), conditions))


def _extreme_of(call: exp.Expr) -> exp.Column | None:
    """The column that a call is the least or the greatest value of."""
    alone = isinstance(call, exp.Min | exp.Max) and not call.expressions and isinstance(call.this, exp.Column)
    return call.this if alone else None


def _read_whole(plan: Plan) -> set[Place]:
    """The columns of steps of which more is read than the day, and whether there is one."""
    columns = {step.name: [c.name for c in _made(step)] for step in plan.steps if isinstance(step, Select | Aggregate)}
    found: set[Place] = set()
    for reader in (plan.output, *reversed(plan.steps)):
        in_full = not isinstance(reader, Select | Aggregate)
        for name, read in reads(reader):
            if in_full or read is None:
                found |= {(name, c) for c in (columns.get(name, ()) if read is None else read)}
        if isinstance(reader, Select | Aggregate):
            found |= set(_whole_of(reader, found))
    return found


def _made(step: Select | Aggregate) -> tuple[Named, ...]:
    return step.columns if isinstance(step, Select) else (*step.keys, *step.measures)


def _whole_of(step: Select | Aggregate, known: set[Place]) -> Iterator[Place]:
    """The columns of which `step` reads more than the day. `known` are those that its own readers do.

    A column that it hands on, or takes the least or the greatest of, is read as that is read.
    """
    tables = {"": [step.input, *(link.step for link in step.links)], step.input: [step.input]}
    tables |= {link.alias: [link.step] for link in step.links}
    by_time = isinstance(step, Select) and (step.distinct or step.sorted_by)
    trees = [*step.filters, *(on for link in step.links for on in link.on)]
    for named in _made(step):
        call, conditions = taken_apart(named.expression)
        handed = call if isinstance(step, Select) and isinstance(call, exp.Column) else _extreme_of(call)
        on_days = handed is not None and not by_time and (step.name, named.name) not in known
        trees += conditions if on_days else [named.expression]
    for found in (c for tree in trees for c in _in_full(tree)):
        yield from ((table, found.name) for table in tables.get(found.table, ()))


def _in_full(tree: exp.Expr) -> Iterator[exp.Column]:
    """The columns of a tree, those aside that are cut to the day, or of which is asked whether they are there."""
    if isinstance(tree, exp.Column):
        yield tree
        return
    of_day = isinstance(tree, exp.Cast) and tree.is_type("date")
    if isinstance(tree.this, exp.Column) and (of_day or (isinstance(tree, exp.Is) and tree.expression == exp.null())):
        return
    for child in tree.iter_expressions():
        yield from _in_full(child)
