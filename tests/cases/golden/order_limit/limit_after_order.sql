WITH orders_rows AS (
  SELECT
    ordered_at,
    channel,
    amount
  FROM orders
), orders_by_channel AS (
  SELECT
    channel,
    CAST(SUM(amount) AS BIGINT) AS amount
  FROM orders_rows
  GROUP BY
    1
)
SELECT
  channel,
  amount
FROM orders_by_channel
ORDER BY
  amount DESC,
  channel ASC
LIMIT 2
