WITH orders_rows AS (
  SELECT
    ordered_at,
    channel,
    amount
  FROM orders
), costs_rows AS (
  SELECT
    spent_at,
    channel,
    amount
  FROM costs
), orders_by_channel AS (
  SELECT
    channel,
    SUM(amount) AS revenue,
    COUNT(*) AS orders
  FROM orders_rows
  GROUP BY
    1
), costs_by_channel AS (
  SELECT
    channel,
    SUM(amount) AS cost,
    COUNT(*) AS entries
  FROM costs_rows
  GROUP BY
    1
), together_by_channel AS (
  SELECT
    channel,
    MAX(revenue) AS revenue,
    MAX(orders) AS orders,
    MAX(cost) AS cost,
    MAX(entries) AS entries
  FROM (
    SELECT
      channel,
      revenue,
      orders,
      NULL AS cost,
      NULL AS entries
    FROM orders_by_channel
    UNION ALL
    SELECT
      channel,
      NULL AS revenue,
      NULL AS orders,
      cost,
      entries
    FROM costs_by_channel
  ) AS parts
  GROUP BY
    channel
)
SELECT
  channel,
  revenue,
  COALESCE(orders, 0) AS orders,
  cost,
  COALESCE(entries, 0) AS entries
FROM together_by_channel
ORDER BY
  channel ASC
