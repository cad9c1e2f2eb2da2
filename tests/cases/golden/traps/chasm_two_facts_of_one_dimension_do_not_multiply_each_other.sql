WITH orders_rows AS (
  SELECT
    customer_id,
    amount
  FROM orders
), customers_rows AS (
  SELECT
    customer_id,
    country
  FROM customers
), tickets_rows AS (
  SELECT
    customer_id,
    minutes
  FROM tickets
), orders_joined AS (
  SELECT
    orders_rows.customer_id,
    orders_rows.amount,
    customers.country AS customers_country
  FROM orders_rows
  LEFT JOIN customers_rows AS customers
    ON orders_rows.customer_id = customers.customer_id
), tickets_joined AS (
  SELECT
    tickets_rows.customer_id,
    tickets_rows.minutes,
    customers.country AS customers_country
  FROM tickets_rows
  LEFT JOIN customers_rows AS customers
    ON tickets_rows.customer_id = customers.customer_id
), orders_by_country AS (
  SELECT
    customers_country AS country,
    CAST(SUM(amount) AS BIGINT) AS revenue
  FROM orders_joined
  GROUP BY
    1
), tickets_by_country AS (
  SELECT
    customers_country AS country,
    CAST(SUM(minutes) AS BIGINT) AS minutes
  FROM tickets_joined
  GROUP BY
    1
), customers_by_country AS (
  SELECT
    country,
    COUNT(*) AS people
  FROM customers_rows
  GROUP BY
    1
), together_by_country AS (
  SELECT
    country,
    MAX(revenue) AS revenue,
    MAX(minutes) AS minutes,
    MAX(people) AS people
  FROM (
    SELECT
      country,
      revenue,
      NULL AS minutes,
      NULL AS people
    FROM orders_by_country
    UNION ALL
    SELECT
      country,
      NULL AS revenue,
      minutes,
      NULL AS people
    FROM tickets_by_country
    UNION ALL
    SELECT
      country,
      NULL AS revenue,
      NULL AS minutes,
      people
    FROM customers_by_country
  ) AS parts
  GROUP BY
    country
)
SELECT
  country,
  revenue,
  minutes,
  COALESCE(people, 0) AS people
FROM together_by_country
ORDER BY
  country ASC
