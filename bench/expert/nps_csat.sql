-- One row for each day and pair of answers, with how often it was given.
WITH d AS (SELECT responded_at::DATE AS d, nps, csat, count(*) AS n FROM survey GROUP BY ALL),
m AS (
  SELECT date_trunc('month', d)::DATE AS month,
    coalesce(sum(n) FILTER (nps BETWEEN 9 AND 10), 0)::BIGINT AS p,
    coalesce(sum(n) FILTER (nps BETWEEN 0 AND 6), 0)::BIGINT AS q,
    coalesce(sum(n) FILTER (nps BETWEEN 0 AND 10), 0)::BIGINT AS nps_responses,
    coalesce(sum(n) FILTER (csat IN ('excellent', 'good')), 0)::BIGINT AS x,
    coalesce(sum(n) FILTER (csat IN ('excellent', 'good', 'average', 'poor')), 0)::BIGINT AS csat_responses
  FROM d GROUP BY 1),
s AS (
  SELECT *, 1.959963984540054::DOUBLE AS z, 100 * (p - q) / (nps_responses + 3) AS mid,
    100 * sqrt(((p + q + 1.5) / (nps_responses + 3) - ((p - q) / (nps_responses + 3)) ** 2) / (nps_responses + 3)) AS se,
    1.959963984540054::DOUBLE * sqrt(x * (csat_responses - x) / csat_responses + 1.959963984540054::DOUBLE ** 2 / 4) AS half
  FROM m)
SELECT month, nps_responses, 100 * (p - q) / nullif(nps_responses, 0) AS nps,
  greatest(-100, mid - z * se) AS nps_low, least(100, mid + z * se) AS nps_high,
  csat_responses, x / nullif(csat_responses, 0) AS csat,
  greatest(0, (x + z * z / 2 - half) / (csat_responses + z * z)) AS csat_low,
  least(1, (x + z * z / 2 + half) / (csat_responses + z * z)) AS csat_high
FROM s ORDER BY 1
