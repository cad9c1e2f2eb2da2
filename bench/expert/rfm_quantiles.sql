-- The edges of each measure in one aggregate; a score is how many edges lie below.
WITH b AS MATERIALIZED (
  SELECT customer_id, max(ordered_at)::DATE AS last, count(*) AS frequency, sum(amount) AS monetary
  FROM orders WHERE status = 'completed' GROUP BY customer_id),
k AS (
  SELECT customer_id, (SELECT max(last) FROM b) + 1 - last AS recency, frequency, monetary FROM b),
e AS (
  SELECT quantile_cont(recency, [.2, .4, .6, .8]) AS er, quantile_cont(frequency, [.2, .4, .6, .8]) AS ef,
    quantile_cont(monetary, [.2, .4, .6, .8]) AS em FROM k),
s AS (
  SELECT customer_id, recency, frequency, monetary,
    5 - ((er[1] < recency)::INTEGER + (er[2] < recency)::INTEGER + (er[3] < recency)::INTEGER + (er[4] < recency)::INTEGER) AS r,
    1 + (ef[1] < frequency)::INTEGER + (ef[2] < frequency)::INTEGER + (ef[3] < frequency)::INTEGER + (ef[4] < frequency)::INTEGER AS f,
    1 + (em[1] < monetary)::INTEGER + (em[2] < monetary)::INTEGER + (em[3] < monetary)::INTEGER + (em[4] < monetary)::INTEGER AS m
  FROM k, e)
SELECT customer_id, recency, frequency, monetary, r, f, m, concat(r, f, m) AS rfm,
  CASE
    WHEN r <= 2 AND f <= 2 THEN 'hibernating' WHEN r <= 2 AND f <= 4 THEN 'at_risk' WHEN r <= 2 THEN 'cant_lose'
    WHEN r = 3 AND f <= 2 THEN 'about_to_sleep' WHEN r = 3 AND f = 3 THEN 'need_attention'
    WHEN r <= 4 AND f >= 4 THEN 'loyal_customers' WHEN r = 4 AND f = 1 THEN 'promising'
    WHEN r = 5 AND f = 1 THEN 'new_customers' WHEN f <= 3 THEN 'potential_loyalists' ELSE 'champions' END AS segment
FROM s ORDER BY customer_id
