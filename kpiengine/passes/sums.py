"""Counts of which the sum alone is read, as one count.

    each: select month, count(*) filter (where a) as x, count(*) filter (where b) as y, count(*) filter (where c) as z …
    read: select x / (x + y + z) from each   →
    each: select month, count(*) filter (where a) as x, sum(1 if b, plus 1 if c) as y …
    read: select x / (x + y) from each

Satisfaction counts five answers, and reads how many are good, and how many there are: two counts are sent, not five.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlglot import exp

from kpiengine.passes.context import Context
from kpiengine.passes.prune import reads
from kpiengine.passes.trees import taken_apart
from kpiengine.plan.expressions import all_of, column, free, not_null, renamed, whole_number
from kpiengine.plan.steps import Aggregate, Named, Output, Plan, Select, Step

Reader = Select | Aggregate


def sums(plan: Plan, context: Context) -> Plan:
    """Counts that are read together, and never apart, as one measure each."""
    if not context.on_cluster:
        return plan
    for step in [s for s in plan.steps if isinstance(s, Aggregate)]:
        counts = {m.name: told for m in step.measures if (told := _indicator(m.expression)) is not None}
        for names in _together(plan, step.name, set(counts)) if len(counts) > 1 else []:
            plan = _as_one(plan, step.name, names, _sum([counts[name] for name in names]))
    return plan


def _indicator(measure: exp.Expr) -> exp.Expr | None:
    """1 for a row that a measure counts, 0 for others; None for a measure that is no count of rows."""
    call, conditions = taken_apart(measure)
    if isinstance(call, exp.CountIf):
        conditions = [*conditions, call.this]
    elif not isinstance(call, exp.Count) or call.expressions or isinstance(call.this, exp.Distinct):
        return None
    elif not isinstance(call.this, exp.Star | exp.Literal):
        conditions = [*conditions, not_null(call.this.copy())]
    one, held = exp.Literal.number(1), all_of(conditions)
    return one if held is None else exp.Case(ifs=[exp.If(this=held, true=one)], default=exp.Literal.number(0))


def _together(plan: Plan, step: str, counts: set[str]) -> list[list[str]]:
    """Those of a step's counts that stand in the same sums, wherever they stand."""
    places: dict[str, list[int]] = {name: [] for name in counts}
    apart: set[str] = set()
    summed: list[list[str]] = []
    for reader in (*plan.steps, plan.output):
        selects = _selects(reader)
        for each in selects:
            for tree in _trees(each):
                summed += _sums(tree, _tables(each, step), counts)
        for name, read in reads(reader):
            if name == step and (read is None or not selects):  # what it makes of them is not looked at
                apart |= counts if read is None else read
    for number, names in enumerate(summed):
        for name in names:
            places[name].append(number)
    alike: dict[tuple[int, ...], list[str]] = {}
    for name in sorted(counts - apart):
        if places[name]:
            alike.setdefault(tuple(places[name]), []).append(name)
    return [names for names in alike.values() if len(names) > 1]


def _selects(step: Step | Output) -> Sequence[Reader]:
    if isinstance(step, Output):
        return step.inputs
    return [step] if isinstance(step, Select | Aggregate) else []


def _tables(reader: Reader, step: str) -> set[str]:
    """What a step is called in the expressions of one that reads it; nothing where that reads another."""
    found = {link.alias for link in reader.links if link.step == step}
    return {*found, step, ""} if reader.input == step else {*found, ""} if found else found


def _trees(reader: Reader) -> Iterator[exp.Expr]:
    made = reader.columns if isinstance(reader, Select) else (*reader.keys, *reader.measures)
    yield from (named.expression for named in made)
    yield from reader.filters
    yield from (on for link in reader.links for on in link.on)


def _sums(tree: exp.Expr, tables: set[str], counts: set[str]) -> Iterator[list[str]]:
    """The sums of nothing but counts in a tree, each as its summands; a count by itself is one, too."""
    summands = _summands(tree, tables, counts)
    if summands is not None:
        yield summands
        return
    for child in tree.iter_expressions():
        yield from _sums(child, tables, counts)


def _summands(tree: exp.Expr, tables: set[str], counts: set[str]) -> list[str] | None:
    bare = tree.unnest()
    if isinstance(bare, exp.Add):
        left, right = (_summands(side, tables, counts) for side in (bare.left, bare.right))
        return None if left is None or right is None else [*left, *right]
    return [bare.name] if isinstance(bare, exp.Column) and bare.table in tables and bare.name in counts else None


def _as_one(plan: Plan, step: str, names: Sequence[str], whole: exp.Expr) -> Plan:
    """The plan in which `whole` stands in the place of the first of the names, and the others are gone."""
    counted = next(each for each in plan.steps if isinstance(each, Aggregate) and each.name == step)
    name = free(f"{names[0]}_and_more", [n.name for n in (*counted.keys, *counted.measures)])

    def without(reader: Reader) -> Reader:
        tables = _tables(reader, step)
        if not tables:
            return reader

        def made(part: Sequence[Named]) -> tuple[Named, ...]:
            return tuple(Named(n.name, _less(n.expression, tables, names, name)) for n in part)

        def less(trees: Sequence[exp.Expr]) -> tuple[exp.Expr, ...]:
            return tuple(_less(tree, tables, names, name) for tree in trees)

        filters, links = less(reader.filters), tuple(replace(link, on=less(link.on)) for link in reader.links)
        if isinstance(reader, Select):
            return replace(reader, columns=made(reader.columns), links=links, filters=filters)
        return replace(reader, keys=made(reader.keys), measures=made(reader.measures), links=links, filters=filters)

    kept = [Named(name, whole) if m.name == names[0] else m for m in counted.measures if m.name not in names[1:]]
    steps: list[Step] = []
    for each in plan.steps:
        if each is counted:
            steps.append(replace(counted, measures=tuple(kept)))
        else:
            steps.append(without(each) if isinstance(each, Select | Aggregate) else each)
    output = replace(plan.output, inputs=tuple(without(each) for each in plan.output.inputs))
    return replace(plan, steps=tuple(steps), output=output)


def _sum(indicators: Sequence[exp.Expr]) -> exp.Expr:
    """The sum of indicators over all rows: 0 where there are none."""
    each = indicators[0].copy()
    for more in indicators[1:]:
        each = exp.Add(this=each, expression=more.copy())
    return whole_number(exp.Coalesce(this=exp.Sum(this=each), expressions=[exp.Literal.number(0)]))


def _less(tree: exp.Expr, tables: set[str], names: Sequence[str], name: str) -> exp.Expr:
    """A copy of a tree in whose sums the first of the names is called `name`, and the others are left out."""

    def is_gone(node: exp.Expr) -> bool:
        bare = node.unnest()
        return isinstance(bare, exp.Column) and bare.table in tables and bare.name in names[1:]

    root = exp.Paren(this=tree.copy())
    for node in reversed(list(root.find_all(exp.Add))):  # the innermost first
        if is_gone(node.right) or is_gone(node.left):
            node.replace(node.left if is_gone(node.right) else node.right)
    return renamed(
        root.this, lambda c: column(name, c.table or None) if c.table in tables and c.name == names[0] else c
    )
