"""`plain_text(x)` in plans: a column of a step below the one that asks for it, whose letters are made plain below that.

Written out where it stands it is some hundred nodes, and most of them are the same five times over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlglot import exp

from kpiengine.functions import is_plain_text, with_plain_digits, with_plain_letters
from kpiengine.plan.expressions import column, free
from kpiengine.plan.steps import Aggregate, Named, Plan, Select, Step


def texts_named(plan: Plan) -> Plan:
    """The plan, with steps below each one that looks at plain texts: they are columns there."""
    taken = {step.name for step in plan.steps}
    steps: list[Step] = []

    for step in plan.steps:
        steps += _with_texts_below(step, taken) if isinstance(step, Select | Aggregate) else [step]
    inputs: list[Select | Aggregate] = []
    for step in plan.output.inputs:
        *below, over = _with_texts_below(step, taken)
        steps += below
        inputs.append(over)
    return replace(plan, steps=tuple(steps), output=replace(plan.output, inputs=tuple(inputs)))


def _with_texts_below(step: Select | Aggregate, taken: set[str]) -> list[Select | Aggregate]:
    trees = list(_trees(step))
    columns = {node for tree in trees for node in tree.find_all(exp.Column)}
    asked = dict.fromkeys(text for tree in trees for text in _outer_texts(tree))
    if step.links or not asked or any(c.table for c in columns) or any(tree.find(exp.Query) for tree in trees):
        return [step]
    names: dict[exp.Expr, str] = {}
    for text in asked:
        inner = text.expressions[0]
        told = f"{inner.name}_text" if isinstance(inner, exp.Column) else "text"
        names[text] = free(told, {*(c.name for c in columns), *names.values()})
    return _split(step, names, taken)


def _outer_texts(tree: exp.Expr) -> Iterator[exp.Expr]:
    return (node for node in tree.walk(prune=is_plain_text) if is_plain_text(node))


def _split(step: Select | Aggregate, names: dict[exp.Expr, str], taken: set[str]) -> list[Select | Aggregate]:
    name = free(f"{step.input}_texts", taken)

    def over(named: Named) -> Named:
        return replace(named, expression=_replaced(named.expression, names))

    filters = tuple(_replaced(f, names) for f in step.filters)
    above: Select | Aggregate
    if isinstance(step, Select):
        above = replace(step, input=name, columns=tuple(map(over, step.columns)), filters=filters)
    else:
        keys, measures = tuple(map(over, step.keys)), tuple(map(over, step.measures))
        above = replace(step, input=name, keys=keys, measures=measures, filters=filters)
    kept = dict.fromkeys(c.name for tree in _trees(above) for c in tree.find_all(exp.Column))
    own = [Named(c, column(c)) for c in kept if c not in names.values()]
    letters = [Named(n, with_plain_letters(text.expressions[0].copy())) for text, n in names.items()]
    digits = [Named(n, with_plain_digits(column(n))) for n in names.values()]
    below = free(f"{step.input}_letters", taken)
    taken |= {below, name}
    return [Select(below, step.input, (*own, *letters)), Select(name, below, (*own, *digits)), above]


def _replaced(tree: exp.Expr, names: dict[exp.Expr, str]) -> exp.Expr:
    """`tree` with the texts of `names` as columns; itself where it has none."""
    root = tree.copy()
    found = [node for node in _outer_texts(root) if node in names]
    for node in found:
        if node is root:
            return column(names[node])
        node.replace(column(names[node]))
    return root if found else tree


def _trees(step: Select | Aggregate) -> Iterator[exp.Expr]:
    named = step.columns if isinstance(step, Select) else (*step.keys, *step.measures)
    yield from (each.expression for each in named)
    yield from step.filters
