"""The steps that all tables of `cohort` share: who bought in which period, and the cohorts with every age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from sqlglot import exp

from kpiengine.calendar import expression
from kpiengine.kind import KindContext
from kpiengine.records import dataclass
from kpiengine_plugins.orders import not_later, select, summed

STEPS = (
    "dated", "firsts", "span", "days", "calendar", "periods", "numbers", "purchases", "activity", "bits", "masks",
    "first_rows", "members", "sizes", "newest", "grid", "spending", "actives", "spent", "places", "gaps", "ends",
    "cells", "counted", "totals", "fates", "curve", "table",
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

    @property
    def keeps_rows(self) -> bool:
        """Whether rows that several steps read are read once: other engines than DuckDB read them for each."""
        return self.context.dialect == "duckdb"

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


Steps = dict[str, exp.Query]


def active_steps(work: Work) -> Steps:
    """The steps up to `grid`, among them `activity`: what a customer spent in a period."""
    if not work.keeps_rows:
        return {**_active_from_periods(work), **_groups(work), **_members(work), **_all_ages(work)}
    return {
        "dated": dated(work),
        "span": work.select("SELECT MIN(day) AS low, MAX(day) AS high FROM dated"),
        **numbered_days(work),
        "activity": work.select(
            "SELECT customer, number, spent AS revenue FROM dated JOIN numbers ON dated.day = numbers.day"
            " GROUP BY customer, number",
            spent=summed(work.context),
        ),
        **_groups(work),
        **_members(work),
        **_all_ages(work),
    }


def _members(work: Work) -> Steps:
    members = work.select("SELECT customer, MIN(number) AS first_number FROM activity GROUP BY customer")
    return {"members": with_group(work, members)}


def _active_from_periods(work: Work) -> Steps:
    """The steps up to `activity`, where the rows would be read once more for the span of their days."""
    return {
        **_spending_in_periods(work),
        "span": work.select("SELECT MIN(period) AS low, MAX(period) AS high FROM spending"),
        **numbered_days(work),
        "activity": work.select(
            "SELECT customer, number, revenue FROM spending JOIN periods ON spending.period = periods.period"
        ),
    }


def _spending_in_periods(work: Work) -> Steps:
    """`spending`: what a customer spent in a period, told by its first day."""
    start = start_of_period(work)
    spending = work.select(
        "SELECT customer, start_of AS period, spent AS revenue FROM dated GROUP BY customer, start_of",
        start_of=start, spent=summed(work.context),
    )  # fmt: skip
    return {"dated": dated(work), "spending": spending}


def whole_steps(work: Work) -> Steps:
    """The steps up to `grid`, and `cells`, from one reading of the rows and a window over customers and periods.

    `spent`: what the customers of a cohort spent in a period, and how many of them came, by first days; those who came
    in the first one are the cohort.
    """
    activity = work.select(
        "SELECT spending.customer, period, revenue, MIN(period) OVER (PARTITION BY spending.customer) AS first_day"
        " FROM spending"
    )
    if work.by:
        firsts = exp.to_table(work.tables["first_rows"], alias="first_rows")
        activity = activity.select(*work.by).join(firsts, on="spending.customer = first_rows.customer")
    spent = work.select(
        "SELECT first_day, period, COUNT(*) AS active, spent AS revenue FROM activity"
        " WHERE NOT period IS NULL GROUP BY first_day, period",
        spent=summed(work.context, "revenue"),
    )
    sizes = work.select(
        "SELECT number AS first_number, active AS customers FROM spent JOIN periods ON first_day = periods.period"
        " WHERE spent.period = first_day"
    )
    cells = work.select(
        "SELECT starts.number AS first_number, ends.number - starts.number AS age, active, revenue FROM spent"
        " JOIN periods AS starts ON first_day = starts.period JOIN periods AS ends ON spent.period = ends.period"
    )
    return {
        **_spending_in_periods(work),
        **_groups(work),
        "activity": activity,
        "spent": work.grouped(spent),
        "span": work.select("SELECT MIN(first_day) AS low, MAX(period) AS high FROM spent"),
        **numbered_days(work),
        **_all_ages(work),
        "sizes": sizes.select(*work.by),
        "cells": cells.select(*work.by),
    }


def spending_steps(work: Work) -> Steps:
    """The steps up to `grid` and `spent`: what the customers of a cohort spent in a period."""
    firsts = work.select("SELECT customer, MIN(day) AS first_day FROM dated GROUP BY customer")
    members = work.select("SELECT customer, number AS first_number FROM firsts JOIN numbers ON first_day = numbers.day")
    return {
        "dated": dated(work),
        "firsts": firsts,
        "span": work.select("SELECT MIN(day) AS low, MAX(day) AS high FROM dated"),
        **numbered_days(work),
        **_groups(work),
        "members": with_group(work, members),
        **_all_ages(work),
        **spent(work),
    }


def masked_steps(work: Work, periods: int) -> Steps:
    """As `spending_steps`, and `actives`: how many customers of a cohort were active in a period.

    For DuckDB, with at most `periods` of them: a customer's periods are the bits of a whole number, the lowest one is
    the cohort. `bits`, by day, is one row: its place in a list finds a row's bit sooner than a join does.
    Raises in DuckDB where there are more.
    """
    bit = expression("1 << number")
    checked = exp.case().when(
        exp.LT(this=exp.column("number"), expression=exp.Literal.number(periods)), exp.cast(bit, "BIGINT")
    )
    changed = exp.Literal.string("a time lies beyond what its file told of itself; run the query again")
    bits = work.select(
        "SELECT LIST(bit_of ORDER BY day) AS bits, MIN(day) AS low FROM numbers",
        bit_of=checked.else_(exp.Anonymous(this="ERROR", expressions=[changed])),
    )
    masks = work.select(
        "SELECT customer, BIT_OR(bits[DATE_DIFF('day', low, day) + 1]) AS mask FROM dated CROSS JOIN bits"
        " GROUP BY customer"
    )
    counts = [expression("SUM((mask >> place) & 1)", place=exp.Literal.number(n)) for n in range(periods)]
    actives = work.select(
        "SELECT first_number, UNNEST(RANGE(periods)) AS number, CAST(UNNEST(counts) AS BIGINT) AS active"
        " FROM members GROUP BY first_number",
        periods=exp.Literal.number(periods),
        counts=exp.Array(expressions=counts),
    )
    members = work.select(
        "SELECT customer, CAST(BIT_COUNT((mask & -mask) - 1) AS BIGINT) AS first_number, mask FROM masks"
    )
    return {
        "dated": dated(work),
        "span": work.select("SELECT MIN(day) AS low, MAX(day) AS high FROM dated"),
        **numbered_days(work),
        "bits": bits,
        "masks": masks,
        **_groups(work),
        "members": with_group(work, members, "mask"),
        **_all_ages(work),
        **spent(work),
        "actives": work.grouped(actives),
    }


def dated(work: Work) -> exp.Select:
    """The rows with their days: customer, day, amount."""
    day = work.context.day("time")
    return work.select(
        "SELECT customer, day_of AS day, amount FROM input WHERE customer IS NOT NULL AND day_of IS NOT NULL",
        day_of=day,
    ).where(*not_later(day, work.context.as_of))


def numbered_days(work: Work) -> Steps:
    """`calendar`: the period of each day of `span`. `periods`: their numbers, from 0. `numbers`: those of days, where
    rows are kept."""
    steps: Steps = {
        "days": work.select(
            "SELECT CAST(UNNEST(GENERATE_SERIES(low, high, INTERVAL '1' DAY)) AS DATE) AS day FROM span"
        ),
        "calendar": work.select("SELECT day, start_of AS period FROM days", start_of=start_of_period(work)),
        "periods": work.select(
            "SELECT period, CAST(ROW_NUMBER() OVER (ORDER BY period NULLS LAST) - 1 AS BIGINT) AS number"
            " FROM calendar GROUP BY period"
        ),
    }
    if work.keeps_rows:
        steps["numbers"] = work.select(
            "SELECT calendar.day, number FROM calendar JOIN periods ON calendar.period = periods.period"
        )
    return steps


def start_of_period(work: Work) -> exp.Expr:
    """The first day of the period that `day` is in."""
    period, day = str(work.context.options.get("period", "month")), exp.column("day")
    return day if period == "day" else work.context.calendar.start(day, period)


def spent(work: Work) -> Steps:
    """`spent`: what the customers of a cohort spent in a period, folded from `spending`, the same by day."""
    by_day = work.select(
        "SELECT first_number, day, spent AS revenue FROM dated JOIN members ON dated.customer = members.customer"
        " GROUP BY first_number, day",
        spent=summed(work.context),
    )
    by_period = work.select(
        "SELECT first_number, number, spent AS revenue FROM spending JOIN numbers ON spending.day = numbers.day"
        " GROUP BY first_number, number",
        spent=summed(work.context, "revenue"),
    )
    return {"spending": work.grouped(by_day), "spent": work.grouped(by_period)}


def _all_ages(work: Work) -> Steps:
    """The steps up to `grid`: every cohort with every age, and how many periods had begun after it (`later`)."""
    sizes = work.select("SELECT first_number, COUNT(*) AS customers FROM members GROUP BY first_number")
    grid = work.select(
        "SELECT starts.period AS cohort, sizes.first_number, ages.number AS age, customers,"
        " last_number - sizes.first_number - ages.number AS later"
        " FROM sizes JOIN periods AS starts ON sizes.first_number = starts.number"
        " CROSS JOIN periods AS ages CROSS JOIN newest"
    )
    return {
        "sizes": work.grouped(sizes),
        "newest": work.select("SELECT MAX(number) AS last_number FROM periods"),
        "grid": grid.select(*(exp.column(name, table="sizes") for name in work.by)),
    }


def _groups(work: Work) -> Steps:
    return {"first_rows": _first_rows(work)} if work.by else {}


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


def with_group(work: Work, members: exp.Select, *more: str) -> exp.Select:
    """Each customer's cohort (and `more` columns), with the group where there are any."""
    if not work.by:
        return members
    firsts = exp.to_table(work.tables["first_rows"], alias="first_rows")
    members = exp.select("firsts.customer", "first_number", *more, *work.by).from_(members.subquery("firsts"))
    return members.join(firsts, on="firsts.customer = first_rows.customer")
