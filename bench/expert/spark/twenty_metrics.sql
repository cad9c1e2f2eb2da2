-- Every measure with its filter in one aggregate over one join.
WITH g AS (
  SELECT CAST(date_trunc('MONTH', ordered_at) AS DATE) AS month, channel,
    sum(amount) FILTER (WHERE status = 'completed') AS completed_revenue,
    count_if(status = 'completed') AS completed_orders,
    count(DISTINCT o.customer_id) FILTER (WHERE status = 'completed') AS completed_buyers,
    sum(amount) AS gross_revenue, count(*) AS all_orders,
    count_if(status = 'cancelled') AS cancelled_orders, count_if(status = 'pending') AS pending_orders,
    count_if(status = 'refunded') AS refunded_orders,
    sum(amount) FILTER (WHERE status = 'refunded') AS refunded_amount,
    sum(amount) FILTER (WHERE status = 'completed' AND product_line = 'basic') AS basic_revenue,
    sum(amount) FILTER (WHERE status = 'completed' AND product_line = 'plus') AS plus_revenue,
    sum(amount) FILTER (WHERE status = 'completed' AND product_line = 'enterprise') AS enterprise_revenue,
    count_if(status = 'completed' AND amount >= 200) AS big_orders,
    max(amount) FILTER (WHERE status = 'completed') AS largest_order,
    min(amount) FILTER (WHERE status = 'completed') AS smallest_order
  FROM orders o LEFT JOIN customers c ON o.customer_id = c.customer_id
  GROUP BY 1, 2)
SELECT month, channel, completed_revenue, completed_orders,
  CAST(completed_revenue AS DOUBLE) / nullif(completed_orders, 0) AS completed_aov, completed_buyers, gross_revenue,
  all_orders, cancelled_orders, pending_orders, refunded_orders, refunded_amount,
  CAST(cancelled_orders AS DOUBLE) / all_orders AS cancel_rate, CAST(refunded_orders AS DOUBLE) / all_orders AS refund_rate,
  completed_revenue - refunded_amount AS net_revenue, basic_revenue, plus_revenue, enterprise_revenue, big_orders,
  largest_order, smallest_order, CAST(completed_revenue AS DOUBLE) / nullif(completed_buyers, 0) AS revenue_per_buyer
FROM g
ORDER BY month, channel
