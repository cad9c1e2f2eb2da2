"""The SQL of `clv`: customers to date, their histories of purchase days, and the model's numbers put beside them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from sqlglot import exp

from kpiengine.calendar import expression
from kpiengine.kind import Cte, KindContext
from kpiengine_plugins.orders import INTEGERS, counted_orders, date, not_later, select, summed

STEPS = (
    "customers", "days", "purchases", "spans", "last_day", "histories", "summary", "model", "forecasts", "alive",
    "scores", "values",
)  # fmt: skip
"""What the common table expressions hold; each is named after the metric and this."""

DAYS_IN = {"day": 1, "week": 7}
"""Days in the units of time that the model may count in."""


def historical(context: KindContext, as_of: dt.date | None, margin: float) -> list[Cte]:
    """`customers` and `values`: orders, revenue, first and last order, and the revenue's margin."""
    tables = _tables(context)
    values = select(
        "SELECT customer AS entity, orders, revenue, first_order, last_order,"
        " CAST(revenue AS DOUBLE) * margin AS clv FROM customers",
        tables,
        margin=exp.convert(margin),
    )
    return [_customers(context, as_of), Cte(tables["values"], _entity_named(values, context))]


def histories(context: KindContext, as_of: dt.date | None) -> list[Cte]:
    """The steps up to `histories`: customer, repeats (x), active (t_x) and age (T) in days, mean_spend.

    A customer's purchases of one day are one. The mean leaves out the first day, and is NULL without others.
    """
    tables, day = _tables(context), context.day("time")
    days = select(
        "SELECT customer, day_of AS day, spent AS spend FROM input"
        " WHERE customer IS NOT NULL AND day_of IS NOT NULL GROUP BY customer, day_of",
        tables,
        day_of=day,
        spent=summed(context),
    ).where(*not_later(day, as_of))
    steps = [Cte(tables["days"], days), *_spans(context)]
    found = select(
        "SELECT customer, CAST(repeats AS BIGINT) AS repeats,"
        " CAST(DATE_DIFF('day', first_day, last_day) AS BIGINT) AS active,"
        " CAST(DATE_DIFF('day', first_day, seen) AS BIGINT) AS age, mean_spend FROM spans",
        tables,
        seen=exp.column("seen") if as_of is None else date(as_of),
    )
    if as_of is None:
        newest = select("SELECT MAX(last_day) AS seen FROM spans", tables)
        steps.append(Cte(tables["last_day"], newest))
        found = found.join(tables["last_day"], join_type="cross")
    return [*steps, Cte(tables["histories"], found)]


def _spans(context: KindContext) -> list[Cte]:
    """The steps from `days` to `spans`: customer, first_day, last_day, repeats, mean_spend."""
    tables, amount = _tables(context), context.types.get("amount", "").upper()
    if context.dialect == "duckdb" and amount.startswith((*INTEGERS, "DECIMAL")):
        # Sums of these are exact, so that what was spent on the first day can be taken off again.
        spans = select(
            "SELECT customer, MIN(day) AS first_day, MAX(day) AS last_day, COUNT(*) - 1 AS repeats,"
            " CASE WHEN COUNT(*) > 1"
            " THEN CAST(SUM(spend) - ARG_MIN(spend, day) AS DOUBLE) / (COUNT(*) - 1) END AS mean_spend"
            " FROM days GROUP BY customer",
            tables,
        )
        return [Cte(tables["spans"], spans)]
    placed = select("SELECT customer, day, spend, MIN(day) OVER (PARTITION BY customer) AS first_day FROM days", tables)
    spans = select(
        "SELECT customer, first_day, MAX(day) AS last_day, COUNT(*) - 1 AS repeats,"
        " AVG(CASE WHEN day > first_day THEN CAST(spend AS DOUBLE) END) AS mean_spend"
        " FROM purchases GROUP BY customer, first_day",
        tables,
    )
    return [Cte(tables["purchases"], placed), Cte(tables["spans"], spans)]


