WITH orders_rows AS (
  SELECT
    ordered_at,
    customer_id,
    amount
  FROM orders
), customers_rows AS (
  SELECT
    customer_id,
    channel
  FROM customers
), orders_joined AS (
  SELECT
    orders_rows.ordered_at,
    orders_rows.customer_id,
    orders_rows.amount,
    customers.channel AS customers_channel
  FROM orders_rows
  LEFT JOIN customers_rows AS customers
    ON orders_rows.customer_id = customers.customer_id
), orders_by_channel AS (
  SELECT
    customers_channel AS channel,
    SUM(amount) AS revenue,
    COUNT(*) AS lines
  FROM orders_joined
  GROUP BY
    1
)
SELECT
  channel,
  revenue,
  lines
FROM orders_by_channel
ORDER BY
  channel ASC
