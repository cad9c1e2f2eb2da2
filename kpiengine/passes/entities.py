"""What is asked of each entity's first row, from one row an entity in the place of all rows.

A customer is new in the month of the first order. Rows at that moment are found by joining every row with the first
time of its customer; but all that is then asked of them is a function of that time and of the customer. So one row a
customer, with the first time as the time, answers the same: no row is joined with anything.

    select month(t), count(distinct c) filter (where t = first_time) from rows join firsts using (c)  →
    select month(first_time), count(c) from firsts

Groups in which nobody is new stay: the other measures' rows, or the rows alone, say which groups there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlglot import exp

from kpiengine.passes.context import FEW_ROWS, Context, Lineage
from kpiengine.passes.groups import groups_of
from kpiengine.passes.trees import conjuncts, taken_apart
from kpiengine.plan.expressions import both_equal, column, not_null, renamed, with_filter
from kpiengine.plan.steps import Aggregate, Link, Named, Plan, Scan, Select, Step, Union
from kpiengine.records import dataclass

KEY = "key"


def entities(plan: Plan, context: Context) -> Plan:
    """Measures of entities' first rows, over one row an entity."""
    for joined in [step for step in plan.steps if isinstance(step, Select) and step.links]:
        for found in _firsts(plan, joined):
            rows = Lineage(plan, context).rows(joined.input)
            if context.always or (rows is not None and rows >= FEW_ROWS):
                plan = _rewritten(plan, found, Lineage(plan, context))
    return plan


@dataclass(frozen=True)
class _Firsts:
    """Joined rows whose entities, the values of `key`, have a first time in the column `first` of theirs.

    `keyed` are the aggregates by that key over the same rows as the first time's, by the alias that they are joined
    under. `levels` are the joined rows' columns that an entity settles, `time` is the one that `first` is a value of.
    """

    joined: Select
    key: exp.Column
    time: str
    first: str
    filters: tuple[exp.Expr, ...]
    keyed: dict[str, Aggregate]
    aliases: frozenset[str]

    @property
    def levels(self) -> frozenset[str]:
        """The names of columns that are one value an entity, at its first time."""
        own = {c.name for c in self.joined.columns if _table(c.expression) in self.aliases}
        return frozenset({*own, self.key.name, self.time})

    def settles(self, tree: exp.Expr) -> bool:
        """Whether an expression over the joined rows is settled by the entity, at its first time."""
        return all(c.name in self.levels for c in tree.find_all(exp.Column))

    @property
    def known(self) -> tuple[exp.Expr, ...]:
        """Conditions that a row is an entity's, and has a first time."""
        return not_null(self.key.copy()), not_null(column(self.time))

    def is_at_first(self, condition: exp.Expr) -> bool:
        """Whether a condition says that a row is one at the entity's first time."""
        if not isinstance(condition, exp.EQ):
            return False
        sides = {side.name if isinstance(side, exp.Column) else "" for side in (condition.left, condition.right)}
        return sides == {self.time, self.first}

    def left(self, conditions: Iterable[exp.Expr]) -> list[exp.Expr] | None:
        """What conditions of rows at the first time ask of the entity; None where they ask more of the rows.

        What the first time's own rows had to pass holds for one of them.
        """
        found: list[exp.Expr] = []
        for condition in (part for whole in conditions for part in conjuncts(whole)):
            if self.is_at_first(condition) or condition in self.filters:
                continue
            if not self.settles(condition):
                return None
            found.append(condition)
        return found

    def all_of_rows(self, conditions: Iterable[exp.Expr]) -> bool:
        """Whether each entity with a row that passes has a first time: what first times asked, the rows ask, too."""
        asked = [part for whole in conditions for part in conjuncts(whole)]
        return all(f in asked or f == not_null(self.key.copy()) for f in self.filters)


def _table(tree: exp.Expr) -> str:
    return tree.table if isinstance(tree, exp.Column) else ""


def _firsts(plan: Plan, joined: Select) -> list[_Firsts]:
    """Each first time that the joined rows have a column of."""
    steps = {step.name: step for step in plan.steps}
    found: list[_Firsts] = []
    for link in joined.links:
        keyed = steps.get(link.step)
        key = _joined_by(joined, link)
        if key is None or not isinstance(keyed, Aggregate) or not _is_keyed(keyed, joined, key):
            continue
        same = {
            other.alias: step
            for other in joined.links
            if _joined_by(joined, other) == key
            and isinstance(step := steps.get(other.step), Aggregate)
            and _is_keyed(step, joined, key)
            and step.filters == keyed.filters
        }
        filters = tuple(part for whole in keyed.filters for part in conjuncts(whole))
        for measure in keyed.measures:
            time = measure.expression.this if isinstance(measure.expression, exp.Min) else None
            first = next((c.name for c in joined.columns if c.expression == column(measure.name, link.alias)), None)
            if isinstance(time, exp.Column) and first is not None:
                aliases = frozenset(_settled(joined, key))
                found.append(_Firsts(joined, key, time.name, first, filters, same, aliases))
    return found


