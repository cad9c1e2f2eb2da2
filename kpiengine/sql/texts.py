"""`plain_text(x)` in plans: written out where a statement is made, and once where it is asked for again and again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from sqlglot import exp

from kpiengine.functions import is_plain_text
from kpiengine.plan.expressions import column, free
from kpiengine.plan.steps import Aggregate, Named, Plan, Select, Step


def texts_named(plan: Plan) -> Plan:
    """The plan, with a step below each one that looks at the same plain text more than once: it is a column there."""
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
    made = None if step.links else _over_named_texts(step, taken)
    if made is None:
        return [step]
    taken.add(made[0].name)
    return list(made)


def _over_named_texts(step: Select | Aggregate, taken: Iterable[str]) -> tuple[Select, Select | Aggregate] | None:
    """A step that names the texts, and `step` over it; None where no text is looked at twice."""
    trees = list(_trees(step))
    times = Counter(node for tree in trees for node in tree.find_all(exp.Anonymous) if is_plain_text(node))
    often = [text for text, count in times.items() if count > 1]
    columns = {node for tree in trees for node in tree.find_all(exp.Column)}
    if not often or any(node.table for node in columns) or any(tree.find(exp.Query) for tree in trees):
        return None
    names: dict[exp.Expr, str] = {}
    for text in often:
        inner = text.expressions[0]
        told = f"{inner.name}_text" if isinstance(inner, exp.Column) else "text"
        names[text] = free(told, {*(c.name for c in columns), *names.values()})
    return _split(step, names, free(f"{step.input}_texts", taken))


def _split(step: Select | Aggregate, names: dict[exp.Expr, str], name: str) -> tuple[Select, Select | Aggregate]:
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
    return Select(name, step.input, (*own, *(Named(n, text) for text, n in names.items()))), above


def _replaced(tree: exp.Expr, names: dict[exp.Expr, str]) -> exp.Expr:
    """`tree` with the texts of `names` as columns; itself where it has none."""
    root = tree.copy()
    found = [node for node in root.find_all(exp.Anonymous) if is_plain_text(node) and node in names]
    for node in found:
        if node is root:
            return column(names[node])
        node.replace(column(names[node]))
    return root if found else tree


def _trees(step: Select | Aggregate) -> Iterator[exp.Expr]:
    named = step.columns if isinstance(step, Select) else (*step.keys, *step.measures)
    yield from (each.expression for each in named)
    yield from step.filters
