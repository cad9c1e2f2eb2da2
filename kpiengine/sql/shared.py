"""Long expressions that a step asks for again and again are columns of a step below it: an engine reads, binds and
plans each once. An interval's bounds are made of the same mean and the same count, some twenty times in all.

Only what is computed for every row anyway is named: behind a CASE, what is divided or rooted may be an error elsewhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from sqlglot import exp

from kpiengine.plan.expressions import column, free, renamed
from kpiengine.plan.steps import Aggregate, Named, Plan, Select, Step

SAVED = 15
"""So many nodes less are worth a name."""
MANY = 100
"""Nodes that a step's expressions have in all, where it is worth looking."""
_PLAIN = (exp.Binary, exp.Unary, exp.Case, exp.If, exp.Coalesce, exp.Nullif, exp.Greatest, exp.Least, exp.Sqrt, exp.Pow,
          exp.Cast, exp.DataType, exp.Column, exp.Identifier, exp.Literal, exp.Null, exp.Boolean)  # fmt: skip

_NO_PARTS = (
    exp.Column,
    exp.Identifier,
    exp.Literal,
    exp.Null,
    exp.Boolean,
    exp.DataType,
    exp.Paren,
    exp.Predicate,
    exp.Not,
)
"""What gets no name: it is short, or is a condition, in which the values are what is long."""


def shared_named(plan: Plan) -> Plan:
    """The plan, with steps below those that compute the same thing more than once."""
    taken = {step.name for step in plan.steps}
    steps: list[Step] = []
    for step in plan.steps:
        steps += _with_parts_below(step, taken) if isinstance(step, Select) else [step]
    inputs: list[Select | Aggregate] = []
    for shown in plan.output.inputs:
        *below, over = _with_parts_below(shown, taken) if isinstance(shown, Select) else [shown]
        steps += below
        inputs.append(over)
    return replace(plan, steps=tuple(steps), output=replace(plan.output, inputs=tuple(inputs)))


def _with_parts_below(step: Select, taken: set[str]) -> list[Select]:
    if step.links or step.filters or step.distinct or not _is_long(c.expression for c in step.columns):
        return [step]
    trees = {c.name: _bare(c.expression, step.input) for c in step.columns}
    if not _is_plain(trees.values()):
        return [step]
    parts = _parts(trees)
    if not parts:
        return [step]
    below: list[Select] = []
    read, shown = step.input, tuple(Named(n, t) for n, t in trees.items())
    known = {c.name for tree in (*trees.values(), *parts.values()) for c in tree.find_all(exp.Column)} - set(parts)
    while parts:
        ready = {n: tree for n, tree in parts.items() if all(c.name in known for c in tree.find_all(exp.Column))}
        parts = {n: tree for n, tree in parts.items() if n not in ready}
        later = {c.name for tree in (*trees.values(), *parts.values()) for c in tree.find_all(exp.Column)}
        passed = tuple(Named(n, column(n)) for n in sorted(known & later))
        name = free(f"{step.input}_parts", taken)
        taken.add(name)
        below.append(Select(name, read, (*passed, *(Named(n, tree) for n, tree in ready.items()))))
        read, known = name, known | set(ready)
    return [*below, replace(step, input=read, columns=shown)]


def _is_long(trees: Iterable[exp.Expr]) -> bool:
    return sum(1 for tree in trees for _ in tree.walk()) >= MANY


def _bare(tree: exp.Expr, step: str) -> exp.Expr:
    return renamed(tree, lambda c: exp.column(c.this.copy()) if c.table == step else c)


def _is_plain(trees: Iterable[exp.Expr]) -> bool:
    """Whether expressions have nothing but arithmetic and conditions over one table's columns."""
    nodes = [node for tree in trees for node in tree.walk()]
    return all(isinstance(node, _PLAIN) and not (isinstance(node, exp.Column) and node.table) for node in nodes)


def _parts(trees: dict[str, exp.Expr]) -> dict[str, exp.Expr]:
    """What is computed again and again, by the names that it gets: it is a column of that name in `trees` and in the
    other parts afterwards."""
    whole = {tree.unnest(): name for name, tree in reversed(trees.items())}
    taken = {c.name for tree in trees.values() for c in tree.find_all(exp.Column)}
    always = {node for tree in trees.values() for node in _always(tree)}
    times = Counter(node for tree in trees.values() for node in tree.walk())
    sizes = {node: sum(1 for _ in node.walk()) for node in always if times[node] > 1}
    parts: dict[str, exp.Expr] = {}
    for part, size in sorted(sizes.items(), key=lambda item: -item[1]):
        places = [*trees.values(), *parts.values()]
        again = sum(node == part for tree in places for node in tree.walk()) - 1  # fewer where a greater part has it
        if again * size < SAVED:
            continue
        name = free(whole.get(part, "part"), taken)
        taken.add(name)
        for those in (trees, parts):
            those |= {n: _replaced(tree, part, column(name)) for n, tree in those.items()}
        parts[name] = part.copy()
    return parts


def _always(tree: exp.Expr) -> Iterator[exp.Expr]:
    """The expressions in a tree that are computed for each row, whatever the values."""
    if not isinstance(tree, _NO_PARTS):
        yield tree
    if isinstance(tree, exp.Case | exp.If):
        first = tree.this or tree.args["ifs"][0].this
        yield from _always(first)
    elif isinstance(tree, exp.Coalesce | exp.Connector):
        yield from _always(tree.this)
    else:
        for child in tree.iter_expressions():
            yield from _always(child)


def _replaced(tree: exp.Expr, part: exp.Expr, new: exp.Expr) -> exp.Expr:
    if tree.unnest() == part:
        return new.copy()
    tree = tree.copy()
    for node in [n for n in tree.walk() if n == part]:
        place = node.parent if isinstance(node.parent, exp.Paren) else node
        place.replace(new.copy())
    return tree
