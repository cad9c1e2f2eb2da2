-- One pass over each side; Spark counts distinct customers in two steps, by customer and then by group.
SELECT CAST(date_trunc('MONTH', ordered_at) AS DATE) AS month, channel, sum(amount) AS revenue, count(*) AS orders,
  CAST(sum(amount) AS DOUBLE) / count(*) AS aov, count(DISTINCT orders.customer_id) AS buyers
FROM orders LEFT JOIN customers ON orders.customer_id = customers.customer_id
WHERE status = 'completed'
GROUP BY ALL
ORDER BY month, channel
