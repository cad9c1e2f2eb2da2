"""An inner join where each row is known to meet another: DuckDB runs it in half the time of a left one.

    select … from orders left join customers on orders.customer_id = customers.customer_id  →
    select … from orders join customers on orders.customer_id = customers.customer_id

That every order has a customer is found out by counting once, is kept for as long as the files stay as they are, and is
looked at again when the rows are read. The passes before it may take a join for one that keeps rows.
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from kpiengine.passes.context import FEW_ROWS, Context
from kpiengine.plan.steps import Aggregate, Link, Met, Plan, Scan, Select, Step

Place = tuple[Scan, str]
"""A scan, and a column of it."""


def inner(plan: Plan, context: Context) -> Plan:
    """Joins in which no row is without another, as inner ones."""
    steps: dict[str, Step] = {}
    met: dict[Met, bool] = {}
    for step in plan.steps:
        steps[step.name] = _inner(step, steps, plan, context, met) if isinstance(step, Select | Aggregate) else step
    return replace(plan, steps=tuple(steps.values()), met=tuple(found for found, holds in met.items() if holds))


def _inner(
    step: Select | Aggregate, steps: dict[str, Step], plan: Plan, context: Context, met: dict[Met, bool]
) -> Select | Aggregate:
    """A step with its joins; `met` is what is known of all, and is added to."""
    places = {step.input: step.input}
    links: list[Link] = []
    for link in step.links:
        found = _met(link, steps, places)
        if found is not None and not link.required and _pays(found, steps, context):
            if found not in met:
                met[found] = context.meets(plan, found)
            link = replace(link, required=met[found])
        if link.required:
            places[link.alias] = link.step
        links.append(link)
    return replace(step, links=tuple(links))


def _met(link: Link, steps: dict[str, Step], places: dict[str, str]) -> Met | None:
    """What has to hold for each row to meet one of a link: of columns that scans have, behind joins that lose none."""
    joined = steps.get(link.step)
    pairs: list[tuple[Place, str]] = []
    for on in link.on:
        if not isinstance(on, exp.EQ) or not isinstance(on.left, exp.Column) or not isinstance(on.right, exp.Column):
            return None
        own, key = (on.left, on.right) if on.right.table == link.alias else (on.right, on.left)
        place = _scanned(steps, places.get(own.table, ""), own.name)
        if key.table != link.alias or place is None:
            return None
        pairs.append((place, key.name))
    if not pairs or not isinstance(joined, Scan) or len({place.name for (place, _), _ in pairs}) > 1:
        return None
    columns = tuple(name for (_, name), _ in pairs)
    return Met(pairs[0][0][0].name, columns, joined.name, tuple(key for _, key in pairs))


def _scanned(steps: dict[str, Step], step: str, name: str) -> Place | None:
    """Where the values of a step's column come from: rows, or groups of them, and nothing but them."""
    found = steps.get(step)
    if isinstance(found, Scan):
        return (found, name) if any(c.name == name for c in found.columns) else None
    if not isinstance(found, Select | Aggregate):
        return None
    made = found.columns if isinstance(found, Select) else found.keys
    tree = next((c.expression for c in made if c.name == name), None)
    if not isinstance(tree, exp.Column) or tree.table not in ("", found.input):
        return None
    return _scanned(steps, found.input, tree.name)


def _pays(met: Met, steps: dict[str, Step], context: Context) -> bool:
    """Few rows to join with are found as fast by a left join."""
    scans = [steps[name] for name in (met.step, met.joined)]
    rows = [context.known.rows(scan.source) for scan in scans if isinstance(scan, Scan)]
    return context.always or all(n is not None and n >= FEW_ROWS for n in rows)
