WITH orders_rows AS (
  SELECT
    ordered_at,
    amount
  FROM orders
), orders_by_month AS (
  SELECT
    CAST(DATE_TRUNC('MONTH', ordered_at) AS DATE) AS month,
    CAST(SUM(amount) AS BIGINT) AS amount
  FROM orders_rows
  GROUP BY
    1
), months_span AS (
  SELECT
    MIN(month) AS low,
    MAX(month) AS high
  FROM orders_by_month
), months_days AS (
  SELECT
    CAST(UNNEST(GENERATE_SERIES(low, high, INTERVAL '1' DAY)) AS DATE) AS day
  FROM months_span
), months_starts AS (
  SELECT DISTINCT
    CAST(DATE_TRUNC('MONTH', day) AS DATE) AS month
  FROM months_days
), months AS (
  SELECT
    month,
    CAST(month + INTERVAL '1' MONTH AS DATE) - 1 AS last_day,
    CAST(month - INTERVAL '1' MONTH AS DATE) AS prior_1_month
  FROM months_starts
), grid_by_month AS (
  SELECT
    month,
    prior_1_month
  FROM months
  UNION ALL
  SELECT
    month,
    CAST(NULL AS DATE) AS prior_1_month
  FROM orders_by_month
  WHERE
    month IS NULL
)
SELECT
  grid_by_month.month,
  orders_by_month.amount,
  orders_by_month_prior_1_month.amount AS before,
  orders_by_month.amount / NULLIF(orders_by_month_prior_1_month.amount, 0) - 1 AS growth
FROM grid_by_month
LEFT JOIN orders_by_month
  ON grid_by_month.month IS NOT DISTINCT FROM orders_by_month.month
LEFT JOIN orders_by_month AS orders_by_month_prior_1_month
  ON grid_by_month.prior_1_month = orders_by_month_prior_1_month.month
ORDER BY
  grid_by_month.month ASC
