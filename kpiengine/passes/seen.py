"""The groups that there are, from rows an entity that are made anyhow: a bit for each period with a row of it.

    groups: select distinct month(time), channel from orders left join customers …
    each:   select customer, min(time) from orders group by customer   →
    placed: select customer, time, place of month(time) as place from orders
    each:   select customer, min(time), bit_or(1 << place) as months_seen from placed group by customer
    seen:   select channel, bit_or(months_seen) from each left join customers … group by channel
    groups: select month, channel from seen join the months that there may be on their bits

The rows are read once, and none of them is joined.
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from kpiengine.kind import Cte
from kpiengine.passes.context import FEW_ROWS, Context, Lineage
from kpiengine.passes.periods import periods_of
from kpiengine.plan.expressions import column, free, renamed
from kpiengine.plan.steps import Aggregate, Given, Link, Named, Plan, Select, Step
from kpiengine.records import dataclass

MOST_PERIODS = 62
"""The bits of a BIGINT without its sign, less one for rows without a time."""
CHANGED = (
    "a time lies outside of what its Parquet file says of itself: the file has changed meanwhile (ask again), or was "
    "written with wrong statistics (KPI_PASSES=-seen does without them)"
)


def seen(plan: Plan, context: Context) -> Plan:
    """Groups without measures, from an aggregate of the same rows by what their dimensions are joined by."""
    if not context.on_cluster:
        return plan
    for step in plan.steps:
        lineage = Lineage(plan, context)
        groups = _groups(step, plan, lineage) if isinstance(step, Aggregate) and not step.measures else None
        if groups is not None:
            plan = _rewritten(plan, groups, lineage)
    return plan


@dataclass(frozen=True)
class _Groups:
    """Groups over `joined` rows; the key that is a period, as the day in it that each of `starts` begins, its number
    over the rows, and how the others are reached from `each`, the aggregate by an entity."""

    step: Aggregate
    joined: Select
    each: Aggregate
    period: str
    starts: tuple[exp.Expr, ...]
    number: exp.Expr
    links: tuple[Link, ...]


def _groups(step: Aggregate, plan: Plan, lineage: Lineage) -> _Groups | None:
    """None for other groups, or where they would not be told by bits."""
    joined, rows = lineage.steps.get(step.input), lineage.rows(step.input)
    if not isinstance(joined, Select) or joined.filters or joined.distinct or step.filters or step.links:
        return None
    if not lineage.context.always and (rows is None or rows < FEW_ROWS):
        return None
    own = {c.name: c.expression for c in joined.columns}
    for key in step.keys:
        periods = periods_of(key.expression, step.input, lineage, MOST_PERIODS)
        if periods is None or any(_table(own, c) != joined.input for c in periods.number.find_all(exp.Column)):
            continue
        dims = [own.get(k.expression.name) for k in step.keys if k is not key]
        for each in plan.steps:
            if isinstance(each, Aggregate) and _is_each(each, joined) and _before(each, step, plan):
                links = _reached(dims, joined, each.keys[0].expression)
                if links is not None:
                    dates = tuple(exp.cast(exp.Literal.string(s.isoformat()), "DATE") for s in periods.starts)
                    return _Groups(step, joined, each, key.name, dates, periods.number, links)
    return None


def _table(own: dict[str, exp.Expr], name: exp.Column) -> str:
    made = own.get(name.name)
    return made.table if isinstance(made, exp.Column) else ""


def _is_each(step: Aggregate, joined: Select) -> bool:
    same_rows = step.input == joined.input and not step.links and not step.filters
    return same_rows and len(step.keys) == 1 and isinstance(step.keys[0].expression, exp.Column)


def _before(step: Step, other: Step, plan: Plan) -> bool:
    return plan.steps.index(step) < plan.steps.index(other)


def _reached(dims: list[exp.Expr | None], joined: Select, key: exp.Expr) -> tuple[Link, ...] | None:
    """The links of the joined rows by which an entity alone reaches all dimensions; None where it does not."""
    by_alias = {link.alias: link for link in joined.links}
    needed: list[str] = []
    waiting = [c for dim in dims for c in ([dim] if isinstance(dim, exp.Column) else [None])]
    while waiting:
        found = waiting.pop()
        if found is None:
            return None
        if found.table == joined.input and found.name == key.name:
            continue
        link = by_alias.get(found.table)
        if link is None or link.required:
            return None
        if link.alias not in needed:
            needed.append(link.alias)
            waiting += [c for on in link.on for c in on.find_all(exp.Column) if c.table != link.alias]
    return tuple(link for link in joined.links if link.alias in needed)


def _rewritten(plan: Plan, groups: _Groups, lineage: Lineage) -> Plan:
    step, each = groups.step, groups.each
    bits = free(f"{groups.period}s_seen", [n.name for n in (*each.keys, *each.measures, *step.keys)])
    own = {c.name: c.expression for c in groups.joined.columns}
    number = renamed(groups.number, lambda c: column(own[c.name].name))
    read = dict.fromkeys(c.name for n in (*each.keys, *each.measures) for c in n.expression.find_all(exp.Column))
    place = free("place", read)
    placed = Select(
        lineage.unique(f"{each.input}_placed"), each.input,
        (*(Named(name, column(name)) for name in read), Named(place, _place(number, len(groups.starts)))),
    )  # fmt: skip
    measured = replace(each, input=placed.name, measures=(*each.measures, Named(bits, _bits(column(place)))))
    made: dict[str, list[Step]] = {each.name: [placed, measured], step.name: _steps(groups, bits, lineage)}
    return replace(plan, steps=tuple(s for old in plan.steps for s in made.get(old.name, [old])))


def _place(number: exp.Expr, without: int) -> exp.Expr:
    """A row's place among the periods, `without` for one without a time. It has a name, as it is asked for twice where
    a bit is checked to be one."""
    return exp.Coalesce(this=exp.paren(number, copy=False), expressions=[exp.Literal.number(without)])


def _bits(place: exp.Expr) -> exp.Expr:
    """The bits of all rows."""
    one = exp.cast(exp.Literal.number(1), "BIGINT")
    return exp.BitwiseOrAgg(this=exp.BitwiseLeftShift(this=one, expression=place))


def _steps(groups: _Groups, bits: str, lineage: Lineage) -> list[Step]:
    """The bits by the other keys, the periods that there may be with theirs, and the groups."""
    step, each, joined = groups.step, groups.each, groups.joined
    own = {c.name: c.expression for c in joined.columns}
    entity = each.keys[0]

    def of_each(node: exp.Column) -> exp.Expr:
        return column(entity.name, each.name) if node.table == joined.input else node

    others = [k for k in step.keys if k.name != groups.period]
    dims = tuple(Named(k.name, renamed(own[k.expression.name], of_each)) for k in others)
    links = tuple(replace(link, on=tuple(renamed(on, of_each) for on in link.on)) for link in groups.links)
    mask = Named(bits, exp.BitwiseOrAgg(this=column(bits, each.name)))
    by_dims = Aggregate(lineage.unique(f"{step.name}_seen"), each.name, dims, (mask,), (), links)
    checked = Select(
        lineage.unique(f"{step.name}_known"), by_dims.name,
        (*(Named(d.name, column(d.name)) for d in dims), Named(bits, _checked(bits, len(groups.starts)))),
    )  # fmt: skip
    places = Given(Cte(lineage.unique(f"{step.name}_{groups.period}s"), _places(groups)))
    met = exp.NEQ(
        this=exp.paren(exp.BitwiseAnd(this=column(bits, checked.name), expression=column("bit", places.name))),
        expression=exp.Literal.number(0),
    )
    columns = [
        Named(k.name, column(k.name, places.name if k.name == groups.period else checked.name)) for k in step.keys
    ]
    return [by_dims, checked, places, Select(step.name, checked.name, tuple(columns), (_inner(places.name, met),))]


def _inner(step: str, on: exp.Expr) -> Link:
    return Link(step, step, (on,), required=True)


def _checked(bits: str, places: int) -> exp.Expr:
    """The bits, unless one lies beyond the periods' and that of no time."""
    most = exp.cast(exp.Literal.number(2 ** (places + 1) - 1), "BIGINT")
    fits = exp.LTE(this=column(bits), expression=most)
    wrong = exp.cast(exp.Anonymous(this="error", expressions=[exp.Literal.string(CHANGED)]), "BIGINT")
    nothing = exp.Is(this=column(bits), expression=exp.null())
    return exp.Case(ifs=[exp.If(this=exp.or_(fits, nothing), true=column(bits))], default=wrong)


def _places(groups: _Groups) -> exp.Query:
    """The first days of the periods, and NULL, with their bits."""
    starts = [start.this.this for start in groups.starts]
    days: list[exp.Expr] = [*(exp.Literal.string(start) for start in starts), exp.null()]
    rows = [(exp.Literal.number(2**n), day) for n, day in enumerate(days)]
    values = exp.values(rows, alias="given", columns=["bit", groups.period])
    told = exp.cast(column(groups.period), "DATE").as_(column(groups.period).this.copy())
    return exp.select(exp.cast(column("bit"), "BIGINT").as_("bit"), told).from_(values)