def counted(context: KindContext) -> Cte:
    """Distinct histories with their customers, and below them distinct spends: the model is fitted to these."""
    tables = _tables(context)
    alike = select(
        "SELECT repeats, active, age, CAST(NULL AS DOUBLE) AS mean_spend, COUNT(*) AS customers"
        " FROM histories GROUP BY repeats, active, age",
        tables,
    )
    spends = select(
        "SELECT repeats, CAST(NULL AS BIGINT) AS active, CAST(NULL AS BIGINT) AS age, mean_spend, COUNT(*) AS customers"
        " FROM histories WHERE repeats > 0 GROUP BY repeats, mean_spend",
        tables,
    )
    return Cte(tables["summary"], exp.union(alike, spends, distinct=False))


def valued(context: KindContext, as_of: dt.date | None, margin: float) -> list[Cte]:
    """The steps from `customers` to `values`, over `histories`, `model` (one row), `forecasts` (by x and T), and
    for Pareto/NBD `alive` (by x, t_x and T)."""
    tables = _tables(context)
    scores = select(
        "SELECT histories.customer, histories.repeats, histories.age, chance AS p_alive,"
        " CASE WHEN histories.repeats = 0 THEN p * v / (q - 1)"
        " WHEN mean_spend > 0 THEN p * (v + histories.repeats * mean_spend) / (p * histories.repeats + q - 1)"
        " END AS expected_value FROM histories CROSS JOIN model",
        tables,
        chance=_chance_of_being_alive(context),
    )
    if context.options["model"] == "paretonbd":
        same = "histories.repeats = alive.repeats AND histories.active = alive.active AND histories.age = alive.age"
        scores = scores.join(exp.to_table(tables["alive"], alias="alive"), on=expression(same), join_type="left")
    values = select(
        "SELECT customers.customer AS entity, orders, revenue, first_order, last_order,"
        " margin * expected_value * p_alive * discounted_purchases AS clv, p_alive,"
        " p_alive * purchases AS expected_orders, expected_value"
        " FROM customers LEFT JOIN scores ON customers.customer = scores.customer"
        " LEFT JOIN forecasts ON scores.repeats = forecasts.repeats AND scores.age = forecasts.age",
        tables,
        margin=exp.convert(margin),
    )
    return [
        _customers(context, as_of),
        Cte(tables["scores"], scores),
        Cte(tables["values"], _entity_named(values, context)),
    ]


def _chance_of_being_alive(context: KindContext) -> exp.Expr:
    """The probability of being a customer yet, over `histories` and `model`, or as it stands in `alive`.

    In BG/NBD nobody leaves before the first repeat purchase.
    """
    model = context.options["model"]
    if model == "paretonbd":
        return exp.column("p_alive", table="alive")
    chances = "histories.repeats" if model == "mbgnbd" else "GREATEST(histories.repeats, 1) - 1"
    # The odds of having left; the logarithm is cut where 1 / (1 + odds) is 0 anyhow, before exp() overflows.
    alive = expression(
        "1 / (1 + EXP(LEAST(LN(a / (b + chances)) + (r + histories.repeats) * LN("
        "(alpha + CAST(histories.age AS DOUBLE) / unit) / (alpha + CAST(histories.active AS DOUBLE) / unit)), 700)))",
        unit=exp.Literal.number(DAYS_IN[context.options["unit"]]),
        chances=expression(chances),
    )
    if model == "mbgnbd":
        return alive
    return expression("CASE WHEN histories.repeats = 0 THEN 1.0e0 ELSE alive END", alive=alive)


def _tables(context: KindContext) -> Mapping[str, str]:
    """The names of steps in the texts here → in the statement, where they start with the metric's."""
    return {"input": context.rows, **{step: f"{context.name}_{step}" for step in STEPS}}


def _customers(context: KindContext, as_of: dt.date | None) -> Cte:
    day, tables = context.day("time"), _tables(context)
    query = select(
        "SELECT customer, counted AS orders, spent AS revenue, MIN(day_of) AS first_order, MAX(day_of) AS last_order"
        " FROM input WHERE customer IS NOT NULL GROUP BY customer",
        tables,
        counted=counted_orders(context),
        spent=summed(context),
        day_of=day,
    )
    return Cte(tables["customers"], query.where(*not_later(day, as_of)))


def _entity_named(query: exp.Select, context: KindContext) -> exp.Select:
    """The query with its first column named as the source's is."""
    query.expressions[0].set("alias", exp.to_identifier(context.entity, quoted=context.entity != "customer"))
    return query
