-- Distinct customers of a month are bits of a customer's mask (36 months are known to fit into 64 bits). The table of
-- masks holds every customer that orders have, so that an inner join with it loses no order, and hashes nothing where
-- the ids are dense. Days first and months after: a day and a channel make a small number, a cheap key.
WITH b AS MATERIALIZED (
  SELECT customer_id, mask, CASE channel WHEN 'organic' THEN 0 WHEN 'paid_search' THEN 1 WHEN 'social' THEN 2
      WHEN 'referral' THEN 3 WHEN 'email' THEN 4 WHEN 'partner' THEN 5 ELSE 6 END::UTINYINT AS ch
  FROM (SELECT customer_id, bit_or(1::BIGINT << date_diff('month', DATE '2022-01-01', ordered_at::DATE)) AS mask
        FROM orders WHERE status = 'completed' GROUP BY 1) LEFT JOIN customers USING (customer_id)),
days AS (
  SELECT (ordered_at::DATE - DATE '2022-01-01') * 8 + ch AS k, sum(amount) AS s, count(*) AS n
  FROM orders JOIN b USING (customer_id) WHERE status = 'completed' GROUP BY ALL),
months AS (
  SELECT date_trunc('month', DATE '2022-01-01' + (k >> 3)::INTEGER)::DATE AS month, k & 7 AS ch, sum(s) AS revenue,
    sum(n)::BIGINT AS orders FROM days GROUP BY ALL),
active AS (
  SELECT (DATE '2022-01-01' + to_months(unnest(range(36))::INTEGER))::DATE AS month, ch, unnest([
      sum((mask >> 0) & 1), sum((mask >> 1) & 1), sum((mask >> 2) & 1), sum((mask >> 3) & 1),
      sum((mask >> 4) & 1), sum((mask >> 5) & 1), sum((mask >> 6) & 1), sum((mask >> 7) & 1),
      sum((mask >> 8) & 1), sum((mask >> 9) & 1), sum((mask >> 10) & 1), sum((mask >> 11) & 1),
      sum((mask >> 12) & 1), sum((mask >> 13) & 1), sum((mask >> 14) & 1), sum((mask >> 15) & 1),
      sum((mask >> 16) & 1), sum((mask >> 17) & 1), sum((mask >> 18) & 1), sum((mask >> 19) & 1),
      sum((mask >> 20) & 1), sum((mask >> 21) & 1), sum((mask >> 22) & 1), sum((mask >> 23) & 1),
      sum((mask >> 24) & 1), sum((mask >> 25) & 1), sum((mask >> 26) & 1), sum((mask >> 27) & 1),
      sum((mask >> 28) & 1), sum((mask >> 29) & 1), sum((mask >> 30) & 1), sum((mask >> 31) & 1),
      sum((mask >> 32) & 1), sum((mask >> 33) & 1), sum((mask >> 34) & 1), sum((mask >> 35) & 1)])::BIGINT AS buyers
  FROM b GROUP BY ch)
SELECT month, (['organic', 'paid_search', 'social', 'referral', 'email', 'partner'])[1 + ch] AS channel,
  revenue, orders, revenue / orders AS aov, buyers
FROM months JOIN active USING (month, ch) ORDER BY ALL
