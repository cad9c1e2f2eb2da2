-- One row a customer and month; the cohort is the least of them. What is left is a few hundred groups, spread out at the end.
WITH a AS (
  SELECT customer_id, year(ordered_at) * 12 + month(ordered_at) - 1 AS ym, sum(amount) AS revenue
  FROM orders WHERE status = 'completed' GROUP BY ALL),
f AS (SELECT ym, revenue, min(ym) OVER (PARTITION BY customer_id) AS c FROM a),
g AS (SELECT c, ym, count(*) AS active, sum(revenue) AS revenue FROM f GROUP BY ALL),
h AS (
  SELECT c, max(CASE WHEN ym = c THEN active END) AS customers,
    map_from_entries(collect_list(struct(ym, struct(active, revenue)))) AS months
  FROM g GROUP BY c),
p AS (SELECT *, explode(sequence(0, 35)) AS period_number FROM h)
SELECT make_date(c DIV 12, c % 12 + 1, 1) AS cohort, period_number, customers,
  CASE WHEN c + period_number <= 24299 THEN coalesce(try_element_at(months, c + period_number).active, 0) END AS active,
  CAST(CASE WHEN c + period_number <= 24299 THEN coalesce(try_element_at(months, c + period_number).active, 0) END AS DOUBLE) / customers AS retention,
  CASE WHEN c + period_number <= 24299 THEN coalesce(try_element_at(months, c + period_number).revenue, 0) END AS revenue
FROM p
ORDER BY cohort, period_number
