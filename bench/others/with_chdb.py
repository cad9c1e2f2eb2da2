"""The workloads in ClickHouse's SQL, run embedded (chDB), as someone at home in ClickHouse writes them.

Left out: the funnel, whose windowFunnel counts and knows no times; RFM and cohorts, which would be the expert's SQL
once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

_SALES = """
SELECT toStartOfMonth(ordered_at) AS month, channel, sum(amount) AS revenue, count() AS orders,
    toFloat64(revenue) / orders AS aov, uniqExact(customer_id) AS buyers
FROM {orders} o LEFT JOIN {customers} c USING (customer_id) WHERE status = 'completed' GROUP BY month, channel"""
_TWENTY = """
SELECT toStartOfMonth(ordered_at) AS month, channel, sumIf(amount, status = 'completed') AS completed_revenue,
    countIf(status = 'completed') AS completed_orders, toFloat64(completed_revenue) / completed_orders AS completed_aov,
    uniqExactIf(customer_id, status = 'completed') AS completed_buyers, sum(amount) AS gross_revenue,
    count() AS all_orders,
    countIf(status = 'cancelled') AS cancelled_orders, countIf(status = 'pending') AS pending_orders,
    countIf(status = 'refunded') AS refunded_orders, sumIf(amount, status = 'refunded') AS refunded_amount,
    cancelled_orders / all_orders AS cancel_rate, refunded_orders / all_orders AS refund_rate,
    completed_revenue - refunded_amount AS net_revenue,
    sumIf(amount, status = 'completed' AND product_line = 'basic') AS basic_revenue,
    sumIf(amount, status = 'completed' AND product_line = 'plus') AS plus_revenue,
    sumIf(amount, status = 'completed' AND product_line = 'enterprise') AS enterprise_revenue,
    countIf(status = 'completed' AND amount >= 200) AS big_orders, maxIf(amount, status = 'completed') AS largest_order,
    minIf(amount, status = 'completed') AS smallest_order,
    toFloat64(completed_revenue) / completed_buyers AS revenue_per_buyer
FROM {orders} o LEFT JOIN {customers} c USING (customer_id) GROUP BY month, channel"""
_YTD = """
WITH m AS (
    SELECT toStartOfMonth(ordered_at) AS month, sum(amount) AS revenue FROM {orders} WHERE status = 'completed'
    GROUP BY month)
SELECT month, revenue, sum(revenue) OVER (PARTITION BY toYear(month) ORDER BY month) AS revenue_ytd,
    lagInFrame(toNullable(revenue), 12) OVER w AS revenue_year_before,
    toFloat64(revenue) / toFloat64(revenue_year_before) - 1 AS revenue_yoy
FROM m WINDOW w AS (ORDER BY month ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"""
_ACQUISITION = """
WITH f AS (
    SELECT customer_id, min(ordered_at) AS first_at, sum(amount) AS revenue FROM {orders} WHERE status = 'completed'
    GROUP BY customer_id),
a AS (
    SELECT toStartOfMonth(first_at) AS month, channel, count() AS n, sum(f.revenue) AS revenue
    FROM f LEFT JOIN {customers} c USING (customer_id) GROUP BY month, channel),
s AS (
    SELECT toStartOfMonth(day) AS month, channel, sum(cost) AS cost FROM {spend}
    WHERE lower(trim(category)) IS DISTINCT FROM 'planned' GROUP BY month, channel)
SELECT month, channel, cost AS acquisition_cost, coalesce(n, 0) AS new_customers, toFloat64(cost) / nullIf(n, 0) AS cac,
    .6 * toFloat64(revenue) / n AS ltv, .6 * toFloat64(revenue) / toFloat64(cost) AS ltv_cac
FROM a FULL JOIN s USING (month, channel)"""
_NPS = """
WITH 1.959963984540054 AS z, m AS (
    SELECT toStartOfMonth(responded_at) AS month, toInt64(countIf(nps BETWEEN 9 AND 10)) AS p,
        toInt64(countIf(nps BETWEEN 0 AND 6)) AS q, toInt64(countIf(nps BETWEEN 0 AND 10)) AS n,
        toInt64(countIf(csat IN ('excellent', 'good'))) AS x,
        toInt64(countIf(csat IN ('excellent', 'good', 'average', 'poor'))) AS c
    FROM {survey} GROUP BY month),
t AS (
    SELECT *, 100 * (p - q) / (n + 3) AS mid,
        100 * sqrt(((p + q + 1.5) / (n + 3) - pow((p - q) / (n + 3), 2)) / (n + 3)) AS e,
        z * sqrt(x * (c - x) / c + z * z / 4) AS half FROM m)
SELECT month, n AS nps_responses, 100 * (p - q) / n AS nps, greatest(-100, mid - z * e) AS nps_low,
    least(100, mid + z * e) AS nps_high, c AS csat_responses, x / c AS csat,
    greatest(0, (x + z * z / 2 - half) / (c + z * z)) AS csat_low,
    least(1, (x + z * z / 2 + half) / (c + z * z)) AS csat_high FROM t"""

FORMS: Mapping[str, str] = {
    "monthly_sales": _SALES,
    "twenty_metrics": _TWENTY,
    "year_to_date": _YTD,
    "acquisition": _ACQUISITION,
    "nps_csat": _NPS,
}
_SETTINGS = (
    "SETTINGS join_use_nulls = 1, session_timezone = 'UTC', output_format_arrow_date_as_uint16 = 0,"
    " output_format_arrow_string_as_string = 1, allow_experimental_analyzer = 1"
)


@cache
def _session() -> Any:
    from chdb import session

    make: Any = session.Session
    return make()


def answer(name: str, data: Path) -> object:
    """The answer as an Arrow table."""
    tables = {table: f"file('{data / table}.parquet', Parquet)" for table in ("orders", "customers", "spend", "survey")}
    return _session().query(f"{FORMS[name].format(**tables)} {_SETTINGS}", "ArrowTable")
