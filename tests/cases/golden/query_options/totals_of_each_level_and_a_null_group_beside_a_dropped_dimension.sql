WITH sales_rows AS (
  SELECT
    day,
    channel,
    amount,
    customer
  FROM sales
), sales_by_channel_year AS (
  SELECT
    channel,
    CAST(DATE_TRUNC('YEAR', day) AS DATE) AS year,
    CAST(SUM(amount) AS BIGINT) AS revenue,
    COUNT(DISTINCT customer) AS buyers,
    MEDIAN(amount) AS middle,
    COUNT(*) AS orders_count
  FROM sales_rows
  GROUP BY
    1,
    2
), sales_by_channel AS (
  SELECT
    channel,
    CAST(SUM(amount) AS BIGINT) AS revenue,
    COUNT(DISTINCT customer) AS buyers,
    MEDIAN(amount) AS middle,
    COUNT(*) AS orders_count
  FROM sales_rows
  GROUP BY
    1
), sales_total AS (
  SELECT
    CAST(SUM(amount) AS BIGINT) AS revenue,
    COUNT(DISTINCT customer) AS buyers,
    MEDIAN(amount) AS middle,
    COUNT(*) AS orders_count
  FROM sales_rows
), result AS (
  SELECT
    channel,
    year,
    CAST(0 AS BIGINT) AS totals,
    revenue,
    buyers,
    middle,
    revenue / NULLIF(orders_count, 0) AS aov
  FROM sales_by_channel_year
  UNION ALL
  SELECT
    channel,
    CAST(NULL AS DATE) AS year,
    CAST(1 AS BIGINT) AS totals,
    revenue,
    buyers,
    middle,
    revenue / NULLIF(orders_count, 0) AS aov
  FROM sales_by_channel
  UNION ALL
  SELECT
    NULL AS channel,
    CAST(NULL AS DATE) AS year,
    CAST(2 AS BIGINT) AS totals,
    revenue,
    buyers,
    middle,
    revenue / NULLIF(orders_count, 0) AS aov
  FROM sales_total
)
SELECT
  channel,
  year,
  totals,
  revenue,
  buyers,
  middle,
  aov
FROM result
ORDER BY
  channel ASC,
  year ASC,
  totals ASC
