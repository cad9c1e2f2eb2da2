WITH orders_rows AS (
  SELECT
    ordered_at,
    amount
  FROM orders
), orders_by_month AS (
  SELECT
    CAST(DATE_TRUNC('MONTH', CAST(ordered_at AS DATE)) AS DATE) AS month,
    CAST(SUM(amount) AS BIGINT) AS amount
  FROM orders_rows
  GROUP BY
    1
)
SELECT
  month,
  amount
FROM orders_by_month
ORDER BY
  month ASC
