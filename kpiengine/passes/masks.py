"""Distinct counts by period from one mask of bits a value: bit n says that the value is there in period n.

    select month(time), channel, count(distinct customer) … from orders left join customers …  →
    each:    select customer, bit_or(1 << place of month(time)) as mask from orders group by customer
    joined:  select channel, mask from each left join customers …
    counted: select channel, unnest(months), unnest([sum(bit 0), sum(bit 1), …]) from joined group by channel

Rows are grouped once, by a key that repeats, whatever the number of periods and of conditions. What is reached by the
counted value is joined after grouping. Places of periods come from proven bounds; a row out of them is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

from sqlglot import exp

from kpiengine.passes.context import FEW_ROWS, Context, Lineage
from kpiengine.passes.periods import Periods, periods_of
from kpiengine.passes.trees import taken_apart
from kpiengine.plan.expressions import all_of, both_equal, column, free, not_null, renamed, whole_number, with_filter
from kpiengine.plan.steps import Aggregate, Link, Named, Plan, Select, Step
from kpiengine.records import dataclass

MOST_PERIODS = 63
"""The bits of a BIGINT without its sign, which stands for rows without a time."""
SIGN = 63
ROWS_A_MASK = 2
"""Masks pay where at least so many rows share one, by what is known of the values."""
CHANGED = (
    "a time lies outside of what its Parquet file says of itself: the file has changed meanwhile (ask again), or was "
    "written with wrong statistics (KPI_PASSES=-masks does without them)"
)
Renaming = Callable[[exp.Expr], exp.Expr]


def masks(plan: Plan, context: Context) -> Plan:
    """Distinct counts by period, from one mask a value."""
    lineage = Lineage(plan, context)
    steps: list[Step] = []
    for step in plan.steps:
        asked = _asked(step, lineage) if isinstance(step, Aggregate) and not step.links else None
        steps += _Masks(asked, lineage).steps() if asked is not None else [step]
    return replace(plan, steps=tuple(steps))


@dataclass(frozen=True)
class _Asked:
    """What is asked of an aggregate: the value of which distinct ones are counted, the measures that do so with their
    conditions, its key that is a period, its other keys, and the links by which those are reached from the value alone
    (None where they are not)."""

    step: Aggregate
    value: exp.Column
    counts: dict[str, tuple[exp.Expr, ...]]
    period: str
    periods: Periods
    dims: tuple[Named, ...]
    late: tuple[Link, ...] | None

    @property
    def alone(self) -> bool:
        """Whether nothing else is measured: then the masks have to tell which groups there are, too."""
        return len(self.counts) == len(self.step.measures)


def _asked(step: Aggregate, lineage: Lineage) -> _Asked | None:
    """None where there is no distinct count by period in it, or a mask does not pay."""
    counts: dict[str, tuple[exp.Expr, ...]] = {}
    values: dict[exp.Expr, None] = {}
    for measure in step.measures:
        call, conditions = taken_apart(measure.expression)
        if isinstance(call, exp.Count) and isinstance(call.this, exp.Distinct):
            counts[measure.name] = tuple(conditions)
            values |= dict.fromkeys(call.this.expressions)
    if not step.measures and (reaching := _reaching(step, lineage)) is not None:
        values[reaching] = None
    value = next(iter(values), None)
    if len(values) != 1 or not isinstance(value, exp.Column):
        return None
    for key in step.keys:
        periods = periods_of(key.expression, step.input, lineage, MOST_PERIODS)
        if periods is not None:
            dims = tuple(k for k in step.keys if k is not key)
            looked_at = [value, periods.number, *step.filters, *(c for cs in counts.values() for c in cs)]
            late = _late(lineage.steps[step.input], dims, value, looked_at)
            asked = _Asked(step, value, counts, key.name, periods, dims, late)
            return asked if _pays(asked, lineage) else None
    return None


def _reaching(step: Aggregate, lineage: Lineage) -> exp.Column | None:
    """Of groups alone, without a measure: the rows' column by which a joined dimension is reached."""
    source = lineage.steps.get(step.input)
    if not isinstance(source, Select):
        return None
    made = {c.name: c.expression for c in source.columns}
    tables = {m.table for k in step.keys if isinstance(m := made.get(k.expression.name), exp.Column)}
    for link in source.links:
        for own in (c for on in link.on for c in on.find_all(exp.Column) if c.table == source.input):
            if link.alias in tables:
                return next((column(n) for n, e in made.items() if e == own), None)
    return None


def _pays(asked: _Asked, lineage: Lineage) -> bool:
    if lineage.context.always:
        return True
    step = asked.step.input
    beside = [] if asked.late is not None else [d.expression for d in asked.dims]
    groups = [lineage.distinct(step, tree) for tree in (asked.value, *beside)]
    rows = lineage.rows(step)
    if rows is None or rows < FEW_ROWS or any(g is None for g in groups):
        return False
    return prod(g or 1 for g in groups) * ROWS_A_MASK <= rows


