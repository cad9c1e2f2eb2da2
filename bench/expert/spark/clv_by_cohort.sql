-- One row a customer and month, and the cohort its least; then revenue by cohort and month, spread out at the end.
WITH a AS (
  SELECT customer_id, year(ordered_at) * 12 + month(ordered_at) - 1 AS ym, sum(amount) AS revenue
  FROM orders WHERE status = 'completed' GROUP BY ALL),
f AS (SELECT ym, revenue, min(ym) OVER (PARTITION BY customer_id) AS c FROM a),
g AS (SELECT c, ym, count(*) AS active, sum(revenue) AS revenue FROM f GROUP BY ALL),
h AS (
  SELECT c, max(CASE WHEN ym = c THEN active END) AS customers, max(CASE WHEN ym = c THEN revenue END) AS first,
    map_from_entries(collect_list(struct(ym, revenue))) AS months
  FROM g GROUP BY c),
p AS (SELECT *, explode(sequence(0, 35)) AS period_number FROM h),
r AS (
  SELECT *, CASE WHEN c + period_number <= 24299 THEN coalesce(try_element_at(months, c + period_number), 0) END AS revenue
  FROM p),
t AS (
  SELECT *, CASE WHEN revenue IS NOT NULL THEN sum(revenue) OVER (PARTITION BY c ORDER BY period_number) END AS to_date
  FROM r)
SELECT make_date(c DIV 12, c % 12 + 1, 1) AS cohort, period_number, customers, revenue, to_date AS revenue_to_date,
  CAST(revenue AS DOUBLE) / nullif(first, 0) AS revenue_retention, CAST(to_date AS DOUBLE) / customers AS clv
FROM t ORDER BY cohort, period_number
