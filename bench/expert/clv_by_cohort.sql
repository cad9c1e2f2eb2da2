-- A customer's first month, then revenue by cohort and day, folded into months.
WITH firsts AS MATERIALIZED (
  SELECT customer_id, (year(first_at) * 12 + month(first_at) - 1)::SMALLINT AS cohort
  FROM (SELECT customer_id, min(ordered_at) AS first_at FROM orders WHERE status = 'completed' GROUP BY 1)),
sizes AS (SELECT cohort, count(*) AS customers FROM firsts GROUP BY 1),
days AS (
  SELECT cohort, ordered_at::DATE AS d, sum(amount) AS revenue
  FROM orders JOIN firsts USING (customer_id) WHERE status = 'completed' GROUP BY ALL),
spent AS (
  SELECT cohort, year(d) * 12 + month(d) - 1 AS ym, sum(revenue) AS revenue FROM days GROUP BY ALL),
grid AS (
  SELECT cohort, customers, unnest(range(36)) AS period_number FROM sizes),
f AS (
  SELECT g.cohort, g.period_number, customers,
    CASE WHEN g.cohort + g.period_number <= 24299 THEN coalesce(revenue, 0) END AS revenue
  FROM grid g LEFT JOIN spent s ON s.cohort = g.cohort AND s.ym = g.cohort + g.period_number
  WHERE g.period_number <= 24299 - (SELECT min(cohort) FROM sizes)),
t AS (
  SELECT *, CASE WHEN revenue IS NOT NULL THEN sum(revenue) OVER w END AS to_date, first_value(revenue) OVER w AS first
  FROM f WINDOW w AS (PARTITION BY cohort ORDER BY period_number))
SELECT make_date(cohort // 12, cohort % 12 + 1, 1) AS cohort, period_number, customers, revenue,
  to_date AS revenue_to_date, revenue / nullif(first, 0) AS revenue_retention, to_date / customers AS clv
FROM t ORDER BY ALL