def _joined_by(joined: Select, link: Link) -> exp.Column | None:
    """The column of the rows that a link to a step with a column `key` holds against it."""
    if len(link.on) != 1 or link.required or not isinstance(on := link.on[0], exp.EQ):
        return None
    left, right = on.left, on.right
    fits = isinstance(left, exp.Column) and left.table == joined.input and right == exp.column(KEY, table=link.alias)
    return exp.column(left.this.copy()) if fits else None


def _is_keyed(step: Aggregate, joined: Select, key: exp.Column) -> bool:
    same_rows = step.input == joined.input and not step.links
    return same_rows and [(k.name, k.expression) for k in step.keys] == [(KEY, key)]


def _settled(joined: Select, key: exp.Column) -> list[str]:
    """The aliases of links that a row's key alone leads to."""
    found: list[str] = []
    for link in joined.links:
        columns = [c for on in link.on for c in on.find_all(exp.Column)]
        by_key = all(c.name == key.name for c in columns if c.table == joined.input)
        if by_key and not link.required and all(c.table in (joined.input, link.alias, *found) for c in columns):
            found.append(link.alias)
    return found


def _rewritten(plan: Plan, firsts: _Firsts, lineage: Lineage) -> Plan:
    """The plan in which what reads the joined rows at first times reads a row an entity."""
    source = firsts.joined.input.removesuffix("_rows")
    rows = lineage.unique(f"{source}_first_by_{firsts.key.name}".lower())
    made: dict[str, list[Step]] = {}
    for step in plan.steps:
        if isinstance(step, Aggregate) and step.input == firsts.joined.name and not step.links:
            new = _inner_level(step, firsts, rows) or _level(step, firsts, rows, lineage)
            if new is not None:
                made[step.name] = new
    if not made:
        return plan
    for step in [step for step in plan.steps if isinstance(step, Aggregate) and not step.links]:
        inner = made.get(step.input, [step])[0]
        if isinstance(inner, Select):
            made[step.name] = [_collapsed(step, inner)]
    merged = lineage.unique(f"{source}_by_{firsts.key.name}".lower())
    made |= _projections(firsts, merged)
    made[next(iter(firsts.keyed.values())).name].insert(0, _merged(firsts, merged))
    made[firsts.joined.name] = [firsts.joined, _entities(firsts, rows, merged)]
    scan = lineage.steps[firsts.joined.input]
    looked_for = any(isinstance(step, Union) for steps in made.values() for step in steps)
    if isinstance(scan, Scan) and looked_for:
        made[scan.name] = [replace(scan, kept=False)]  # kept, all rows are read for a few groups that often are none
    return replace(plan, steps=tuple(s for step in plan.steps for s in made.get(step.name, [step])))


# -- one row an entity


def _merged(firsts: _Firsts, name: str) -> Aggregate:
    """All that is known of an entity, in one pass. Rows without an entity make a row, too, which nothing meets."""
    one = next(iter(firsts.keyed.values()))
    filters = tuple(f for f in one.filters if f != not_null(firsts.key.copy()))
    values = {f"{alias}_{m.name}": m.expression for alias, step in firsts.keyed.items() for m in step.measures}
    return replace(one, name=name, measures=tuple(Named(n, e) for n, e in values.items()), filters=filters)


def _projections(firsts: _Firsts, merged: str) -> dict[str, list[Step]]:
    """The aggregates by key as they were, for whatever else reads them."""
    return {
        step.name: [
            Select(
                step.name, merged,
                (Named(KEY, column(KEY)), *(Named(m.name, column(f"{alias}_{m.name}")) for m in step.measures)),
            )
        ]
        for alias, step in firsts.keyed.items()
    }  # fmt: skip


def _entities(firsts: _Firsts, name: str, merged: str) -> Select:
    """A row an entity, with the columns that the joined rows have of it, its first time in the place of the time."""
    joined = firsts.joined

    def of_entity(node: exp.Column) -> exp.Expr:
        if node.table == joined.input:
            return column(KEY, merged)
        return column(f"{node.table}_{node.name}", merged) if node.table in firsts.keyed else node

    columns: list[Named] = []
    for each in joined.columns:
        if each.name == firsts.time:
            first = next(c.expression for c in joined.columns if c.name == firsts.first)
            columns.append(Named(each.name, renamed(first, of_entity)))
        elif each.name in firsts.levels:
            columns.append(Named(each.name, renamed(each.expression, of_entity)))
    links = tuple(
        replace(link, on=tuple(renamed(on, of_entity) for on in link.on))
        for link in joined.links
        if link.alias in firsts.aliases and link.alias not in firsts.keyed
    )
    return Select(name, merged, tuple(columns), links)


