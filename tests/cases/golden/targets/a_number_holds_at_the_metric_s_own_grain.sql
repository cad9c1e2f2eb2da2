WITH sales_rows AS (
  SELECT
    day,
    amount
  FROM sales
), sales_by_month AS (
  SELECT
    CAST(DATE_TRUNC('MONTH', day) AS DATE) AS month,
    CAST(SUM(amount) AS BIGINT) AS revenue
  FROM sales_rows
  GROUP BY
    1
), sales_by_month_parts AS (
  SELECT
    month,
    revenue,
    CAST(revenue AS DOUBLE) / NULLIF(CASE WHEN NOT month IS NULL THEN CAST(100 AS DOUBLE) END, 0) AS revenue_attainment
  FROM sales_by_month
)
SELECT
  month,
  revenue,
  CASE WHEN NOT month IS NULL THEN CAST(100 AS DOUBLE) END AS revenue_target,
  revenue_attainment,
  CASE
    WHEN revenue_attainment >= 1
    THEN 'on'
    WHEN revenue_attainment >= 0.9
    THEN 'near'
    WHEN NOT revenue_attainment IS NULL
    THEN 'off'
  END AS revenue_status
FROM sales_by_month_parts
ORDER BY
  month ASC
