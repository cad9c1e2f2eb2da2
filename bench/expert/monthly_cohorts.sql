-- Whether a customer was active in a month is a bit of one mask; the lowest bit is the cohort.
WITH masks AS (
  SELECT customer_id, bit_or(1::BIGINT << ((year(ordered_at) * 12 + month(ordered_at) - 1) - 24264)) AS mask
  FROM orders WHERE status = 'completed' GROUP BY 1),
firsts AS MATERIALIZED (
  SELECT customer_id, (24264 + bit_count((mask & -mask) - 1))::SMALLINT AS cohort, mask FROM masks),
bits AS (
  SELECT cohort, count(*) AS customers, 24264 + unnest(range(36)) AS ym, unnest([
      sum((mask >> 0) & 1), sum((mask >> 1) & 1), sum((mask >> 2) & 1), sum((mask >> 3) & 1),
      sum((mask >> 4) & 1), sum((mask >> 5) & 1), sum((mask >> 6) & 1), sum((mask >> 7) & 1),
      sum((mask >> 8) & 1), sum((mask >> 9) & 1), sum((mask >> 10) & 1), sum((mask >> 11) & 1),
      sum((mask >> 12) & 1), sum((mask >> 13) & 1), sum((mask >> 14) & 1), sum((mask >> 15) & 1),
      sum((mask >> 16) & 1), sum((mask >> 17) & 1), sum((mask >> 18) & 1), sum((mask >> 19) & 1),
      sum((mask >> 20) & 1), sum((mask >> 21) & 1), sum((mask >> 22) & 1), sum((mask >> 23) & 1),
      sum((mask >> 24) & 1), sum((mask >> 25) & 1), sum((mask >> 26) & 1), sum((mask >> 27) & 1),
      sum((mask >> 28) & 1), sum((mask >> 29) & 1), sum((mask >> 30) & 1), sum((mask >> 31) & 1),
      sum((mask >> 32) & 1), sum((mask >> 33) & 1), sum((mask >> 34) & 1), sum((mask >> 35) & 1)])::BIGINT AS active
  FROM firsts GROUP BY cohort),
days AS (
  SELECT cohort, ordered_at::DATE AS d, sum(amount) AS revenue
  FROM orders JOIN firsts USING (customer_id) WHERE status = 'completed' GROUP BY ALL),
spent AS (
  SELECT cohort, year(d) * 12 + month(d) - 1 AS ym, sum(revenue) AS revenue FROM days GROUP BY ALL),
sizes AS (SELECT DISTINCT cohort, customers FROM bits),
grid AS (SELECT cohort, customers, unnest(range(36)) AS period_number FROM sizes)
SELECT make_date(g.cohort // 12, g.cohort % 12 + 1, 1) AS cohort, g.period_number, g.customers, active,
  active / g.customers AS retention,
  CASE WHEN g.cohort + g.period_number <= 24299 THEN coalesce(revenue, 0) END AS revenue
FROM grid g
LEFT JOIN bits b ON b.cohort = g.cohort AND b.ym = g.cohort + g.period_number
LEFT JOIN spent s ON s.cohort = g.cohort AND s.ym = g.cohort + g.period_number
WHERE g.period_number <= 24299 - (SELECT min(cohort) FROM sizes)
ORDER BY ALL
