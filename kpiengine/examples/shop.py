"""An invented shop, three years of it (2023 to 2025): the tables that the example projects write out.

Every value is a function of a row's number and a salt, in integer arithmetic that is the same everywhere, so the
same rows come out on every machine and with every version of DuckDB. The mess of real data is made on purpose: each
piece of it is a comment in the SQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

# u(i, s) is spread evenly over [0, 1): a number of its own for each row i and salt s. Three rounds of multiplying,
# adding and folding modulo the prime 2^31 - 1; every product stays below 2^63.
_MACROS = """
create macro fold(x, a) as ((xor(x, x >> 15) % 2147483647) * a + 1013904223) % 2147483647;
create macro u(i, s) as fold(fold(fold((i::bigint * 1103515245 + s * 69069 + 12345) % 2147483647,
                                       48271 + 2 * s), 1664525), 22695477) / 2147483647.0::double;
create macro pick(x, names) as names[1 + floor(x * len(names))::int];
create macro waited(x) as -ln(1 - x);
-- Day number, from 2022-07-01, on which customer c of n was won.
create macro won_on(c) as floor(1279 * pow((c + 0.5) / getvariable('customers'), 0.85))::int;
"""

_CUSTOMERS = """
create table customers as
select 10001 + c as id,
       concat_ws(' ', first[1], last[1]) as name,
       -- Names typed on Arabic keyboards: ي and ك where Persian has ی and ک.
       case when u(c, 3) < 0.12 then translate(fa, 'یک', 'يك') else fa end as name_fa,
       case when x < 0.44 then 'DE' when x < 0.62 then 'AT' when x < 0.75 then 'CH' when x < 0.87 then 'FR'
            when x < 0.97 then 'NL' end as country,
       case when y < 0.36 then 'web' when y < 0.58 then 'store' when y < 0.75 then 'marketplace'
            when y < 0.88 then 'partner' when y < 0.97 then 'phone' end as channel,
       -- Nobody wrote down when the one in a hundred was won.
       case when u(c, 6) >= 0.01 then date '2022-07-01' + won_on(c) end as acquired
from (select range as c, u(range, 4) as x, u(range, 5) as y,
             pick(u(range, 1), [['Sara', 'سارا'], ['Ali', 'علی'], ['Kian', 'کیان'], ['Niki', 'نیکی'], ['Omid', 'امید'],
                                ['Mina', 'مینا'], ['Reza', 'رضا'], ['Yalda', 'یلدا'], ['Arash', 'آرش'],
                                ['Laleh', 'لاله']]) as first,
             pick(u(range, 2), [['Karimi', 'کریمی'], ['Ahmadi', 'احمدی'], ['Rostami', 'رستمی'], ['Moradi', 'مرادی'],
                                ['Kazemi', 'کاظمی'], ['Sadeghi', 'صادقی'], ['Yazdani', 'یزدانی'], ['Naderi', 'نادری'],
                                ['Bagheri', 'باقری'], ['Zand', 'زند']]) as last,
             concat_ws(' ', first[2], last[2]) as fa
      from range(getvariable('customers')))
order by c;
"""

# Some customers order much more than others, every ninth never; each orders until they lose interest. What would lie
# behind the last day is left out: 87,400 are drawn, some 60,000 made.
_ORDERS = """
create table orders as
select 100000 + row_number() over (order by day, second, i) as number, i,
       -- Guest orders have no customer; some bear a number that customers does not know.
       case when u(i, 24) < 0.04 then null when u(i, 24) < 0.046 then 90000 + i % 500 else 10001 + c end as customer,
       date '2022-07-01' + day + to_seconds(second) as ordered_at,
       case when y < 0.42 then 'web' when y < 0.66 then 'store' when y < 0.85 then 'marketplace'
            when y < 0.94 then 'phone' else 'partner' end as channel,
       case when s < 0.91 then 'completed' when s < 0.95 then 'cancelled' when s < 0.99 then 'returned' end as status
from (select i, c, u(i, 25) as y, u(i, 26) as s,
             floor(starts + (90 + 700 * waited(u(c, 31))) * u(i, 22))::int as day,
             -- Orders in the last second of a day.
             case when u(i, 23) < 0.002 then 86399 else 25200 + floor(54000 * u(i, 27))::int end as second
      from (select i, c, greatest(184, won_on(c)) as starts
            from (select range as i, floor(getvariable('customers') * pow(u(range, 21), 1.5))::bigint as rank,
                         (rank * 7368787 + 104729) % getvariable('customers') as drawn,
                         case when drawn % 9 = 8 then drawn - 1 else drawn end as c
                  from range(getvariable('orders')))))
