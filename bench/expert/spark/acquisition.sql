-- One row a customer, the channel after.
WITH f AS (
  SELECT customer_id, min(ordered_at) AS first_at, sum(amount) AS revenue
  FROM orders WHERE status = 'completed' GROUP BY 1),
a AS (
  SELECT CAST(date_trunc('MONTH', first_at) AS DATE) AS month, channel, count(*) AS n, sum(revenue) AS revenue
  FROM f LEFT JOIN customers ON f.customer_id = customers.customer_id GROUP BY ALL),
s AS (
  SELECT CAST(date_trunc('MONTH', day) AS DATE) AS month, channel, sum(cost) AS cost
  FROM spend WHERE lower(trim(category)) IS DISTINCT FROM 'planned' GROUP BY ALL)
SELECT coalesce(a.month, s.month) AS month, coalesce(a.channel, s.channel) AS channel, cost AS acquisition_cost,
  coalesce(n, 0) AS new_customers, CAST(cost AS DOUBLE) / n AS cac,
  0.6D * CAST(revenue AS DOUBLE) / n AS ltv, 0.6D * CAST(revenue AS DOUBLE) / CAST(cost AS DOUBLE) AS ltv_cac
FROM a FULL JOIN s ON a.month <=> s.month AND a.channel <=> s.channel
ORDER BY month, channel
