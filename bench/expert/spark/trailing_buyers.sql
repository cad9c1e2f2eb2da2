-- A customer's days, each with the one after it: from each day on the customer counts for 28 days or until that one.
WITH d AS (
  SELECT DISTINCT customer_id, CAST(ordered_at AS DATE) AS day FROM orders WHERE status = 'completed'),
n AS (
  SELECT day, least(date_add(day, 28), lead(day) OVER (PARTITION BY customer_id ORDER BY day)) AS until FROM d),
moves AS (
  SELECT day, count(*) AS n FROM n GROUP BY day UNION ALL SELECT until, -count(*) FROM n GROUP BY until),
days AS (SELECT day, sum(n) AS n FROM moves GROUP BY day)
SELECT day, sum(n) OVER (ORDER BY day) AS buyers_28d
FROM days WHERE day <= (SELECT max(day) FROM d)
ORDER BY day
