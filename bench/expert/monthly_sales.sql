-- Days first and months after: a date is a cheap key, and 1,096 of them fold into 36. Distinct customers of a month as
-- one bit of a customer's mask (36 months are known to fit into 64 bits).
WITH days AS (
  SELECT ordered_at::DATE AS d, channel, sum(amount) AS s, count(*) AS n
  FROM orders LEFT JOIN customers USING (customer_id) WHERE status = 'completed' GROUP BY ALL),
months AS (
  SELECT year(d) * 12 + month(d) - 1 AS ym, channel, sum(s) AS revenue, sum(n)::BIGINT AS orders FROM days GROUP BY ALL),
active AS (
  SELECT 24264 + unnest(range(36)) AS ym, channel, unnest([
      sum((mask >> 0) & 1), sum((mask >> 1) & 1), sum((mask >> 2) & 1), sum((mask >> 3) & 1),
      sum((mask >> 4) & 1), sum((mask >> 5) & 1), sum((mask >> 6) & 1), sum((mask >> 7) & 1),
      sum((mask >> 8) & 1), sum((mask >> 9) & 1), sum((mask >> 10) & 1), sum((mask >> 11) & 1),
      sum((mask >> 12) & 1), sum((mask >> 13) & 1), sum((mask >> 14) & 1), sum((mask >> 15) & 1),
      sum((mask >> 16) & 1), sum((mask >> 17) & 1), sum((mask >> 18) & 1), sum((mask >> 19) & 1),
      sum((mask >> 20) & 1), sum((mask >> 21) & 1), sum((mask >> 22) & 1), sum((mask >> 23) & 1),
      sum((mask >> 24) & 1), sum((mask >> 25) & 1), sum((mask >> 26) & 1), sum((mask >> 27) & 1),
      sum((mask >> 28) & 1), sum((mask >> 29) & 1), sum((mask >> 30) & 1), sum((mask >> 31) & 1),
      sum((mask >> 32) & 1), sum((mask >> 33) & 1), sum((mask >> 34) & 1), sum((mask >> 35) & 1)])::BIGINT AS buyers
  FROM (SELECT customer_id, bit_or(1::BIGINT << ((year(ordered_at) * 12 + month(ordered_at) - 1) - 24264)) AS mask
        FROM orders WHERE status = 'completed' GROUP BY 1)
  LEFT JOIN customers USING (customer_id) GROUP BY channel)
SELECT make_date(ym // 12, ym % 12 + 1, 1) AS month, channel, revenue, orders, revenue / orders AS aov, buyers
FROM months JOIN active USING (ym, channel) ORDER BY ALL
