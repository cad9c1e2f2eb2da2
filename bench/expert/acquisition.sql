-- One row a customer, the channel after, months last.
WITH f AS (
  SELECT customer_id, min(ordered_at) AS first_at, sum(amount) AS revenue
  FROM orders WHERE status = 'completed' GROUP BY 1),
a AS (
  SELECT date_trunc('month', first_at)::DATE AS month, channel, count(*) AS n, sum(revenue) AS revenue
  FROM f LEFT JOIN customers USING (customer_id) GROUP BY ALL),
s AS (
  SELECT date_trunc('month', day)::DATE AS month, channel, sum(cost) AS cost
  FROM spend WHERE lower(trim(category)) IS DISTINCT FROM 'planned' GROUP BY ALL)
SELECT month, channel, cost AS acquisition_cost, coalesce(n, 0) AS new_customers, cost / n AS cac,
  (0.6 * revenue / n)::DOUBLE AS ltv, (0.6 * revenue / cost)::DOUBLE AS ltv_cac
FROM a FULL JOIN s USING (month, channel) ORDER BY 1, 2
