-- The edges of each measure in one aggregate; a score is how many edges lie below.
WITH b AS (
  SELECT customer_id, CAST(max(ordered_at) AS DATE) AS last, count(*) AS frequency, sum(amount) AS monetary
  FROM orders WHERE status = 'completed' AND customer_id IS NOT NULL GROUP BY customer_id),
k AS (SELECT customer_id, datediff((SELECT max(last) FROM b), last) + 1 AS recency, frequency, monetary FROM b),
e AS (
  SELECT percentile(recency, array(.2, .4, .6, .8)) AS er, percentile(frequency, array(.2, .4, .6, .8)) AS ef,
    percentile(CAST(monetary AS DOUBLE), array(.2, .4, .6, .8)) AS em FROM k),
s AS (
  SELECT customer_id, recency, frequency, monetary,
    5 - size(filter(er, x -> x < recency)) AS r, 1 + size(filter(ef, x -> x < frequency)) AS f,
    1 + size(filter(em, x -> x < monetary)) AS m
  FROM k CROSS JOIN e)
SELECT customer_id, recency, frequency, monetary, r, f, m, concat(r, f, m) AS rfm,
  CASE
    WHEN r <= 2 AND f <= 2 THEN 'hibernating' WHEN r <= 2 AND f <= 4 THEN 'at_risk' WHEN r <= 2 THEN 'cant_lose'
    WHEN r = 3 AND f <= 2 THEN 'about_to_sleep' WHEN r = 3 AND f = 3 THEN 'need_attention'
    WHEN r <= 4 AND f >= 4 THEN 'loyal_customers' WHEN r = 4 AND f = 1 THEN 'promising'
    WHEN r = 5 AND f = 1 THEN 'new_customers' WHEN f <= 3 THEN 'potential_loyalists' ELSE 'champions' END AS segment
FROM s
ORDER BY customer_id
