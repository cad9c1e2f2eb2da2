-- Backwards in time, the next event of each step is the least one seen: from each lead the greedy chain, which is the
-- earliest. One sort of one packed key (lead, second, step), then a running minimum for each step that carries the time
-- and the gaps of the chain behind it in one number; a level drops the rows that it has settled. Ids are below 2^33 and
-- seconds below 2^27, so that another lead's event always lies beyond the window; a gap of more than 30 days is cut to
-- 22 bits.
WITH o AS (
  SELECT k FROM (
    SELECT (user_id * 134217728 + (epoch_us(ts) // 1000000 - 1640995200)) * 8
      + CASE step WHEN 'lead' THEN 0 WHEN 'prospect' THEN 1 WHEN 'proforma' THEN 2 WHEN 'invoice' THEN 3
          WHEN 'customer' THEN 4 END AS k FROM events) ORDER BY k DESC),
p AS (SELECT k, lead(k) OVER () AS earlier FROM o),
e AS (SELECT k >> 3 AS t, k & 7 AS i FROM p WHERE k & 7 = 0 OR earlier IS NULL OR earlier & 7 <> k & 7 OR earlier >> 30 <> k >> 30),
a AS (SELECT t, i, min(CASE WHEN i = 4 THEN t END) OVER (ROWS UNBOUNDED PRECEDING) AS n FROM e),
b AS (SELECT t, i, min(CASE WHEN i = 3 THEN (t::HUGEINT << 22) + least(coalesce(n - t, 4194303), 4194303) END) OVER (ROWS UNBOUNDED PRECEDING) AS n
      FROM a WHERE i <= 3),
c AS (SELECT t, i, min(CASE WHEN i = 2 THEN (t::HUGEINT << 44) + CASE WHEN n < ((t + 4194303)::HUGEINT << 22) THEN n - (t::HUGEINT << 22) ELSE 17592186044415 END END) OVER (ROWS UNBOUNDED PRECEDING) AS n
      FROM b WHERE i <= 2),
d AS (SELECT t, i, min(CASE WHEN i = 1 THEN (t::HUGEINT << 66) + CASE WHEN n < ((t + 4194303)::HUGEINT << 44) THEN n - (t::HUGEINT << 44) ELSE 73786976294838206463::HUGEINT END END) OVER (ROWS UNBOUNDED PRECEDING) AS n
      FROM c WHERE i <= 1),
g AS (SELECT t, (n >> 66)::BIGINT - t AS d2, ((n >> 44) & 4194303)::BIGINT AS d3, ((n >> 22) & 4194303)::BIGINT AS d4, (n & 4194303)::BIGINT AS d5 FROM d WHERE i = 0),
h AS (
  SELECT t, CASE WHEN d2 + d3 + d4 + d5 <= 2592000 THEN 5 WHEN d2 + d3 + d4 <= 2592000 THEN 4 WHEN d2 + d3 <= 2592000 THEN 3
      WHEN d2 <= 2592000 THEN 2 ELSE 1 END AS lvl, d2, d3, d4, d5 FROM g),
i AS (SELECT *, lead(t) OVER () AS et, lead(lvl) OVER () AS elvl FROM h),
l AS (SELECT * FROM i WHERE elvl IS NULL OR elvl < lvl OR et >> 27 <> t >> 27),
u AS (
  SELECT max((lvl::HUGEINT << 115) + ((134217727 - (t & 134217727))::HUGEINT << 88)
      + (CASE WHEN lvl >= 2 THEN d2 ELSE 0 END::HUGEINT << 66) + (CASE WHEN lvl >= 3 THEN d3 ELSE 0 END::HUGEINT << 44)
      + (CASE WHEN lvl >= 4 THEN d4 ELSE 0 END::HUGEINT << 22) + CASE WHEN lvl >= 5 THEN d5 ELSE 0 END) AS c
  FROM l GROUP BY t >> 27),
v AS (
  SELECT date_trunc('month', make_timestamp((1640995200 + 134217727 - ((c >> 88) & 134217727)::BIGINT) * 1000000))::DATE AS month,
    (c >> 115)::INTEGER AS lvl, ((c >> 66) & 4194303)::INTEGER AS d2, ((c >> 44) & 4194303)::INTEGER AS d3,
    ((c >> 22) & 4194303)::INTEGER AS d4, (c & 4194303)::INTEGER AS d5 FROM u),
m AS (
  SELECT month,
    [count(*), count(*) FILTER (lvl >= 2), count(*) FILTER (lvl >= 3), count(*) FILTER (lvl >= 4),
      count(*) FILTER (lvl >= 5)] AS n,
    [NULL, median(d2) FILTER (lvl >= 2), median(d3) FILTER (lvl >= 3), median(d4) FILTER (lvl >= 4),
      median(d5) FILTER (lvl >= 5)] AS md,
    [NULL, avg(d2) FILTER (lvl >= 2), avg(d3) FILTER (lvl >= 3), avg(d4) FILTER (lvl >= 4),
      avg(d5) FILTER (lvl >= 5)] AS av
  FROM v GROUP BY 1),
s AS (
  SELECT month, n[1] AS first, unnest(range(1, 6)) AS step, unnest(n) AS entities, unnest([NULL] || n[:4]) AS previous,
    unnest(md) AS md, unnest(av) AS av FROM m)
SELECT month, step, (['lead', 'prospect', 'proforma', 'invoice', 'customer'])[step] AS step_name, entities,
  entities / first AS from_first, entities / nullif(previous, 0) AS from_previous,
  coalesce(previous - entities, 0) AS dropped, md / 86400 AS median_days, av / 86400 AS mean_days
FROM s ORDER BY month, step