def _late(
    source: Step, dims: tuple[Named, ...], value: exp.Column, looked_at: list[exp.Expr]
) -> tuple[Link, ...] | None:
    """The links that reach all dimensions from the counted value alone, where masks need no other link."""
    if not isinstance(source, Select) or source.distinct or source.filters or not dims:
        return None
    own = {c.name: c.expression for c in source.columns}

    def table(tree: exp.Expr) -> str:
        made = own.get(tree.name) if isinstance(tree, exp.Column) else None
        return made.table if isinstance(made, exp.Column) else ""

    if any(table(c) != source.input for tree in looked_at for c in tree.find_all(exp.Column)):
        return None
    needed = {table(d.expression) for d in dims}
    by_alias = {link.alias: link for link in source.links}
    waiting = list(needed)
    while waiting:
        link = by_alias.get(waiting.pop())
        if link is None or link.required:
            return None
        for each in (c for on in link.on for c in on.find_all(exp.Column) if c.table != link.alias):
            if each.table == source.input:
                if each != own[value.name]:
                    return None
            elif each.table not in needed:
                needed.add(each.table)
                waiting.append(each.table)
    return tuple(link for link in source.links if link.alias in needed)


class _Masks:
    def __init__(self, asked: _Asked, lineage: Lineage) -> None:
        self.asked = asked
        self.lineage = lineage
        keys = {k.name for k in asked.step.keys}
        taken = keys | {m.name for m in asked.step.measures}
        self.masks = {name: free(f"{name}_{asked.period}s", taken) for name in asked.counts}
        self.there = free(f"{asked.period}s_seen", [*taken, *self.masks.values()])
        self.value = free(asked.value.name, [*taken, *self.masks.values(), self.there])
        of = asked.step.name.split("_by_")[0]
        beside = [] if asked.late is not None else [d.name for d in asked.dims]
        self.each = lineage.unique(f"{of}_{asked.period}s_by_{'_'.join([asked.value.name, *beside])}".lower())

    def steps(self) -> list[Step]:
        """The steps that stand in the aggregate's place; the last bears its name."""
        step = self.asked.step
        before: list[Step] = [self._masked(), self._joined()]
        counted = self._counted(before[-1].name)
        if self.asked.alone:
            shown = tuple(Named(n.name, column(n.name)) for n in (*step.keys, *step.measures))
            seen = exp.GT(this=column(self.there), expression=exp.Literal.number(0))
            return [*before, counted, Select(step.name, counted.name, shown, filters=(seen,))]
        rest = tuple(m for m in step.measures if m.name not in self.asked.counts)
        others = replace(step, name=self.lineage.unique(f"{step.name}_rest"), measures=rest)
        return [*before, counted, others, self._together(others.name, counted.name)]

    def _together(self, others: str, counted: str) -> Select:
        """The counts beside the other measures; 0 where no value was seen."""
        step = self.asked.step
        columns = [Named(k.name, column(k.name, others)) for k in step.keys]
        for measure in step.measures:
            found: exp.Expr = column(measure.name, others)
            if measure.name in self.asked.counts:
                found = exp.Coalesce(this=column(measure.name, counted), expressions=[exp.Literal.number(0)])
            columns.append(Named(measure.name, found))
        on = tuple(both_equal(column(k.name, others), column(k.name, counted)) for k in step.keys)
        return Select(step.name, others, tuple(columns), (Link(counted, counted, on),))

    # -- one row a value

    def _masked(self) -> Aggregate:
        """The masks by value, and by dimensions that are not reached from it."""
        asked, source = self.asked, self.lineage.steps[self.asked.step.input]
        over: Renaming = lambda tree: tree.copy()  # noqa: E731
        if asked.late is not None and isinstance(source, Select):
            scanned = {c.name: c.expression.name for c in source.columns}
            over = lambda tree: renamed(tree, lambda c: column(scanned[c.name]))  # noqa: E731
        filters = tuple(over(f) for f in asked.step.filters)
        common: tuple[exp.Expr, ...] = ()
        if not asked.alone:  # groups are told by the other measures, and rows that nothing counts can go at once
            every = list(asked.counts.values())
            common = tuple(c for c in every[0] if all(c in others for others in every))
            filters = (*filters, not_null(over(asked.value)), *(over(c) for c in common))
        keys = (Named(self.value, over(asked.value)), *(asked.dims if asked.late is None else ()))
        own = {n: tuple(c for c in cs if c not in common) for n, cs in asked.counts.items()}
        measures = [Named(self.masks[n], self._mask(c, over)) for n, c in own.items()]
        if self._there_apart:
            measures.append(Named(self.there, self._mask((), over)))
        read = source.input if asked.late is not None and isinstance(source, Select) else source.name
        return Aggregate(self.each, read, keys, tuple(measures), filters)

    @property
    def _there_apart(self) -> bool:
        """Whether no count is without condition, and so none says in which periods there is any row."""
        return self.asked.alone and all(self.asked.counts.values())

    def _mask(self, conditions: tuple[exp.Expr, ...], over: Renaming) -> exp.Expr:
        periods = self.asked.periods
        one = exp.cast(exp.Literal.number(1), "BIGINT")
        bit: exp.Expr = exp.BitwiseLeftShift(this=one, expression=exp.paren(over(periods.number), copy=False))
        sign = exp.cast(exp.Literal.string(str(-(2**SIGN))), "BIGINT")  # no shift gives it: one too far is an error
        bit = exp.Coalesce(this=bit, expressions=[sign])
        return with_filter(exp.BitwiseOrAgg(this=bit), [over(c) for c in conditions])

    def _joined(self) -> Select:
        """The masks with the dimensions; of rows without a value the group is kept, and nothing is counted."""
        asked, source = self.asked, self.lineage.steps[self.asked.step.input]
        links: tuple[Link, ...] = ()
        dims = tuple(Named(d.name, column(d.name)) for d in asked.dims)
        of = None
        if asked.late is not None and isinstance(source, Select):
            own, of = {c.name: c.expression for c in source.columns}, self.each
            links = tuple(replace(link, on=tuple(self._moved(c, source.input) for c in link.on)) for link in asked.late)
            dims = tuple(Named(d.name, own[d.expression.name].copy()) for d in asked.dims)
        told = not_null(column(self.value, of))
        kept: list[Named] = []
        for mask in self.masks.values():
            tree: exp.Expr = column(mask, of)
            kept.append(Named(mask, exp.Case(ifs=[exp.If(this=told.copy(), true=tree)]) if asked.alone else tree))
        if asked.alone:
            bare = next((self.masks[n] for n, c in asked.counts.items() if not c), self.there)
            kept.append(Named(self.there, column(bare, of)))
        name = self.lineage.unique(f"{self.each}_{'_'.join(['with', *(d.name for d in dims)]) if dims else 'known'}")
        return Select(name, self.each, (*dims, *kept), links)

    def _moved(self, on: exp.Expr, source: str) -> exp.Expr:
        return renamed(on, lambda c: column(self.value, self.each) if c.table == source else c)

    # -- the counts

    def _counted(self, joined: str) -> Aggregate:
        """A row per dimensions and period that there may be, with the counts; where the masks are alone, with how many
        values (NULL being one) are seen, too."""
        asked = self.asked
        starts = [exp.cast(exp.Literal.string(s.isoformat()), "DATE") for s in asked.periods.starts]
        starts.append(exp.cast(exp.null(), "DATE"))  # rows without a time
        read = [*self.masks.values(), *([self.there] if asked.alone else [])]
        dims = tuple(Named(d.name, column(d.name)) for d in asked.dims)
        measures = [Named(asked.period, _unnested(_within(starts, len(asked.periods.starts), read)))]
        bits = [*range(len(asked.periods.starts)), SIGN]
        measures += [Named(name, _unnested(_sums(mask, bits))) for name, mask in self.masks.items()]
        if asked.alone:
            measures.append(Named(self.there, _unnested(_sums(self.there, bits))))
        return Aggregate(self.lineage.unique(f"{asked.step.name}_distinct"), joined, dims, tuple(measures))