# -- what reads it


def _inner_level(step: Aggregate, firsts: _Firsts, rows: str) -> list[Step] | None:
    """The inner level of two, `per(customer, max(…))` at first times: a group has one entity, and so one row."""
    if firsts.key not in [k.expression for k in step.keys] or not _at_first(step.filters, firsts):
        return None
    conditions = firsts.left(step.filters)
    values = [m.expression.this for m in step.measures if isinstance(m.expression, exp.Max | exp.Min)]
    settled = all(firsts.settles(tree) for tree in (*(k.expression for k in step.keys), *values))
    if conditions is None or len(values) < len(step.measures) or not settled:
        return None
    columns = (*step.keys, *(Named(m.name, v.copy()) for m, v in zip(step.measures, values, strict=True)))
    return [Select(step.name, rows, columns, filters=(*firsts.known, *conditions))]


def _collapsed(step: Aggregate, inner: Select) -> Aggregate:
    """An aggregate of the rows of `inner`, a choice of an entity's columns, over the entities themselves: what is asked
    of the same groups is then taken in one pass."""
    columns = {c.name: c.expression for c in inner.columns}

    def of_entity(tree: exp.Expr) -> exp.Expr:
        return renamed(tree, lambda c: columns[c.name].copy())

    keys = tuple(Named(k.name, of_entity(k.expression)) for k in step.keys)
    measures = tuple(Named(m.name, of_entity(m.expression)) for m in step.measures)
    filters = (*inner.filters, *(of_entity(f) for f in step.filters))
    return replace(step, input=inner.input, keys=keys, measures=measures, filters=filters)


def _at_first(filters: Iterable[exp.Expr], firsts: _Firsts) -> bool:
    return any(firsts.is_at_first(part) for whole in filters for part in conjuncts(whole))


def _level(step: Aggregate, firsts: _Firsts, rows: str, lineage: Lineage) -> list[Step] | None:
    """An aggregate that counts entities at their first times, among others."""
    conditions = firsts.left(step.filters)
    if conditions is None or not all(firsts.settles(k.expression) for k in step.keys):
        return None
    all_first = _at_first(step.filters, firsts)
    counted = {m.name: tree for m in step.measures if (tree := _count(m.expression, firsts, all_first)) is not None}
    if not counted or (all_first and len(counted) < len(step.measures)):
        return None
    known = (*firsts.known, *conditions)
    of_entities = Aggregate(step.name, rows, step.keys, tuple(Named(n, t) for n, t in counted.items()), known)
    if all_first or (not step.keys and len(counted) == len(step.measures)):
        return [of_entities]
    of_entities = replace(of_entities, name=lineage.unique(f"{step.name}_firsts"))
    others = tuple(m for m in step.measures if m.name not in counted)
    of_rows = replace(step, name=lineage.unique(f"{step.name}_rows"), measures=others)
    groups = None
    if not others and firsts.all_of_rows(step.filters) and not lineage.context.on_cluster:  # else `seen` has them
        groups = groups_of(of_rows, of_entities, column(firsts.time), firsts.key, lineage)
    return [of_entities, *(groups or [of_rows]), _together(step, of_rows.name, of_entities.name, counted)]


def _count(measure: exp.Expr, firsts: _Firsts, all_first: bool) -> exp.Expr | None:
    """`count(distinct key) filter (where time = first)` over a row an entity; None for any other measure."""
    call, conditions = taken_apart(measure)
    if not isinstance(call, exp.Count) or not isinstance(call.this, exp.Distinct):
        return None
    if call.this.expressions != [firsts.key] or not (all_first or _at_first(conditions, firsts)):
        return None
    left = firsts.left(conditions)
    return None if left is None else with_filter(exp.Count(this=firsts.key.copy()), left)


def _together(step: Aggregate, rows: str, counts: str, counted: dict[str, exp.Expr]) -> Select:
    """The groups of the rows with the counts of entities beside, 0 where there are none."""

    def value(name: str) -> exp.Expr:
        if name not in counted:
            return column(name, rows)
        return exp.Coalesce(this=column(name, counts), expressions=[exp.Literal.number(0)])

    on: Sequence[exp.Expr] = [both_equal(column(k.name, rows), column(k.name, counts)) for k in step.keys]
    keys = [Named(k.name, column(k.name, rows)) for k in step.keys]
    columns = (*keys, *(Named(m.name, value(m.name)) for m in step.measures))
    return Select(step.name, rows, columns, (Link(counts, counts, tuple(on) or (exp.true(),)),))
