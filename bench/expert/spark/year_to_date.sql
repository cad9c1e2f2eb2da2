WITH m AS (
  SELECT CAST(date_trunc('MONTH', ordered_at) AS DATE) AS month, sum(amount) AS revenue
  FROM orders WHERE status = 'completed' GROUP BY 1)
SELECT month, revenue, sum(revenue) OVER (PARTITION BY year(month) ORDER BY month) AS revenue_ytd,
  lag(revenue, 12) OVER (ORDER BY month) AS revenue_year_before,
  CAST(revenue AS DOUBLE) / lag(revenue, 12) OVER (ORDER BY month) - 1 AS revenue_yoy
FROM m
ORDER BY month