def _unnested(array: exp.Expr) -> exp.Expr:
    return exp.Explode(this=array)


def _sums(mask: str, bits: Sequence[int]) -> exp.Expr:
    """For each bit in how many masks it is set."""
    one, zero = exp.Literal.number(1), exp.Literal.number(0)
    found: list[exp.Expr] = []
    for n in bits:
        shifted = exp.paren(exp.BitwiseRightShift(this=column(mask), expression=exp.Literal.number(n)), copy=False)
        total = exp.Sum(this=exp.BitwiseAnd(this=shifted, expression=one.copy()))
        found.append(exp.Coalesce(this=whole_number(total), expressions=[zero.copy()]))
    return exp.Array(expressions=found)


def _within(starts: Sequence[exp.Expr], places: int, read: list[str]) -> exp.Expr:
    """The periods, unless a mask has a bit beyond their places."""
    zero, below_sign = exp.Literal.number(0), exp.Literal.number(2**SIGN - 1)
    conditions: list[exp.Expr] = []
    for name in read:
        seen = exp.Coalesce(this=exp.BitwiseOrAgg(this=column(name)), expressions=[zero.copy()])
        bits = exp.paren(exp.BitwiseAnd(this=seen, expression=below_sign.copy()), copy=False)
        beyond = exp.BitwiseRightShift(this=bits, expression=exp.Literal.number(places))
        conditions.append(exp.EQ(this=exp.paren(beyond, copy=False), expression=zero.copy()))
    wrong = exp.Anonymous(this="error", expressions=[exp.Literal.string(CHANGED)])
    return exp.Case(ifs=[exp.If(this=all_of(conditions), true=exp.Array(expressions=list(starts)))], default=wrong)
