WITH orders_rows AS (
  SELECT
    ordered_at,
    amount,
    customer_id,
    qty,
    status
  FROM orders
), orders_total AS (
  SELECT
    COUNT(*) AS "rows",
    COUNT(amount) AS priced,
    COUNT(DISTINCT customer_id) AS buyers,
    SUM(amount) AS revenue,
    CAST(SUM(qty) AS BIGINT) AS pieces,
    AVG(CAST(amount AS DOUBLE)) AS mean,
    MEDIAN(CAST(amount AS DOUBLE)) AS middle,
    MIN(amount) AS least,
    MAX(amount) AS most,
    MAX(status) AS last_status
  FROM orders_rows
)
SELECT
  "rows",
  priced,
  buyers,
  revenue,
  pieces,
  mean,
  middle,
  least,
  most,
  last_status
FROM orders_total
