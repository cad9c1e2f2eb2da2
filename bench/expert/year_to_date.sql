-- Days first; all the rest is over 36 months.
WITH d AS (SELECT ordered_at::DATE AS d, sum(amount) AS revenue FROM orders WHERE status = 'completed' GROUP BY 1),
m AS (SELECT date_trunc('month', d)::DATE AS month, sum(revenue) AS revenue FROM d GROUP BY 1)
SELECT month, revenue, sum(revenue) OVER (PARTITION BY year(month) ORDER BY month) AS revenue_ytd,
  lag(revenue, 12) OVER (ORDER BY month) AS revenue_year_before,
  revenue / lag(revenue, 12) OVER (ORDER BY month) - 1 AS revenue_yoy
FROM m ORDER BY 1