where day < 1280;
"""

_LINES = """
create table lines as
with products(p, product, category, price) as (
    values (0, 'Teapot', 'kitchen', 34.90), (1, 'Kettle', 'kitchen', 59.00), (2, 'Saffron 5 g', 'food', 24.50),
           (3, 'Pistachios 1 kg', 'food', 31.20), (4, 'Dates 2 kg', 'food', 18.75), (5, 'Rug 2 × 3 m', 'home', 449.00),
           (6, 'Cushion', 'home', 27.95), (7, 'Lantern', 'home', 41.40), (8, 'Backgammon', 'games', 89.00),
           (9, 'Chess set', 'games', 64.50), (10, 'Samovar', 'kitchen', 219.00), (11, 'Rose water', 'food', 7.80)),
drawn as (
    select o.*, unnest(range(1, 2 + (u(i, 41) < 0.45)::int + (u(i, 41) < 0.22)::int + (u(i, 41) < 0.07)::int)) as line
    from orders o),
priced as (
    select d.*, p.product, p.category,
           1 + floor(4 * pow(u(i * 8 + line, 43), 3))::int as quantity,
           (p.price * (0.94 + 0.12 * u(i * 8 + line, 44)) * (1 + 0.04 * (year(ordered_at) - 2023))
            * case when month(ordered_at) in (11, 12) then 1.1 else 1 end)::decimal(10, 2) as price
    from drawn d join products p on p.p = floor(12 * pow(u(i * 8 + line, 42), 0.9))::int),
complete as (
    select *, -- The cost of some lines was never entered.
           case when u(i * 8 + line, 45) >= 0.012
                then (price * (0.52 + 0.18 * u(i * 8 + line, 46)))::decimal(10, 2) end as cost
    from priced)
select number, line, customer, ordered_at, channel, product, category, quantity, price, cost,
       case when status = 'returned' then 'completed' else status end as status, i
from complete
union all
-- The same line twice: a customer who wanted two, or a slip. Its number tells it apart.
select number, line + 10, customer, ordered_at, channel, product, category, quantity, price, cost, status, i
from complete where line = 1 and status = 'completed' and u(i, 47) < 0.007
union all
-- What came back is booked days later, as a negative quantity under the number of its order.
select number, line + 90, customer, ordered_at + to_days(2 + floor(12 * u(i, 48))::int), channel, product, category,
       -quantity, price, cost, 'refunded', i
from complete where status = 'returned' and ordered_at < timestamp '2025-12-17'
order by 4, 1, 2;
"""

_COSTS = """
create table costs as
with days as (select date '2023-01-01' + range::int as day, range as d from range(1096)),
daily as (
    select day, channel, 'advertising' as category, base * (0.6 + 0.8 * u(d * 8 + k, 51)) as amount
    from days, (values (1, 'web', 95), (2, 'marketplace', 60), (3, 'partner', 18), (4, 'radio', 22)) t(k, channel, base)
    union all
    select day, 'partner', 'commission', 45 * (0.5 + u(d, 52)) from days where dayofweek(day) = 5
    union all
    select day, 'phone', 'lead', 130 * (0.5 + u(d, 53)) from days where dayofweek(day) = 1),
monthly as (
    -- What serves all channels has none, and somebody once forgot the category.
    select day, channel, case when category = 'technical' and d = 425 then null else category end as category,
           base * (1 + 0.0003 * d) * (0.95 + 0.1 * u(d * 8 + k, 54)) as amount
    from days, (values (1, null, 'salary', 7800), (2, null, 'technical', 1150), (3, 'web', 'content', 900),
                       (4, 'store', 'maintenance', 640), (5, 'web', 'planned', 4000)) t(k, channel, category, base)
    where day(day) = 1)
select day, channel, category, (amount * getvariable('scale'))::decimal(12, 2) as amount
from (select * from daily union all select * from monthly)
order by day, category, channel;
"""

_SURVEY = """
create table survey as
select 500000 + i as id, date '2023-01-01' + floor(1096 * (i + u(i, 60)) / getvariable('answers'))::int
                         + to_seconds(floor(86400 * u(i, 61))::int) as answered_at,
       case when u(i, 62) >= 0.03
            then 10001 + floor(getvariable('customers') * pow(u(i, 63), 1.4))::int end as customer,
       -- Half a percent answered 11, -1 or 99; some left the question out.
       case when x < 0.06 then null when x < 0.065 then pick(u(i, 65), [11, -1, 99])
            when x < 0.50 then 9 + (u(i, 65) < 0.5)::int when x < 0.78 then 7 + (u(i, 65) < 0.6)::int
            else floor(7 * sqrt(u(i, 65)))::int end as nps,
       -- 0 stands for words that are no answer.
       case when u(i, 68) < 0.05 then null when y < 0.34 then 5 when y < 0.66 then 4 when y < 0.86 then 3
            when y < 0.97 then 2 else 0 end as csat,
       u(i, 67) as spelling
