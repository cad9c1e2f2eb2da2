"""When a value is seen next, by one sort of one number: value and day packed, where both are proven to fit.

    lead(day) over (partition by value order by day)  →  lead(packed) over () of rows in the order of packed
    with packed = value * 2ⁿ + number of the day

One sort of one BIGINT costs a third of a window over partitions. A day out of the proven bounds is an error; a value
may lie anywhere, since a BIGINT that overflows is one, too.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlglot import exp

from kpiengine.calendar import expression
from kpiengine.passes.context import FEW_ROWS, Context, Lineage
from kpiengine.passes.trees import over
from kpiengine.plan.expressions import column, is_null
from kpiengine.plan.steps import Aggregate, Named, Plan, Select, Step
from kpiengine.records import dataclass

ROOM = 2**62
"""What packed numbers have to stay under, by the bounds of the values."""
STEPS = 4
"""How many steps tell when a value is seen again."""
CHANGED = (
    "a time lies outside of what its Parquet file says of itself: the file has changed meanwhile (ask again), or was "
    "written with wrong statistics (KPI_PASSES=-packed does without them)"
)


def packed(plan: Plan, context: Context) -> Plan:
    """Pairs of a day and the period in which the same value is seen again soon, from packed numbers."""
    lineage = Lineage(plan, context)
    old, new = list(plan.steps), list[Step]()
    while old:
        made = _packed(old[:STEPS], lineage)
        new += made or old[:1]
        del old[: STEPS if made else 1]
    return replace(plan, steps=tuple(new))


def _packed(steps: Sequence[Step], lineage: Lineage) -> list[Step]:
    """What stands in the place of four steps: rows by day, rows, those with what follows, pairs; nothing for others."""
    if len(steps) < STEPS:
        return []
    entered, seen, following, again = steps
    if not isinstance(seen, Select) or not isinstance(following, Select) or not isinstance(again, Aggregate):
        return []
    found = _found(seen, following, again, lineage)
    checked = _checked(entered, found) if found is not None else None
    return [checked, *_Packed(found, lineage).steps()] if found is not None and checked is not None else []


@dataclass(frozen=True)
class _Found:
    """The three steps; in the first the value and the day, with the days that there may be and the bits of one.

    `names`: keys of `again` as what they are of `day` and `next_day`. `reach`: a next day that is so many days later is
    not looked at.
    """

    seen: Select
    following: Select
    again: Aggregate
    value: exp.Expr
    day: exp.Expr
    names: dict[str, exp.Expr]
    days: tuple[dt.date, dt.date]
    bits: int
    reach: int


def _found(seen: Select, following: Select, again: Aggregate, lineage: Lineage) -> _Found | None:
    """None where these are other steps, or packing does not pay or is not proven to fit."""
    windows = [c.expression for c in following.columns if isinstance(c.expression, exp.Window)]
    if not windows or following.input != seen.name or again.input != following.name or seen.links:
        return None
    by, order = windows[0].args.get("partition_by") or [], windows[0].args.get("order")
    made = {c.name: c.expression for c in seen.columns}
    if not isinstance(windows[0].this, exp.Lead) or len(by) != 1 or order is None or len(order.expressions) != 1:
        return None
    value, day = made[by[0].name], made[order.expressions[0].this.name]
    names = _of_days(following, again, made, day)
    days, reach = _days(day, seen.input, lineage), _reach(again)
    if names is None or days is None or reach is None:
        return None
    bits = _bits(value, seen.input, (days[1] - days[0]).days + reach, lineage)
    return None if bits is None else _Found(seen, following, again, value, day, names, days, bits, reach)


def _checked(step: Step, found: _Found) -> Aggregate | None:
    """A step that groups the same rows by day, with an error for a day that there may not be; None for any other step.

    There a day is looked at once, and not with each row.
    """
    if not isinstance(step, Aggregate) or step.input != found.seen.input or step.links:
        return None
    key = next((k for k in step.keys if k.expression == found.day), None)
    if key is None or not set(step.filters) <= set(found.seen.filters):
        return None
    first, last = (exp.cast(exp.Literal.string(day.isoformat()), "DATE") for day in found.days)
    inside = exp.or_(is_null(found.day.copy()), exp.Between(this=found.day.copy(), low=first, high=last), copy=False)
    wrong = exp.Anonymous(this="error", expressions=[exp.Literal.string(CHANGED)])
    day = exp.Case(ifs=[exp.If(this=inside, true=found.day.copy())], default=wrong)
    return replace(step, keys=tuple(Named(k.name, day) if k is key else k for k in step.keys))


def _of_days(
    following: Select, again: Aggregate, made: Mapping[str, exp.Expr], day: exp.Expr
) -> dict[str, exp.Expr] | None:
    """The keys of `again` over `day` and `next_day`; None where one is of something else."""
    columns: dict[exp.Expr, exp.Expr] = {}
    for each in following.columns:
        later = isinstance(each.expression, exp.Window)
        name = each.expression.this.this.name if later else each.expression.name
        said = over(made[name], {day: column("next_day" if later else "day")})
        if said is not None:
            columns[column(each.name)] = said
    found = {key.name: over(key.expression, columns) for key in again.keys}
    return {n: tree for n, tree in found.items() if tree is not None} if all(found.values()) else None


def _reach(again: Aggregate) -> int | None:
    """After how many days a next one does not count any more, as the condition of `again` says."""
    for soon in again.filters:
        if isinstance(soon, exp.LT) and isinstance(soon.expression, exp.Add) and soon.expression.expression.is_int:
            return int(soon.expression.expression.to_py())
    return None


def _days(day: exp.Expr, step: str, lineage: Lineage) -> tuple[dt.date, dt.date] | None:
    names = {c.name for c in day.find_all(exp.Column)}
    return lineage.days(step, names.pop()) if len(names) == 1 else None


def _bits(value: exp.Expr, step: str, most: int, lineage: Lineage) -> int | None:
    """The bits that a day takes; None where value and day are not proven to fit, or there are few rows."""
    bounds = lineage.bounds(step, value.name) if isinstance(value, exp.Column) else None
    whole = bounds.whole_numbers() if bounds is not None else None
    rows = lineage.rows(step)
    if whole is None or (not lineage.context.always and (rows is None or rows < FEW_ROWS)):
        return None
    bits = (most + 1).bit_length()
    return bits if max(abs(whole[0]), abs(whole[1]) + 1) << bits < ROOM else None


class _Packed:
    def __init__(self, found: _Found, lineage: Lineage) -> None:
        self.found = found
        self.lineage = lineage
        self.mask = exp.Literal.number(2**found.bits - 1)
        self.reach = exp.Literal.number(found.reach)

    def steps(self) -> list[Step]:
        """The packed numbers, each with the next, then pairs of days, then what is asked of these."""
        found = self.found
        seen = replace(found.seen, columns=(Named("packed", self._packed()),), sorted_by=("packed",))
        lead = exp.Window(this=exp.Lead(this=column("packed")))
        following = replace(found.following, columns=(Named("packed", column("packed")), Named("next_packed", lead)))
        name = self.lineage.unique(f"{found.again.name}_by_days")
        times = Named(found.again.measures[0].name, found.again.measures[0].expression.copy())
        both = Named("packed_days", self._both_days())
        days = Aggregate(name, following.name, (both,), (times,), (self._soon(),))
        return [seen, following, days, self._again(name)]

    def _packed(self) -> exp.Expr:
        """The value above the number of the day; that is the mask where the day is none that there may be.

        The error is raised where rows are grouped by day: an expression that may raise one has no bounds to the engine,
        which sorts numbers in fewer bytes where it knows theirs.
        """
        number = self._number()
        first, last = self.found.days
        most = exp.Literal.number((last - first).days)
        within = exp.Between(this=number, low=exp.Literal.number(0), high=most)
        day = exp.Case(ifs=[exp.If(this=within, true=number.copy())], default=self.mask.copy())
        value = exp.cast(self.found.value.copy(), "BIGINT")
        return expression("value * width + day", value=value, width=exp.Literal.number(2**self.found.bits), day=day)

    def _number(self) -> exp.Expr:
        return exp.paren(expression("day - first", day=self.found.day, first=self._first()), copy=False)

    def _soon(self) -> exp.Expr:
        """That the next row is the same value's, and soon after.

        A day's number has room for the reach beyond the last day: the next value's lie farther away.
        """
        return exp.LT(this=self._days_between(), expression=self.reach.copy())

    @staticmethod
    def _days_between() -> exp.Expr:
        return expression("following - packed", following=column("next_packed"), packed=column("packed"))

    def _both_days(self) -> exp.Expr:
        """The number of the day, and after how many days the value is seen next, in one number: one key is grouped
        faster than two."""
        of = {"packed": column("packed"), "mask": self.mask, "reach": self.reach, "days": self._days_between()}
        return expression("(packed & mask) * reach + days", **of)

    def _again(self, days: str) -> Aggregate:
        found = self.found
        of: dict[exp.Expr, exp.Expr] = {column("day"): self._day(), column("next_day"): self._next_day()}
        keys = [Named(name, over(tree, of) or tree) for name, tree in found.names.items()]
        measure = found.again.measures[0]
        total = exp.cast(exp.Sum(this=column(measure.name)), "BIGINT")
        return replace(found.again, input=days, keys=tuple(keys), measures=(Named(measure.name, total),), filters=())

    def _day(self) -> exp.Expr:
        """The day of both."""
        return exp.Add(this=self._first(), expression=self._of_both("//"))

    def _next_day(self) -> exp.Expr:
        """The day on which the value is seen next."""
        return exp.Add(this=exp.paren(self._day(), copy=False), expression=self._of_both("%"))

    def _of_both(self, operator: str) -> exp.Expr:
        return expression(f"CAST(both {operator} reach AS INT)", both=column("packed_days"), reach=self.reach)

    def _first(self) -> exp.Expr:
        return exp.cast(exp.Literal.string(self.found.days[0].isoformat()), "DATE")
