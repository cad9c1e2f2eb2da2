-- A buyer counts from each order on until 28 days later or the next order, whichever is first: what begins and what ends
-- on a day, added up. One sort of one packed key finds the next order (an id below 2^27, a day below 2^11).
WITH o AS (
  SELECT customer_id * 2048 + (ordered_at::DATE - DATE '2022-01-01') AS k FROM orders WHERE status = 'completed'),
n AS (SELECT k, lead(k) OVER () AS following FROM (SELECT k FROM o ORDER BY k)),
ends AS (
  SELECT least(coalesce(following, k + 28), k + 28) - k + (k & 2047) AS day, count(*) AS n FROM n GROUP BY 1),
starts AS (SELECT k & 2047 AS day, count(*) AS n FROM o GROUP BY 1)
SELECT DATE '2022-01-01' + day::INTEGER AS day,
  sum(coalesce(starts.n, 0) - coalesce(ends.n, 0)) OVER (ORDER BY day)::BIGINT AS buyers_28d
FROM starts LEFT JOIN ends USING (day) ORDER BY 1
