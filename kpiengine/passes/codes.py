"""Texts of a joined table as small numbers while rows are grouped by them; the groups get their texts back.

    select day(time), city, sum(amount) from orders left join customers … group by …  →
    texts: select distinct city from customers where city is not null
    codes: select city, row_number() over (order by city) as city_code from texts
    coded: select id, city_code from customers left join codes …
    each:  select day(time), city_code, sum(amount) from orders left join coded … group by …
    each with the city, from codes

A text behind a join is hashed and compared for each row, which takes twice what a number does. The pass comes after
`inner`, which knows tables as they are joined, and no others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlglot import exp

from kpiengine.passes.context import FEW_ROWS, Context, Lineage
from kpiengine.passes.prune import reads
from kpiengine.plan.expressions import column, free, not_null
from kpiengine.plan.steps import Aggregate, Link, Named, Plan, Select, Step
from kpiengine.records import dataclass

FEW_TEXTS = 1_000
"""To number more texts, and to find those of groups again, costs what numbers win."""
FEW_JOINED = 10_000
"""A table of so many rows has no more texts than that, and is numbered in no time."""
ROWS_A_JOINED = 2
"""Numbers pay where at least so many rows are grouped for each row of the table that is given one."""


def codes(plan: Plan, context: Context) -> Plan:
    """Aggregates by texts that are joined, over the texts' numbers."""
    while True:
        lineage = Lineage(plan, context)
        found = next(_found(plan, lineage), None)
        if found is None:
            return plan
        plan = _Coded(found, lineage).plan(plan)


@dataclass(frozen=True)
class _Found:
    """A text of a joined table: `column` of the step `joined`, that comes by `link`. `groups` have it as a key."""

    joined: Select
    column: Named
    link: Link
    groups: tuple[Aggregate, ...]

    @property
    def text(self) -> str:
        """Its name in the table."""
        return str(self.column.expression.name)


def _found(plan: Plan, lineage: Lineage) -> Iterator[_Found]:
    for step in plan.steps:
        if not isinstance(step, Select) or step.distinct or step.sorted_by:
            continue
        links = {link.alias: link for link in step.links}
        for each in step.columns:
            link = links.get(each.expression.table) if isinstance(each.expression, exp.Column) else None
            if link is not None and _pays(step, link.step, each.expression, lineage):
                groups = _groups_by(each.name, step.name, plan)
                if groups:
                    yield _Found(step, each, link, groups)


def _pays(step: Select, table: str, text: exp.Expr, lineage: Lineage) -> bool:
    """Whether a column of a joined table is a text, one of few, and its rows are few for those of the step."""
    origin, context = lineage.origin(table, text.name), lineage.context
    if origin is None or context.type_of(*origin) != "VARCHAR":
        return False
    if context.always:
        return True
    rows, joined = lineage.rows(step.input), context.known.rows(origin[0])
    if rows is None or joined is None or rows < max(FEW_ROWS, ROWS_A_JOINED * joined):
        return False
    texts = context.known.distinct(*origin)
    return joined <= FEW_JOINED or (texts is not None and texts <= FEW_TEXTS)


def _groups_by(name: str, step: str, plan: Plan) -> tuple[Aggregate, ...]:
    """The aggregates that have a step's column as a key; none where anything else is asked of it."""
    found: list[Aggregate] = []
    for reader in (*plan.steps, plan.output):
        for read, columns in reads(reader):
            if read == step and (columns is None or name in columns):
                if not isinstance(reader, Aggregate) or not _has_as_key(reader, name):
                    return ()
                found.append(reader)
    return tuple(found)


def _has_as_key(step: Aggregate, name: str) -> bool:
    """Whether a step's only use of a column is as a key of its own."""
    if step.links:
        return False
    trees = [*(n.expression for n in (*step.keys, *step.measures)), *step.filters]
    uses = [tree for tree in trees if any(c.name == name for c in tree.find_all(exp.Column))]
    return len(uses) == 1 and isinstance(uses[0], exp.Column) and any(k.expression is uses[0] for k in step.keys)


class _Coded:
    """The plan in which `found` is a number."""

    def __init__(self, found: _Found, lineage: Lineage) -> None:
        self.found = found
        table, text = found.link.step, found.text
        of = table.removesuffix("_rows").removesuffix("_coded")
        self.texts = lineage.unique(f"{of}_{text}_texts")
        self.codes = lineage.unique(f"{of}_{text}_codes")
        self.coded = lineage.unique(f"{of}_coded")
        self.read = [*dict.fromkeys(c.name for c in self._read())]
        self.code = free(f"{text}_code", [*self.read, text])
        self.column = free(f"{found.column.name}_code", (c.name for c in found.joined.columns))
        self.grouped = {a.name: lineage.unique(f"{a.name.removesuffix('_coded')}_coded") for a in found.groups}

    def plan(self, plan: Plan) -> Plan:
        """All steps, those of the numbers before the first that reads them."""
        steps: list[Step] = []
        for step in plan.steps:
            if step is self.found.joined:
                steps += [*self._numbers(), self._joined()]
            elif isinstance(step, Aggregate) and step.name in self.grouped:
                steps += self._groups(step)
            else:
                steps.append(step)
        return replace(plan, steps=tuple(steps))

    def _read(self) -> Iterator[exp.Column]:
        """What the step reads of the table beside the text that becomes a number."""
        found = self.found
        trees = [c.expression for c in found.joined.columns if c is not found.column]
        trees += [*found.joined.filters, *(on for link in found.joined.links for on in link.on)]
        return (c for tree in trees for c in tree.find_all(exp.Column) if c.table == found.link.alias)

    def _numbers(self) -> list[Select]:
        text, table = self.found.text, self.found.link.step
        known = Named(text, column(text))
        order = exp.Order(expressions=[exp.Ordered(this=column(text), nulls_first=False)])
        number = exp.cast(exp.Window(this=exp.RowNumber(), order=order), "INTEGER")
        same = exp.EQ(this=column(text, table), expression=column(text, self.codes))
        kept = (Named(name, column(name, table)) for name in self.read)
        return [
            Select(self.texts, table, (known,), filters=(not_null(column(text)),), distinct=True),
            Select(self.codes, self.texts, (known, Named(self.code, number))),
            Select(
                self.coded, table, (*kept, Named(self.code, column(self.code, self.codes))),
                (Link(self.codes, self.codes, (same,)),),
            ),
        ]  # fmt: skip

    def _joined(self) -> Select:
        found = self.found
        number = Named(self.column, column(self.code, found.link.alias))
        return replace(
            found.joined,
            columns=tuple(number if c is found.column else c for c in found.joined.columns),
            links=tuple(replace(e, step=self.coded) if e is found.link else e for e in found.joined.links),
        )

    def _groups(self, step: Aggregate) -> list[Step]:
        """The groups by number, and the same with the text."""
        name = self.grouped[step.name]
        place = next(k for k in step.keys if k.expression.name == self.found.column.name)
        key = Named(free(f"{place.name}_code", (n.name for n in (*step.keys, *step.measures))), column(self.column))
        keys = tuple(key if k is place else k for k in step.keys)
        same = exp.EQ(this=column(key.name, name), expression=column(self.code, self.codes))
        columns = [
            Named(n.name, column(self.found.text, self.codes) if n is place else column(n.name, name))
            for n in (*step.keys, *step.measures)
        ]
        return [
            replace(step, name=name, keys=keys),
            Select(step.name, name, tuple(columns), (Link(self.codes, self.codes, (same,)),)),
        ]
