-- ntile over one packed BIGINT (the value, then the id, which is below 2^27) instead of two sort keys.
WITH b AS MATERIALIZED (
  SELECT customer_id, max(ordered_at)::DATE AS last, count(*) AS frequency, sum(amount) AS monetary
  FROM orders WHERE status = 'completed' GROUP BY customer_id),
k AS (
  SELECT customer_id, (SELECT max(last) FROM b) + 1 - last AS recency, frequency, monetary FROM b),
s AS (
  SELECT *, 6 - ntile(5) OVER (ORDER BY recency::BIGINT * 134217728 + customer_id) AS r,
    ntile(5) OVER (ORDER BY frequency * 134217728 + customer_id) AS f,
    ntile(5) OVER (ORDER BY (monetary * 100)::BIGINT * 134217728 + customer_id) AS m
  FROM k)
SELECT customer_id, recency, frequency, monetary, r, f, m, concat(r, f, m) AS rfm,
  CASE
    WHEN r <= 2 AND f <= 2 THEN 'hibernating' WHEN r <= 2 AND f <= 4 THEN 'at_risk' WHEN r <= 2 THEN 'cant_lose'
    WHEN r = 3 AND f <= 2 THEN 'about_to_sleep' WHEN r = 3 AND f = 3 THEN 'need_attention'
    WHEN r <= 4 AND f >= 4 THEN 'loyal_customers' WHEN r = 4 AND f = 1 THEN 'promising'
    WHEN r = 5 AND f = 1 THEN 'new_customers' WHEN f <= 3 THEN 'potential_loyalists' ELSE 'champions' END AS segment
FROM s ORDER BY customer_id
