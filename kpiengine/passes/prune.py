"""No work for what nobody reads: columns of kinds' tables, and joins whose columns are not asked for.

A link keeps the rows as they are (a LEFT JOIN to a unique key), so without its columns it can go. Scores that nobody
asks for are not computed, and the sorts that they stand on not done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from sqlglot import exp

from kpiengine.kind import Cte
from kpiengine.passes.context import Context
from kpiengine.passes.given import Read, gives_one_row, narrowed, reads_of
from kpiengine.plan.steps import Aggregate, Given, Named, Output, Part, Plan, Select, Series, Step, Stitch, Union


def prune(plan: Plan, context: Context) -> Plan:
    """Joined rows without the columns that no step reads, and without the links that are then for nothing."""
    steps: list[Step] = []
    read: dict[str, set[str] | None] = {}
    for reader, names in reads(plan.output):
        _note(read, reader, names)
    one_row = _of_one_row(plan)
    for step in reversed(plan.steps):
        new = _pruned(step, read[step.name], one_row) if step.name in read else None
        if new is None:
            continue
        for reader, names in reads(new):
            _note(read, reader, names)
        steps.append(new)
    checked = {check.step for check in plan.checks}
    kept = {step.name for step in steps}
    lost = [step for step in plan.steps if step.name in checked and step.name not in kept]
    order = {step.name: place for place, step in enumerate(plan.steps)}
    return replace(plan, steps=tuple(sorted([*steps, *lost], key=lambda step: order[step.name])))


def _note(read: dict[str, set[str] | None], step: str, names: set[str] | None) -> None:
    """Notes which columns of a step are read; None: all of them."""
    known = read.get(step, set())
    read[step] = None if names is None or known is None else known | names


def _of_one_row(plan: Plan) -> dict[str, set[str]]:
    """The columns of the steps that are sure to give one row."""
    found: dict[str, set[str]] = {}
    for step in plan.steps:
        if isinstance(step, Given) and step.table is None and gives_one_row(step.query):
            found[step.name] = {column.alias_or_name for column in step.query.expressions}
    return found


def _pruned(step: Step, read: set[str] | None, one_row: Mapping[str, set[str]]) -> Step:
    if isinstance(step, Given) and isinstance(step.made, Cte) and read is not None:
        return Given(replace(step.made, query=narrowed(step.query, read, one_row)))
    if not isinstance(step, Select) or not step.links or step.distinct or read is None:
        return step
    columns = tuple(c for c in step.columns if c.name in read) or step.columns[:1]
    links = list(step.links)
    for link in reversed(step.links):
        beside = [*(c.expression for c in columns), *step.filters, *(on for x in links if x is not link for on in x.on)]
        if not link.required and not any(c.table == link.alias for tree in beside for c in tree.find_all(exp.Column)):
            links.remove(link)
    return replace(step, columns=columns, links=tuple(links))


def reads(step: Step | Output) -> Iterator[Read]:
    """The steps that a step reads, with the columns that it reads of each."""
    match step:
        case Select() | Aggregate():
            yield from _reads_of_rows(step)
        case Union() | Output():
            for each in step.inputs:
                yield from _reads_of_rows(each)
            trees = step.filters if isinstance(step, Output) else ()
            yield from _tables(trees)
        case Stitch():
            for part in step.parts:
                yield _of_part(step, part)
        case Series():
            yield step.bounds, {"low", "high"}
        case Given() if step.table is None:  # rows read no step, and written out they would be long
            yield from reads_of(step.query)


def _of_part(step: Stitch, part: Part) -> Read:
    return part.step, {*step.keys, *part.columns}


def _reads_of_rows(step: Select | Aggregate) -> Iterator[Read]:
    made: Iterable[Named] = step.columns if isinstance(step, Select) else (*step.keys, *step.measures)
    trees = [*(named.expression for named in made), *step.filters, *(on for link in step.links for on in link.on)]
    columns = [c for tree in trees for c in tree.find_all(exp.Column)]
    yield step.input, {c.name for c in columns if c.table in ("", step.input)}
    for link in step.links:
        yield link.step, {c.name for c in columns if c.table in ("", link.alias)}
    yield from _tables(trees)


def _tables(trees: Iterable[exp.Expr]) -> Iterator[Read]:
    """Whole steps that queries inside of expressions read."""
    for tree in trees:
        for table in tree.find_all(exp.Table):
            yield table.name, None
