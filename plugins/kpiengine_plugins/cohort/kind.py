"""The kind `cohort`: the customers who first came in one period, and how many of them came in each period since.

Every cohort has a row for each number of periods that the data span; where that period had not begun by the last row,
`active`, `retention` and `revenue` are NULL. Rows without a customer or a time are left out. Periods are numbered by
counting those that there are between the first row and the last, so that a calendar's months may be of any length.

With `by` a customer belongs to the group of their first row; of several at that time, to the smallest value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sqlglot import exp

from kpiengine.calendar import expression
from kpiengine.kind import Cte, Kind, KindColumn, KindContext, KindOption, KindTable
from kpiengine_plugins.orders import not_later, select, summed

_TITLES = {
    "cohort": {"en": "Cohort", "fa": "همگروه"},
    "period_number": {"en": "Periods since", "fa": "دورهٔ چندم"},
    "customers": {"en": "Customers", "fa": "مشتریان"},
    "active": {"en": "Active", "fa": "فعال"},
    "retention": {"en": "Retention", "fa": "ماندگاری"},
    "revenue": {"en": "Revenue", "fa": "درآمد"},
}

STEPS = (
    "purchases", "span", "days", "calendar", "periods", "activity", "first_rows", "members", "sizes", "cells", "newest",
    "table",
)  # fmt: skip
"""What the common table expressions hold; each is named after the metric and this."""


class Cohort(Kind):
    """One row a cohort and period since: `customers`, those `active`, their share (`retention`), their `revenue`."""

    name: ClassVar[str] = "cohort"
    takes_by: ClassVar[bool] = True
    options: ClassVar[Mapping[str, KindOption]] = {
        "customer": KindOption(required=True, column=True, description="Whose orders these are."),
        "time": KindOption(required=True, column=True, description="When a row was ordered."),
        "amount": KindOption(required=True, column=True, description="What a row was worth."),
        "period": KindOption(
            default="month",
            choices=("day", "week", "month", "quarter", "year"),
            description="The period that makes a cohort, in the project's calendar.",
        ),
    }

    def inputs(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """The customer, the time and the amount."""
        return {name: str(options[name]) for name in ("customer", "time", "amount")}

    def columns(self, options: Mapping[str, Any], table: str | None = None) -> tuple[KindColumn, ...]:
        """The cohort, the period's number, and what the customers did in it."""
        return _columns(())

    def compile(self, context: KindContext) -> KindTable:
        """Days with purchases, periods with their numbers, the cohorts' sizes, and the cells."""
        by = tuple(f"by_{place}" for place in range(1, len(context.by) + 1))
        names = {"input": context.rows, **{step: f"{context.name}_{step}" for step in STEPS}}
        made = {
            "purchases": _purchases(context, names),
            "span": select("SELECT MIN(day) AS low, MAX(day) AS high FROM purchases", names),
            "days": select(
                "SELECT CAST(UNNEST(GENERATE_SERIES(low, high, INTERVAL '1' DAY)) AS DATE) AS day FROM span", names
            ),
            **_periods(context, names),
            "activity": select(
                "SELECT customer, number, spent AS revenue FROM purchases"
                " JOIN calendar ON purchases.day = calendar.day"
                " JOIN periods ON calendar.period = periods.period GROUP BY customer, number",
                names,
                spent=summed(context, "revenue"),
            ),
            **(_first_rows(context, names, by) if by else {}),
            **_cells(context, names, by),
            "newest": select("SELECT MAX(number) AS last_number FROM periods", names),
            "table": _table(context, names, by),
        }
        ctes = tuple(Cte(names[step], made[step]) for step in made)
        return KindTable(ctes, _columns(context.by), (*context.by, "cohort", "period_number"))


def _columns(by: tuple[str, ...]) -> tuple[KindColumn, ...]:
    return (*map(KindColumn, by), *(KindColumn(name, label=label) for name, label in _TITLES.items()))


def _purchases(context: KindContext, names: Mapping[str, str]) -> exp.Select:
    """What a customer spent on a day."""
    day = context.day("time")
    return select(
        "SELECT customer, day_of AS day, spent AS revenue FROM input"
        " WHERE customer IS NOT NULL AND day_of IS NOT NULL GROUP BY customer, day_of",
        names,
        day_of=day,
        spent=summed(context),
    ).where(*not_later(day, context.as_of))


