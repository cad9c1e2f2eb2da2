WITH orders_rows AS (
  SELECT
    ordered_at,
    amount,
    customer_id
  FROM orders
), orders_by_month AS (
  SELECT DISTINCT
    CAST(DATE_TRUNC('MONTH', ordered_at) AS DATE) AS month
  FROM orders_rows
), months_span AS (
  SELECT
    MIN(month) AS low,
    MAX(month) AS high
  FROM orders_by_month
), months_days AS (
  SELECT
    CAST(UNNEST(GENERATE_SERIES(low, high, INTERVAL '1' DAY)) AS DATE) AS day
  FROM months_span
), months_starts AS (
  SELECT DISTINCT
    CAST(DATE_TRUNC('MONTH', day) AS DATE) AS month
  FROM months_days
), months AS (
  SELECT
    month,
    CAST(month + INTERVAL '1' MONTH AS DATE) - 1 AS last_day,
    CAST(CAST(month + INTERVAL '1' MONTH AS DATE) - INTERVAL '2' MONTH AS DATE) AS trailing_2_month_start
  FROM months_starts
), grid_by_month AS (
  SELECT
    month
  FROM months
  UNION ALL
  SELECT
    month
  FROM orders_by_month
  WHERE
    month IS NULL
), orders_trailing_2_month_by_month AS (
  SELECT
    months.month,
    CAST(SUM(orders_rows.amount) AS BIGINT) AS amount_sum,
    MEDIAN(orders_rows.amount) AS middle_median,
    COUNT(*) AS orders_count
  FROM months
  JOIN orders_rows
    ON orders_rows.ordered_at >= months.trailing_2_month_start
    AND orders_rows.ordered_at <= months.last_day
  GROUP BY
    1
), orders_buyers_count_trailing_2_month_by_month_entered AS (
  SELECT
    ordered_at AS seen_on,
    CAST(DATE_TRUNC('MONTH', ordered_at) AS DATE) AS month,
    COUNT(customer_id) AS times
  FROM orders_rows
  GROUP BY
    1,
    2
), orders_buyers_count_trailing_2_month_by_month_seen AS (
  SELECT
    customer_id AS value,
    ordered_at AS seen_on,
    CAST(DATE_TRUNC('MONTH', ordered_at) AS DATE) AS month
  FROM orders_rows
  WHERE
    NOT customer_id IS NULL AND NOT ordered_at IS NULL
), orders_buyers_count_trailing_2_month_by_month_next AS (
  SELECT
    seen_on,
    LEAD(month) OVER (PARTITION BY value ORDER BY seen_on) AS next_period,
    LEAD(seen_on) OVER (PARTITION BY value ORDER BY seen_on) AS next_seen
  FROM orders_buyers_count_trailing_2_month_by_month_seen
), orders_buyers_count_trailing_2_month_by_month_again AS (
  SELECT
    seen_on,
    next_period,
    COUNT(*) AS times
  FROM orders_buyers_count_trailing_2_month_by_month_next
  WHERE
    next_seen < seen_on + 106
  GROUP BY
    1,
    2
), orders_buyers_count_trailing_2_month_by_month_days AS (
  SELECT DISTINCT
    seen_on
  FROM orders_buyers_count_trailing_2_month_by_month_entered
), orders_buyers_count_trailing_2_month_by_month_gone AS (
  SELECT
    orders_buyers_count_trailing_2_month_by_month_days.seen_on,
    MIN(months.month) AS gone
  FROM orders_buyers_count_trailing_2_month_by_month_days
  JOIN months
    ON months.trailing_2_month_start > orders_buyers_count_trailing_2_month_by_month_days.seen_on
  GROUP BY
    1
), orders_buyers_count_trailing_2_month_by_month_entered_left AS (
  SELECT
    orders_buyers_count_trailing_2_month_by_month_entered.times,
    orders_buyers_count_trailing_2_month_by_month_gone.gone,
    orders_buyers_count_trailing_2_month_by_month_entered.month AS enters
  FROM orders_buyers_count_trailing_2_month_by_month_entered
  LEFT JOIN orders_buyers_count_trailing_2_month_by_month_gone
    ON orders_buyers_count_trailing_2_month_by_month_entered.seen_on = orders_buyers_count_trailing_2_month_by_month_gone.seen_on
), orders_buyers_count_trailing_2_month_by_month_again_left AS (
  SELECT
    orders_buyers_count_trailing_2_month_by_month_again.times,
    orders_buyers_count_trailing_2_month_by_month_gone.gone,
    CASE
      WHEN NOT orders_buyers_count_trailing_2_month_by_month_again.next_period IS NULL
      AND (
        orders_buyers_count_trailing_2_month_by_month_gone.gone IS NULL
        OR orders_buyers_count_trailing_2_month_by_month_again.next_period <= orders_buyers_count_trailing_2_month_by_month_gone.gone
      )
      THEN orders_buyers_count_trailing_2_month_by_month_again.next_period
      ELSE orders_buyers_count_trailing_2_month_by_month_gone.gone
    END AS leaves
  FROM orders_buyers_count_trailing_2_month_by_month_again
  LEFT JOIN orders_buyers_count_trailing_2_month_by_month_gone
    ON orders_buyers_count_trailing_2_month_by_month_again.seen_on = orders_buyers_count_trailing_2_month_by_month_gone.seen_on
), orders_buyers_count_trailing_2_month_by_month_moves AS (
  SELECT
    enters AS month,
    times AS change
  FROM orders_buyers_count_trailing_2_month_by_month_entered_left
  WHERE
    NOT enters IS NULL
  UNION ALL
  SELECT
    gone AS month,
    -times AS change
  FROM orders_buyers_count_trailing_2_month_by_month_entered_left
  WHERE
    NOT gone IS NULL
  UNION ALL
  SELECT
    gone AS month,
    times AS change
  FROM orders_buyers_count_trailing_2_month_by_month_again_left
  WHERE
    NOT gone IS NULL
  UNION ALL
  SELECT
    leaves AS month,
    -times AS change
  FROM orders_buyers_count_trailing_2_month_by_month_again_left
  WHERE
    NOT leaves IS NULL
), orders_buyers_count_trailing_2_month_by_month_changes AS (
  SELECT
    month,
    CAST(SUM(change) AS BIGINT) AS change
  FROM orders_buyers_count_trailing_2_month_by_month_moves
  GROUP BY
    1
), orders_buyers_count_trailing_2_month_by_month AS (
  SELECT
    months.month,
    CAST(SUM(COALESCE(orders_buyers_count_trailing_2_month_by_month_changes.change, 0)) OVER (ORDER BY months.month ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS BIGINT) AS buyers_count
  FROM months
  LEFT JOIN orders_buyers_count_trailing_2_month_by_month_changes
    ON months.month = orders_buyers_count_trailing_2_month_by_month_changes.month
)
SELECT
  grid_by_month.month,
  orders_trailing_2_month_by_month.amount_sum AS sum2,
  CASE
    WHEN NOT grid_by_month.month IS NULL
    THEN COALESCE(orders_buyers_count_trailing_2_month_by_month.buyers_count, 0)
  END AS buyers2,
  orders_trailing_2_month_by_month.middle_median AS middle2,
  orders_trailing_2_month_by_month.amount_sum / NULLIF(
    CASE
      WHEN NOT grid_by_month.month IS NULL
      THEN COALESCE(orders_trailing_2_month_by_month.orders_count, 0)
    END,
    0
  ) AS aov2,
  CASE
    WHEN NOT grid_by_month.month IS NULL
    THEN COALESCE(orders_trailing_2_month_by_month.orders_count, 0)
  END AS orders2
FROM grid_by_month
LEFT JOIN orders_trailing_2_month_by_month
  ON grid_by_month.month IS NOT DISTINCT FROM orders_trailing_2_month_by_month.month
LEFT JOIN orders_buyers_count_trailing_2_month_by_month
  ON grid_by_month.month IS NOT DISTINCT FROM orders_buyers_count_trailing_2_month_by_month.month
ORDER BY
  grid_by_month.month ASC
