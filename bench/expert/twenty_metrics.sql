-- As monthly_sales; and the columns of all filters are keys of one small table, over which the filters are then cheap.
WITH b AS MATERIALIZED (
  SELECT customer_id, mask, CASE channel WHEN 'organic' THEN 0 WHEN 'paid_search' THEN 1 WHEN 'social' THEN 2
      WHEN 'referral' THEN 3 WHEN 'email' THEN 4 WHEN 'partner' THEN 5 ELSE 6 END::UTINYINT AS ch
  FROM (SELECT customer_id, coalesce(bit_or(1::BIGINT << date_diff('month', DATE '2022-01-01', ordered_at::DATE)) FILTER (status = 'completed'), 0) AS mask
        FROM orders GROUP BY 1) LEFT JOIN customers USING (customer_id)),
x AS (
  SELECT date_diff('month', DATE '2022-01-01', ordered_at::DATE) * 8 + ch AS k, status, product_line,
    sum(amount) AS s, count(*) AS n, count(*) FILTER (amount >= 200) AS b, max(amount) AS mx, min(amount) AS mn
  FROM orders JOIN b USING (customer_id) GROUP BY ALL),
y AS (
  SELECT (DATE '2022-01-01' + to_months((k >> 3)::INTEGER))::DATE AS month, k & 7 AS ch,
    sum(s) FILTER (status = 'completed') AS completed_revenue,
    coalesce(sum(n) FILTER (status = 'completed'), 0)::BIGINT AS completed_orders,
    sum(s) AS gross_revenue, sum(n)::BIGINT AS all_orders,
    coalesce(sum(n) FILTER (status = 'cancelled'), 0)::BIGINT AS cancelled_orders,
    coalesce(sum(n) FILTER (status = 'pending'), 0)::BIGINT AS pending_orders,
    coalesce(sum(n) FILTER (status = 'refunded'), 0)::BIGINT AS refunded_orders,
    sum(s) FILTER (status = 'refunded') AS refunded_amount,
    sum(s) FILTER (status = 'completed' AND product_line = 'basic') AS basic_revenue,
    sum(s) FILTER (status = 'completed' AND product_line = 'plus') AS plus_revenue,
    sum(s) FILTER (status = 'completed' AND product_line = 'enterprise') AS enterprise_revenue,
    coalesce(sum(b) FILTER (status = 'completed'), 0)::BIGINT AS big_orders,
    max(mx) FILTER (status = 'completed') AS largest_order, min(mn) FILTER (status = 'completed') AS smallest_order
  FROM x GROUP BY ALL),
active AS (
  SELECT (DATE '2022-01-01' + to_months(unnest(range(36))::INTEGER))::DATE AS month, ch, unnest([
      sum((mask >> 0) & 1), sum((mask >> 1) & 1), sum((mask >> 2) & 1), sum((mask >> 3) & 1),
      sum((mask >> 4) & 1), sum((mask >> 5) & 1), sum((mask >> 6) & 1), sum((mask >> 7) & 1),
      sum((mask >> 8) & 1), sum((mask >> 9) & 1), sum((mask >> 10) & 1), sum((mask >> 11) & 1),
      sum((mask >> 12) & 1), sum((mask >> 13) & 1), sum((mask >> 14) & 1), sum((mask >> 15) & 1),
      sum((mask >> 16) & 1), sum((mask >> 17) & 1), sum((mask >> 18) & 1), sum((mask >> 19) & 1),
      sum((mask >> 20) & 1), sum((mask >> 21) & 1), sum((mask >> 22) & 1), sum((mask >> 23) & 1),
      sum((mask >> 24) & 1), sum((mask >> 25) & 1), sum((mask >> 26) & 1), sum((mask >> 27) & 1),
      sum((mask >> 28) & 1), sum((mask >> 29) & 1), sum((mask >> 30) & 1), sum((mask >> 31) & 1),
      sum((mask >> 32) & 1), sum((mask >> 33) & 1), sum((mask >> 34) & 1), sum((mask >> 35) & 1)])::BIGINT AS completed_buyers
  FROM b GROUP BY ch)
SELECT month, (['organic', 'paid_search', 'social', 'referral', 'email', 'partner'])[1 + ch] AS channel,
  completed_revenue, completed_orders, completed_revenue / nullif(completed_orders, 0) AS completed_aov, completed_buyers,
  gross_revenue, all_orders, cancelled_orders, pending_orders, refunded_orders, refunded_amount,
  cancelled_orders / all_orders AS cancel_rate, refunded_orders / all_orders AS refund_rate,
  completed_revenue - refunded_amount AS net_revenue, basic_revenue, plus_revenue, enterprise_revenue, big_orders,
  largest_order, smallest_order, completed_revenue / nullif(completed_buyers, 0) AS revenue_per_buyer
FROM y JOIN active USING (month, ch) ORDER BY month, channel
