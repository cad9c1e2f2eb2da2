"""The steps that all tables of `cohort` share: who bought in which period, and the cohorts with every age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from kpiengine.kind import KindContext
from kpiengine_plugins.orders import not_later, select, summed

STEPS = (
    "purchases", "span", "days", "calendar", "periods", "activity", "first_rows", "members", "sizes", "newest", "grid",
    "places", "gaps", "ends", "cells", "counted", "totals", "fates", "curve", "table",
)  # fmt: skip
"""What the common table expressions hold; each is named after the metric and this."""


@dataclass(frozen=True)
class Work:
    """A table in the making. `by` names the groups inside, `tables` the steps in the statement."""

    context: KindContext
    by: tuple[str, ...] = field(init=False)
    tables: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        names = {"input": self.context.rows, **{step: f"{self.context.name}_{step}" for step in STEPS}}
        object.__setattr__(self, "by", tuple(f"by_{place}" for place in range(1, len(self.context.by) + 1)))
        object.__setattr__(self, "tables", names)

    def select(self, text: str, /, **parts: exp.Expr) -> exp.Select:
        """A constant SELECT over the steps by their short names."""
        return select(text, self.tables, **parts)

    def grouped(self, query: exp.Select) -> exp.Select:
        """The query, grouped by the groups too, which it gives first."""
        if self.by:
            query = query.group_by(*self.by)
            query.set("expressions", [*(exp.column(name) for name in self.by), *query.expressions])
        return query

    def counted(self, *values: str) -> exp.Select:
        """The rows of `grid` with the values of `cells`, 0 where there is no cell."""
        query = self.select("SELECT cohort, grid.first_number, grid.age, customers, later FROM grid")
        query = query.select(*(exp.column(name, table="grid") for name in self.by))
        query = query.select(*(exp.func("COALESCE", exp.column(v), exp.Literal.number(0)).as_(v) for v in values))
        names = ("first_number", "age", *self.by)
        same = [(exp.column(name, table="grid"), exp.column(name, table="cells")) for name in names]
        on = [(exp.NullSafeEQ if left.name in self.by else exp.EQ)(this=left, expression=right) for left, right in same]
        return query.join(exp.to_table(self.tables["cells"], alias="cells"), on=exp.and_(*on), join_type="left")

    def by_group(self, query: exp.Select) -> exp.Select:
        """The query with the groups among its columns, and its windows within a group."""
        groups = [exp.column(name) for name in self.by]
        for window in query.find_all(exp.Window):
            window.set("partition_by", [*(group.copy() for group in groups), *window.args.get("partition_by", [])])
        return query.select(*groups)

    def shown(self, query: exp.Select) -> exp.Select:
        """The query with the groups before its columns, named as they were asked for."""
        groups = [
            exp.column(inside).as_(exp.to_identifier(name, quoted=True))
            for inside, name in zip(self.by, self.context.by, strict=True)
        ]
        query.set("expressions", [*groups, *query.expressions])
        return query


def shared_steps(work: Work) -> dict[str, exp.Query]:
    """The steps up to `grid`: every cohort with every age, and how many periods had begun after it (`later`)."""
    sizes = work.select("SELECT first_number, COUNT(*) AS customers FROM members GROUP BY first_number")
    grid = work.select(
        "SELECT starts.period AS cohort, sizes.first_number, ages.number AS age, customers,"
        " last_number - sizes.first_number - ages.number AS later"
        " FROM sizes JOIN periods AS starts ON sizes.first_number = starts.number"
        " CROSS JOIN periods AS ages CROSS JOIN newest"
    )
    return {
        "purchases": _purchases(work),
        "span": work.select("SELECT MIN(day) AS low, MAX(day) AS high FROM purchases"),
        "days": work.select(
            "SELECT CAST(UNNEST(GENERATE_SERIES(low, high, INTERVAL '1' DAY)) AS DATE) AS day FROM span"
        ),
        **_periods(work),
        "activity": work.select(
            "SELECT customer, number, spent AS revenue FROM purchases"
            " JOIN calendar ON purchases.day = calendar.day"
            " JOIN periods ON calendar.period = periods.period GROUP BY customer, number",
            spent=summed(work.context, "revenue"),
        ),
        **({"first_rows": _first_rows(work)} if work.by else {}),
        "members": _members(work),
        "sizes": work.grouped(sizes),
        "newest": work.select("SELECT MAX(number) AS last_number FROM periods"),
        "grid": grid.select(*(exp.column(name, table="sizes") for name in work.by)),
    }


def _purchases(work: Work) -> exp.Select:
    """What a customer spent on a day."""
    day = work.context.day("time")
    return work.select(
        "SELECT customer, day_of AS day, spent AS revenue FROM input"
        " WHERE customer IS NOT NULL AND day_of IS NOT NULL GROUP BY customer, day_of",
        day_of=day,
        spent=summed(work.context),
    ).where(*not_later(day, work.context.as_of))


def _periods(work: Work) -> dict[str, exp.Query]:
    """`calendar`: the period of each day between the first and the last. `periods`: their numbers, from 0."""
    period, day = str(work.context.options.get("period", "month")), exp.column("day")
    start = day if period == "day" else work.context.calendar.start(day, period)
    return {
        "calendar": work.select("SELECT day, start_of AS period FROM days", start_of=start),
        "periods": work.select(
            "SELECT period, CAST(ROW_NUMBER() OVER (ORDER BY period NULLS LAST) - 1 AS BIGINT) AS number"
            " FROM calendar GROUP BY period"
        ),
    }


def _first_rows(work: Work) -> exp.Select:
    """The group of each customer: that of the first row."""
    context, by = work.context, work.by
    groups = [exp.column(name, quoted=True).as_(inside) for name, inside in zip(context.by, by, strict=True)]
    rows = work.select("SELECT customer, time FROM input WHERE customer IS NOT NULL AND time IS NOT NULL")
    rows = rows.select(*groups).where(*not_later(context.day("time"), context.as_of))
    order = [exp.Ordered(this=exp.column(name), nulls_first=False) for name in ("time", *by)]
    place = exp.Window(this=exp.RowNumber(), partition_by=[exp.column("customer")], order=exp.Order(expressions=order))
    placed = exp.select("customer", *by, place.as_("place")).from_(rows.subquery("dated"))
    return exp.select("customer", *by).from_(placed.subquery("placed")).where("place = 1")


def _members(work: Work) -> exp.Select:
    """Each customer's cohort, and group."""
    members = work.select("SELECT customer, MIN(number) AS first_number FROM activity GROUP BY customer")
    if not work.by:
        return members
    firsts = exp.to_table(work.tables["first_rows"], alias="first_rows")
    members = exp.select("firsts.customer", "first_number", *work.by).from_(members.subquery("firsts"))
    return members.join(firsts, on="firsts.customer = first_rows.customer")