from (select range as i, u(range, 64) as x, 0.6 * u(range, 64) + 0.4 * u(range, 66) as y
      from range(getvariable('answers')))
order by i;
"""

_PIPELINE = """
create table pipeline as
with leads as (
    select i, u(i, 71) as x, timestamp '2023-01-01' + to_seconds(floor(94694400 * (i + u(i, 72))
                             / getvariable('leads'))::bigint) as came,
           round(40 * exp(4 * u(i, 73)), 2)::decimal(12, 2) as money,
           case when u(i, 74) < 0.4 then 'web' when u(i, 74) < 0.65 then 'phone' when u(i, 74) < 0.85 then 'partner'
                when u(i, 74) < 0.97 then 'store' end as channel,
           1 + (x < 0.62)::int + (x < 0.34)::int + (x < 0.255)::int + (x < 0.217)::int as depth
    from (select range as i from range(getvariable('leads')))),
reached as (select *, unnest(range(1, depth + 1)) as k from leads),
events as (
    select i, channel, k, depth, money,
           came + to_seconds(case when k = 1 then 0 else floor(86400 * (
               6 * waited(u(i, 75)) + (k > 2)::int * 9 * waited(u(i, 76)) + (k > 3)::int * 5 * waited(u(i, 77))
               + (k > 4)::int * 8 * waited(u(i, 78))
               -- One in a hundred is entered late: its later stages lie before the earlier ones.
               - case when u(i * 8 + k, 79) < 0.01 then 10 else 0 end))::bigint end) as entered_at
    from reached
    -- Stages that nobody entered.
    where k in (1, depth) or u(i * 8 + k, 80) >= 0.02
    union all
    -- Leads that come again.
    select i, channel, 1, depth, money, came + to_days(45) from leads where u(i, 81) < 0.01)
select 700000 + i as lead, k as step, entered_at, channel,
       case when k >= 3 then (money * case when k = 3 then 1.08 else 1 end)::decimal(12, 2) end as amount,
       case when k = 5 then 10001 + floor(getvariable('customers') * u(i, 82))::int end as customer
from events where entered_at >= timestamp '2023-01-01' and entered_at < timestamp '2026-01-01'
order by entered_at, lead, step;
"""

_TARGETS = """
create table targets as
select period, (round(mean * (0.75 + 0.014 * row_number() over (order by period)) / 1000) * 1000)::bigint as value
from (select distinct date_trunc('month', ordered_at)::date as period,
             (select sum(quantity * price)::double / 36 from lines) as mean
      from lines)
order by period;
"""

_TABLES = {
    "customers": _CUSTOMERS,
    "orders": _ORDERS,
    "lines": _LINES,
    "costs": _COSTS,
    "survey": _SURVEY,
    "pipeline": _PIPELINE,
    "targets": _TARGETS,
}


_SET = {
    "customers": "set variable customers = $1::bigint",
    "orders": "set variable orders = $1::bigint",
    "answers": "set variable answers = $1::bigint",
    "leads": "set variable leads = $1::bigint",
}


@contextmanager
def built(scale: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to a database in memory that holds the shop's tables.

    At scale 1: 5,000 customers, 60,000 orders, 12,000 answers, 12,000 leads.
    """
    # One thread: rows are stored, and so written, in one order.
    with duckdb.connect(config={"threads": 1}) as connection:
        for name, rows in {"customers": 5_000, "orders": 87_400, "answers": 12_000, "leads": 12_000}.items():
            connection.execute(_SET[name], [max(20, round(rows * scale))])
        connection.execute("set variable scale = $1::double", [scale])
        connection.execute(_MACROS)
        for statement in _TABLES.values():
            connection.execute(statement)
        yield connection


def copy_out(connection: duckdb.DuckDBPyConnection, folder: Path, files: dict[str, str]) -> dict[str, int]:
    """Write each of `files` (name → COPY … TO $path statement) into `folder`; the rows of each, by its bare name."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, int] = {}
    for name, statement in files.items():
        (count,) = connection.execute(statement, {"path": str(folder / name)}).fetchone() or (0,)
        rows[name.split(".")[0]] = int(count)
    return rows
