"""The tables of `cohort`, each by a function of its name: `cells` (what was done, by cohort and age), then the rows.

| table | who counts at an age |
|---|---|
| (the main one) | who bought in that period |
| `rolling` | who bought in that period or a later one |
| `recurring` | who bought in every period up to that one |
| `repeat` | who had a second day with a purchase by the end of that period |
| `churn` | who had not yet begun a gap of `churn_after` periods without a purchase |

A gap is known when its last period has begun; so the last `churn_after - 1` ages of a cohort are not known yet. One
who comes back after it has churned all the same: what was said once stays true. With `churn_after: 1` who remains is
who is in `recurring`.

`survival` puts the cohorts together: of those at risk at an age (they had not churned, and what becomes of them at that
age is known) the share that churns is the churn rate; the product of 1 - churn rate is Kaplan and Meier's estimate, its
standard error is Greenwood's.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping

from sqlglot import exp

from kpiengine.calendar import expression
from kpiengine_plugins.cohort.work import (
    Steps,
    Work,
    active_steps,
    masked_steps,
    spending_steps,
    start_of_period,
    whole_steps,
)
from kpiengine_plugins.orders import summed, whole

BITS = 63
"""Periods that a whole number (BIGINT, not below 0) has bits for."""

LONGEST = {"day": 1, "week": 7, "month": 36, "quarter": 100, "year": 400}
"""Days that a period has at most, in any calendar."""


def retention(work: Work) -> Steps:
    """The main table. By masks where that few periods are proven, else by who bought in which period."""
    table = _active(work, "counted").select("CASE WHEN later >= 0 THEN revenue END AS revenue")
    if not work.keeps_rows:
        return {**whole_steps(work), "counted": work.counted("active", "revenue"), "table": table}
    periods = most_periods(work)
    if periods is not None and periods <= BITS:
        cells = work.select(
            "SELECT actives.first_number, actives.number - actives.first_number AS age, active, revenue"
            " FROM actives JOIN spent ON actives.first_number = spent.first_number AND actives.number = spent.number"
        )
        if work.by:
            groups = [(exp.column(name, table="actives"), exp.column(name, table="spent")) for name in work.by]
            same = [exp.NullSafeEQ(this=left, expression=right) for left, right in groups]
            join = cells.args["joins"][0]
            join.set("on", exp.and_(join.args["on"], *same))
            cells.set("expressions", [*(left.copy() for left, _ in groups), *cells.expressions])
        steps = masked_steps(work, periods)
    else:
        cells = work.grouped(
            work.select(
                "SELECT first_number, number - first_number AS age, COUNT(*) AS active, spent AS revenue"
                " FROM activity JOIN members ON activity.customer = members.customer"
                " GROUP BY first_number, number - first_number",
                spent=summed(work.context, "revenue"),
            )
        )
        steps = active_steps(work)
    return {**steps, "cells": cells, "counted": work.counted("active", "revenue"), "table": table}


def rolling(work: Work) -> Steps:
    """Active in that period or a later one: counted from the last age backwards."""
    ends = work.select("SELECT customer, MAX(number) AS end_number FROM activity GROUP BY customer")
    totals = work.select(
        "SELECT cohort, age, customers, later, CAST(SUM(active) OVER (PARTITION BY first_number"
        " ORDER BY age DESC NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS BIGINT) AS active"
        " FROM counted"
    )
    return {
        **active_steps(work),
        "ends": ends,
        "cells": _cells_of_ends(work, "active"),
        "counted": work.counted("active"),
        "totals": work.by_group(totals),
        "table": _active(work, "totals"),
    }


def recurring(work: Work) -> Steps:
    """Active in every period so far: their n-th period with a purchase is the n-th that there was."""
    places = work.select(
        "SELECT customer, number, ROW_NUMBER() OVER (PARTITION BY customer ORDER BY number NULLS LAST) - 1 AS place"
        " FROM activity"
    )
    cells = work.select(
        "SELECT first_number, number - first_number AS age, COUNT(*) AS active"
        " FROM places JOIN members ON places.customer = members.customer"
        " WHERE number - first_number = place GROUP BY first_number, number - first_number"
    )
    return {
        **active_steps(work),
        "places": places,
        "cells": work.grouped(cells),
        "counted": work.counted("active"),
        "table": _active(work, "counted"),
    }


def revenue(work: Work) -> Steps:
    """Revenue, against that of period 0, and up to that age: per customer, times the margin, it is `clv`."""
    cells = work.select("SELECT first_number, number - first_number AS age, revenue FROM spent")
    cells = cells.select(*work.by)
    totals = work.select(
        "SELECT cohort, age, customers, later, revenue, SUM(revenue) OVER (PARTITION BY first_number"
        " ORDER BY age NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS to_date,"
        " MAX(CASE WHEN age = 0 THEN CAST(revenue AS DOUBLE) END) OVER (PARTITION BY first_number) AS at_first"
        " FROM counted"
    )
    table = work.select(
        "SELECT cohort, age AS period_number, customers, CASE WHEN later >= 0 THEN revenue END AS revenue,"
        " CASE WHEN later >= 0 THEN total END AS revenue_to_date,"
        " CASE WHEN later >= 0 AND at_first <> 0 THEN CAST(revenue AS DOUBLE) / at_first END AS revenue_retention,"
        " CASE WHEN later >= 0 THEN CAST(to_date AS DOUBLE) * margin / customers END AS clv FROM totals",
        total=whole(work.context, exp.column("to_date")),
        margin=exp.convert(float(work.context.options.get("margin", 1.0))),
    )
    return {
        **({**spending_steps(work), "cells": cells} if work.keeps_rows else whole_steps(work)),
        "counted": work.counted("revenue"),
        "totals": work.by_group(totals),
        "table": work.shown(table),
    }


def repeat(work: Work) -> Steps:
    """Customers with a second day with a purchase so far."""
    purchases = work.select("SELECT customer, day FROM dated GROUP BY customer, day")
    places = work.select(
        "SELECT customer, day, ROW_NUMBER() OVER (PARTITION BY customer ORDER BY day NULLS LAST) AS place"
        " FROM purchases"
    )
    ends = work.select(
        "SELECT customer, number AS end_number FROM places JOIN numbers ON places.day = numbers.day WHERE place = 2"
    )
    if not work.keeps_rows:  # days after the first of the last period have no number of their own
        ends = work.select(
            "SELECT customer, number AS end_number FROM places JOIN periods ON start_of = periods.period"
            " WHERE place = 2",
            start_of=start_of_period(work),
        )
    totals = work.select(
        "SELECT cohort, age, customers, later, CAST(SUM(repeaters) OVER (PARTITION BY first_number"
        " ORDER BY age NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS BIGINT) AS repeaters"
        " FROM counted"
    )
    table = work.select(
        "SELECT cohort, age AS period_number, customers, CASE WHEN later >= 0 THEN repeaters END AS repeaters,"
        " CASE WHEN later >= 0 THEN CAST(repeaters AS DOUBLE) / customers END AS repeat_rate FROM totals"
    )
    return {
        **active_steps(work),
        "purchases": purchases,
        "places": places,
        "ends": ends,
        "cells": _cells_of_ends(work, "repeaters"),
        "counted": work.counted("repeaters"),
        "totals": work.by_group(totals),
        "table": work.shown(table),
    }


def churn(work: Work) -> Steps:
    """Who remains, who churned at that age, their share of those who had remained, and who remains of all."""
    table = work.select(
        "SELECT cohort, age AS period_number, customers, CASE WHEN known THEN remaining END AS remaining,"
        " CASE WHEN known THEN churned END AS churned,"
        " CASE WHEN known AND remaining + churned > 0 THEN CAST(churned AS DOUBLE) / (remaining + churned) END"
        " AS churn_rate, CASE WHEN known THEN CAST(remaining AS DOUBLE) / customers END AS survival FROM totals",
        known=_known(work),
    )
    return {**_remaining(work), "table": work.shown(table)}


def survival(work: Work) -> Steps:
    """All cohorts together, by age. Where nobody is at risk nothing is known; after everybody has churned it is 0."""
    fates = work.select(
        "SELECT age, CAST(SUM(CASE WHEN known THEN remaining + churned ELSE 0 END) AS BIGINT) AS at_risk,"
        " CAST(SUM(CASE WHEN known THEN churned ELSE 0 END) AS BIGINT) AS churned FROM totals GROUP BY age",
        known=_known(work),
    )
    curve = work.select(
        "SELECT age, at_risk, churned,"
        " SUM(CASE WHEN at_risk > churned THEN LN(CAST(at_risk - churned AS DOUBLE) / at_risk) ELSE 0.0e0 END)"
        " OVER (ORDER BY age NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS log_survival,"
        " SUM(CASE WHEN at_risk > churned THEN CAST(churned AS DOUBLE) / at_risk / (at_risk - churned) ELSE 0.0e0 END)"
        " OVER (ORDER BY age NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS spread,"
        " MAX(CASE WHEN at_risk > 0 AND at_risk = churned THEN 1 ELSE 0 END)"
        " OVER (ORDER BY age NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS ended FROM fates"
    )
    table = work.select(
        "SELECT age AS period_number, CASE WHEN at_risk > 0 OR ended = 1 THEN at_risk END AS at_risk,"
        " CASE WHEN at_risk > 0 OR ended = 1 THEN churned END AS churned,"
        " CASE WHEN at_risk > 0 THEN CAST(churned AS DOUBLE) / at_risk END AS churn_rate,"
        " CASE WHEN ended = 1 THEN 0.0e0 WHEN at_risk > 0 THEN EXP(log_survival) END AS survival,"
        " CASE WHEN ended = 0 AND at_risk > 0 THEN EXP(log_survival) * SQRT(spread) END AS std_error FROM curve"
    )
    return {
        **_remaining(work),
        "fates": work.grouped(fates),
        "curve": work.by_group(curve),
        "table": work.shown(table),
    }


def _active(work: Work, step: str) -> exp.Select:
    """Who is active, and their share, where the period has begun."""
    table = work.select(
        "SELECT cohort, age AS period_number, customers, CASE WHEN later >= 0 THEN active END AS active,"
        " CASE WHEN later >= 0 THEN CAST(active AS DOUBLE) / customers END AS retention FROM counted"
    )
    return work.shown(table.from_(work.tables[step]))


def _cells_of_ends(work: Work, name: str) -> exp.Select:
    """How many customers have their `ends` at an age."""
    cells = work.select(
        "SELECT first_number, end_number - first_number AS age, COUNT(*) AS ended"
        " FROM ends JOIN members ON ends.customer = members.customer"
        " GROUP BY first_number, end_number - first_number"
    )
    cells.expressions[-1].set("alias", exp.to_identifier(name))
    return work.grouped(cells)


def _remaining(work: Work) -> Steps:
    """The steps up to `totals`: who churned at an age, and who remains. A gap's first period is where its customer did.

    After a customer's last purchase the gap is as long as there have been periods since.
    """
    gaps = work.select(
        "SELECT customer, number, LEAD(number) OVER (PARTITION BY customer ORDER BY number NULLS LAST) AS next_number"
        " FROM activity"
    )
    ends = work.select(
        "SELECT customer, MIN(number) + 1 AS end_number FROM gaps CROSS JOIN newest"
        " WHERE COALESCE(next_number - 1, last_number) - number >= churn_after GROUP BY customer",
        churn_after=exp.Literal.number(work.context.options.get("churn_after", 1)),
    )
    totals = work.select(
        "SELECT cohort, age, customers, later, churned, CAST(customers - SUM(churned) OVER (PARTITION BY first_number"
        " ORDER BY age NULLS LAST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS BIGINT) AS remaining"
        " FROM counted"
    )
    return {
        **active_steps(work),
        "gaps": gaps,
        "ends": ends,
        "cells": _cells_of_ends(work, "churned"),
        "counted": work.counted("churned"),
        "totals": work.by_group(totals),
    }


def most_periods(work: Work) -> int | None:
    """How many periods the rows can lie in at most, where that is proven and they are not many more than BITS."""
    bounds, period = work.context.bounds("time"), str(work.context.options.get("period", "month"))
    if bounds is None or not isinstance(bounds.low, dt.date) or not isinstance(bounds.high, dt.date):
        return None
    # A time zone may move a row to the day before or after.
    low = dt.date.fromordinal(max(bounds.low.toordinal() - 1, 1))
    high = dt.date.fromordinal(min(bounds.high.toordinal() + 1, dt.date.max.toordinal()))
    if (high - low).days > BITS * LONGEST[period]:
        return None
    if period == "day":
        return (high - low).days + 1
    found, start = 0, work.context.calendar.start_of(low, period)
    while start <= high and found <= BITS:
        found, start = found + 1, work.context.calendar.moved(start, 1, period)
    return found


def _known(work: Work) -> exp.Expr:
    """Whether it is known who churned at an age: the gap's last period has begun. Nobody churns at age 0."""
    more = exp.Literal.number(int(work.context.options.get("churn_after", 1)) - 1)
    return exp.paren(expression("age = 0 OR later >= more", more=more))


STEPS: Mapping[str | None, Callable[[Work], Steps]] = {
    None: retention,
    "rolling": rolling,
    "recurring": recurring,
    "revenue": revenue,
    "repeat": repeat,
    "churn": churn,
    "survival": survival,
}
"""The steps of each table after those that all share, by the part of its name behind the dot."""