def _periods(context: KindContext, names: Mapping[str, str]) -> dict[str, exp.Query]:
    """`calendar`: the period of each day between the first and the last. `periods`: their numbers, from 0."""
    period, day = str(context.options.get("period", "month")), exp.column("day")
    start = day if period == "day" else context.calendar.start(day, period)
    return {
        "calendar": select("SELECT day, start_of AS period FROM days", names, start_of=start),
        "periods": select(
            "SELECT period, CAST(ROW_NUMBER() OVER (ORDER BY period NULLS LAST) - 1 AS BIGINT) AS number"
            " FROM calendar GROUP BY period",
            names,
        ),
    }


def _first_rows(context: KindContext, names: Mapping[str, str], by: tuple[str, ...]) -> dict[str, exp.Query]:
    """The group of each customer: that of the first row."""
    groups = [exp.column(name, quoted=True).as_(inside) for name, inside in zip(context.by, by, strict=True)]
    rows = select("SELECT customer, time FROM input WHERE customer IS NOT NULL AND time IS NOT NULL", names)
    rows = rows.select(*groups).where(*not_later(context.day("time"), context.as_of))
    order = [exp.Ordered(this=exp.column(name), nulls_first=False) for name in ("time", *by)]
    place = exp.Window(this=exp.RowNumber(), partition_by=[exp.column("customer")], order=exp.Order(expressions=order))
    placed = exp.select("customer", *by, place.as_("place")).from_(rows.subquery("dated"))
    return {"first_rows": exp.select("customer", *by).from_(placed.subquery("placed")).where("place = 1")}


def _cells(context: KindContext, names: Mapping[str, str], by: tuple[str, ...]) -> dict[str, exp.Query]:
    """`members`: each customer's cohort. `sizes`: the cohorts. `cells`: what was done, by cohort and age."""
    groups = [exp.column(name) for name in by]
    members = select("SELECT customer, MIN(number) AS first_number FROM activity GROUP BY customer", names)
    if by:
        firsts = exp.to_table(names["first_rows"], alias="first_rows")
        members = exp.select("firsts.customer", "first_number", *by).from_(members.subquery("firsts"))
        members = members.join(firsts, on="firsts.customer = first_rows.customer")
    sizes = select("SELECT first_number, COUNT(*) AS customers FROM members GROUP BY first_number", names)
    cells = select(
        "SELECT first_number, number - first_number AS age, COUNT(*) AS active, spent AS revenue"
        " FROM activity JOIN members ON activity.customer = members.customer"
        " GROUP BY first_number, number - first_number",
        names,
        spent=summed(context, "revenue"),
    )
    return {
        "members": members,
        "sizes": sizes.select(*groups).group_by(*groups) if by else sizes,
        "cells": cells.select(*groups).group_by(*groups) if by else cells,
    }


def _table(context: KindContext, names: Mapping[str, str], by: tuple[str, ...]) -> exp.Select:
    """Every cohort with every age; nobody and 0 where there is no cell, NULL where the period has not begun."""
    query = select(
        "SELECT starts.period AS cohort, ages.number AS period_number, customers,"
        " CASE WHEN begun THEN COALESCE(active, 0) END AS active,"
        " CASE WHEN begun THEN CAST(COALESCE(active, 0) AS DOUBLE) / customers END AS retention,"
        " CASE WHEN begun THEN COALESCE(revenue, 0) END AS revenue"
        " FROM sizes JOIN periods AS starts ON sizes.first_number = starts.number"
        " CROSS JOIN periods AS ages CROSS JOIN newest",
        names,
        begun=expression("starts.number + ages.number <= last_number"),
    )
    groups = [exp.column(name, table="sizes") for name in by]
    same = [expression("sizes.first_number = cells.first_number AND ages.number = cells.age")]
    same += [exp.NullSafeEQ(this=g.copy(), expression=exp.column(g.name, table="cells")) for g in groups]
    query = query.join(exp.to_table(names["cells"], alias="cells"), on=exp.and_(*same), join_type="left")
    named = [g.as_(exp.to_identifier(name, quoted=True)) for g, name in zip(groups, context.by, strict=True)]
    query.set("expressions", [*named, *query.expressions])
    return query
