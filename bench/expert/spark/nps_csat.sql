WITH m AS (
  SELECT CAST(date_trunc('MONTH', responded_at) AS DATE) AS month,
    count_if(nps BETWEEN 9 AND 10) AS p, count_if(nps BETWEEN 0 AND 6) AS q, count_if(nps BETWEEN 0 AND 10) AS nps_responses,
    count_if(csat IN ('excellent', 'good')) AS x,
    count_if(csat IN ('excellent', 'good', 'average', 'poor')) AS csat_responses
  FROM survey GROUP BY 1),
s AS (
  SELECT *, 1.959963984540054D AS z, 100D * (p - q) / (nps_responses + 3) AS mid,
    100D * sqrt((CAST(p + q + 1.5D AS DOUBLE) / (nps_responses + 3) - power(CAST(p - q AS DOUBLE) / (nps_responses + 3), 2)) / (nps_responses + 3)) AS se,
    1.959963984540054D * sqrt(CAST(x * (csat_responses - x) AS DOUBLE) / csat_responses + power(1.959963984540054D, 2) / 4) AS half
  FROM m)
SELECT month, nps_responses, 100D * (p - q) / nps_responses AS nps,
  greatest(-100D, mid - z * se) AS nps_low, least(100D, mid + z * se) AS nps_high,
  csat_responses, CAST(x AS DOUBLE) / csat_responses AS csat,
  greatest(0D, (x + z * z / 2 - half) / (csat_responses + z * z)) AS csat_low,
  least(1D, (x + z * z / 2 + half) / (csat_responses + z * z)) AS csat_high
FROM s
ORDER BY month
