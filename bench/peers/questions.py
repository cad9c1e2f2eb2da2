"""What peers are asked: measures at a grain. The rest is computed over their few rows, at no cost."""

from __future__ import annotations

DONE = "status = 'completed'"


def _both(*conditions: str) -> str:
    return " AND ".join(conditions)


SALES = {
    "revenue": ("sum", "amount", DONE),
    "orders": ("count", "", DONE),
    "buyers": ("distinct", "customer_id", DONE),
}
TWENTY = {
    "completed_revenue": ("sum", "amount", DONE),
    "completed_orders": ("count", "", DONE),
    "completed_buyers": ("distinct", "customer_id", DONE),
    "gross_revenue": ("sum", "amount", ""),
    "all_orders": ("count", "", ""),
    "cancelled_orders": ("count", "", "status = 'cancelled'"),
    "pending_orders": ("count", "", "status = 'pending'"),
    "refunded_orders": ("count", "", "status = 'refunded'"),
    "refunded_amount": ("sum", "amount", "status = 'refunded'"),
    "basic_revenue": ("sum", "amount", _both(DONE, "product_line = 'basic'")),
    "plus_revenue": ("sum", "amount", _both(DONE, "product_line = 'plus'")),
    "enterprise_revenue": ("sum", "amount", _both(DONE, "product_line = 'enterprise'")),
    "big_orders": ("count", "", _both(DONE, "amount >= 200")),
    "largest_order": ("max", "amount", DONE),
    "smallest_order": ("min", "amount", DONE),
}
ANSWERS = {
    "p": ("count", "", "nps BETWEEN 9 AND 10"),
    "q": ("count", "", "nps BETWEEN 0 AND 6"),
    "n": ("count", "", "nps BETWEEN 0 AND 10"),
    "x": ("count", "", "csat IN ('excellent', 'good')"),
    "m": ("count", "", "csat IN ('excellent', 'good', 'average', 'poor')"),
}
MEASURES = {"monthly_sales": SALES, "twenty_metrics": TWENTY, "nps_csat": ANSWERS}

OVER = {
    "monthly_sales": "SELECT *, revenue / orders AS aov FROM ({inner}) ORDER BY month, channel",
    "twenty_metrics": """
        SELECT *, completed_revenue / nullif(completed_orders, 0) AS completed_aov,
            cancelled_orders / all_orders AS cancel_rate, refunded_orders / all_orders AS refund_rate,
            completed_revenue - refunded_amount AS net_revenue,
            completed_revenue / nullif(completed_buyers, 0) AS revenue_per_buyer
        FROM ({inner}) ORDER BY month, channel""",
    "nps_csat": """
        SELECT month, n AS nps_responses, 100 * (p - q) / n AS nps, greatest(-100, mid - z * se) AS nps_low,
            least(100, mid + z * se) AS nps_high, m AS csat_responses, x / m AS csat,
            greatest(0, (x + z * z / 2 - half) / (m + z * z)) AS csat_low,
            least(1, (x + z * z / 2 + half) / (m + z * z)) AS csat_high
        FROM (
            SELECT *, 1.959963984540054::DOUBLE AS z, 100 * (p - q) / (n + 3) AS mid,
                100 * sqrt(((p + q + 1.5) / (n + 3) - ((p - q) / (n + 3)) ** 2) / (n + 3)) AS se,
                1.959963984540054::DOUBLE * sqrt(x * (m - x) / m + 1.959963984540054::DOUBLE ** 2 / 4) AS half
            FROM ({inner}))
        ORDER BY month""",
}
