WITH orders_rows AS (
  SELECT
    ordered_at,
    channel,
    amount,
    qty
  FROM orders
), orders_by_channel AS (
  SELECT
    channel,
    COUNT(*) AS orders_count,
    SUM(amount) AS revenue_sum,
    CAST(SUM(qty) AS BIGINT) AS pieces_sum
  FROM orders_rows
  GROUP BY
    1
)
SELECT
  channel,
  revenue_sum / NULLIF(orders_count, 0) AS aov,
  revenue_sum / NULLIF(pieces_sum, 0) AS per_piece
FROM orders_by_channel
ORDER BY
  channel ASC
