-- Backwards in time, the next event of each step with the chain behind it: a running minimum of structs, for each step.
-- One shuffle and one sort by user serve all windows, and the choice of each user's farthest, earliest chain.
WITH e AS (
  SELECT user_id, ts, CASE step WHEN 'lead' THEN 1 WHEN 'prospect' THEN 2 WHEN 'proforma' THEN 3 WHEN 'invoice' THEN 4
      WHEN 'customer' THEN 5 END AS i
  FROM events WHERE step IN ('lead', 'prospect', 'proforma', 'invoice', 'customer')),
a AS (
  SELECT user_id, ts, i, min(CASE WHEN i = 5 THEN ts END) OVER w AS t5 FROM e
  WINDOW w AS (PARTITION BY user_id ORDER BY ts DESC, i DESC ROWS UNBOUNDED PRECEDING)),
b AS (
  SELECT user_id, ts, i, min(CASE WHEN i = 4 THEN struct(ts AS t4, t5) END) OVER w AS n FROM a WHERE i <= 4
  WINDOW w AS (PARTITION BY user_id ORDER BY ts DESC, i DESC ROWS UNBOUNDED PRECEDING)),
c AS (
  SELECT user_id, ts, i, min(CASE WHEN i = 3 THEN struct(ts AS t3, n.t4, n.t5) END) OVER w AS n FROM b WHERE i <= 3
  WINDOW w AS (PARTITION BY user_id ORDER BY ts DESC, i DESC ROWS UNBOUNDED PRECEDING)),
d AS (
  SELECT user_id, ts, i, min(CASE WHEN i = 2 THEN struct(ts AS t2, n.t3, n.t4, n.t5) END) OVER w AS n FROM c WHERE i <= 2
  WINDOW w AS (PARTITION BY user_id ORDER BY ts DESC, i DESC ROWS UNBOUNDED PRECEDING)),
l AS (
  SELECT user_id, ts AS t1, n.t2, n.t3, n.t4, n.t5, CASE WHEN n.t5 <= ts + INTERVAL 30 DAYS THEN 5
      WHEN n.t4 <= ts + INTERVAL 30 DAYS THEN 4 WHEN n.t3 <= ts + INTERVAL 30 DAYS THEN 3
      WHEN n.t2 <= ts + INTERVAL 30 DAYS THEN 2 ELSE 1 END AS lvl
  FROM d WHERE i = 1),
u AS (
  SELECT max_by(struct(lvl, unix_micros(CAST(t1 AS TIMESTAMP)) AS m1, unix_micros(CAST(t2 AS TIMESTAMP)) AS m2,
      unix_micros(CAST(t3 AS TIMESTAMP)) AS m3, unix_micros(CAST(t4 AS TIMESTAMP)) AS m4,
      unix_micros(CAST(t5 AS TIMESTAMP)) AS m5, t1), struct(lvl, -unix_micros(CAST(t1 AS TIMESTAMP)))) AS x
  FROM l GROUP BY user_id),
m AS (
  SELECT CAST(date_trunc('MONTH', x.t1) AS DATE) AS month,
    array(count(*), count_if(x.lvl >= 2), count_if(x.lvl >= 3), count_if(x.lvl >= 4), count_if(x.lvl >= 5)) AS n,
    array(NULL, percentile(x.m2 - x.m1, .5) FILTER (WHERE x.lvl >= 2), percentile(x.m3 - x.m2, .5) FILTER (WHERE x.lvl >= 3),
      percentile(x.m4 - x.m3, .5) FILTER (WHERE x.lvl >= 4), percentile(x.m5 - x.m4, .5) FILTER (WHERE x.lvl >= 5)) AS md,
    array(NULL, avg(x.m2 - x.m1) FILTER (WHERE x.lvl >= 2), avg(x.m3 - x.m2) FILTER (WHERE x.lvl >= 3),
      avg(x.m4 - x.m3) FILTER (WHERE x.lvl >= 4), avg(x.m5 - x.m4) FILTER (WHERE x.lvl >= 5)) AS av
  FROM u GROUP BY 1),
s AS (SELECT *, explode(sequence(1, 5)) AS step FROM m)
SELECT month, step, array('lead', 'prospect', 'proforma', 'invoice', 'customer')[step - 1] AS step_name,
  n[step - 1] AS entities, CAST(n[step - 1] AS DOUBLE) / n[0] AS from_first,
  CASE WHEN step > 1 THEN CAST(n[step - 1] AS DOUBLE) / nullif(n[greatest(step - 2, 0)], 0) END AS from_previous,
  CASE WHEN step > 1 THEN n[greatest(step - 2, 0)] - n[step - 1] ELSE 0 END AS dropped,
  md[step - 1] / 86400000000D AS median_days, av[step - 1] / 86400000000D AS mean_days
FROM s ORDER BY month, step
