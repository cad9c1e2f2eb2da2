"""The tables that everything is measured on, made by DuckDB from nothing but row numbers.

Every value is a hash of its row's number and of a number that names the draw, so that a table is the same on every
run, machine and count of threads. At scale 1: 1 million customers, 10 million orders, 2 million answers, about 20
million events of 3.4 million leads, and costs by day, channel and category, over 2022 to 2024.

What makes it like data of a shop: customers' ids grow with the day they signed up; one in five never orders and the
first hundredth places a tenth of the orders; orders come in the order of time, amounts are log-normal, 88 % complete;
answers are missing here and there; leads repeat steps, skip some, take days for each, and one event in twenty is
dated up to 20 days back, so that many a chain overruns 30 days or is out of order.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import duckdb

FIRST, DAYS = "2022-01-01", 1096
SIGNUPS_FIRST, SIGNUP_DAYS = "2021-01-01", 1461
SECONDS = DAYS * 86_400

# The draw goes into the hashed number itself: hashes of several arguments are combined too weakly for this.
_MACROS = (
    "CREATE MACRO draw(row_number, n) AS (hash(row_number::BIGINT * 256 + n) >> 11)::DOUBLE / 9007199254740992.0",
    "CREATE MACRO normal(row_number, n) AS"
    " sqrt(-2 * ln(1 - draw(row_number, n))) * cos(2 * pi() * draw(row_number, n + 1))",
    # seconds since the first day, for row i of n that come in the order of time, give or take a day
    f"CREATE MACRO moment(i, n, k) AS least({SECONDS} - 1, (i::DOUBLE / n * {SECONDS} + draw(i, k) * 86400)::BIGINT)",
    f"CREATE MACRO stamp(second) AS TIMESTAMP '{FIRST}' + to_seconds(second)",
)


def statements(scale: float) -> dict[str, str]:
    """A SELECT for each table."""
    customers = max(100, round(1_000_000 * scale))
    return {
        "customers": _customers(customers),
        "orders": _orders(customers, customers * 10),
        "spend": _spend(scale),
        "survey": _survey(customers, customers * 2),
        "events": _events(round(customers * 3.4)),
    }


def _customers(n: int) -> str:
    return f"""
        SELECT i + 1 AS customer_id, DATE '{SIGNUPS_FIRST}' + (i * {SIGNUP_DAYS} // {n})::INTEGER AS signup_date,
            CASE WHEN c < .30 THEN 'organic' WHEN c < .55 THEN 'paid_search' WHEN c < .73 THEN 'social'
                WHEN c < .85 THEN 'referral' WHEN c < .94 THEN 'email' ELSE 'partner' END AS channel,
            ['US', 'DE', 'GB', 'FR', 'IN', 'BR', 'JP', 'CA', 'ES', 'IT', 'NL', 'PL'][1 + floor(12 * l * l)::INTEGER]
                AS country
        FROM (SELECT range AS i, draw(range, 1) AS c, draw(range, 2) AS l FROM range({n}))"""


def _orders(customers: int, n: int) -> str:
    # Whoever has not signed up by then gives the order to someone who has. 7,368,787 is prime: it scatters the
    # customers who buy most over all ids.
    return f"""
        SELECT i + 1 AS order_id, 1 + CASE WHEN c < known THEN c ELSE c % known END AS customer_id,
            stamp(t) AS ordered_at,
            greatest(.01, exp(3.4 + .25 * p + .8 * normal(i, 12) + .5 * (draw(c, 14) - .5)))::DECIMAL(12, 2) AS amount,
            CASE WHEN s < .88 THEN 'completed' WHEN s < .93 THEN 'cancelled' WHEN s < .97 THEN 'pending'
                ELSE 'refunded' END AS status,
            ['basic', 'standard', 'plus', 'pro', 'team', 'enterprise'][1 + p] AS product_line
        FROM (
            SELECT i, t, c, s, p,
                greatest(1, floor({customers} * (t / 86400.0 + {SIGNUP_DAYS - DAYS}) / {SIGNUP_DAYS})::BIGINT) AS known
            FROM (
                SELECT range AS i, moment(range, {n}, 10) AS t, draw(range, 16) AS s,
                    floor(6 * draw(range, 17) ** 1.5)::INTEGER AS p,
                    (floor({customers * 8 // 10} * draw(range, 11) ** 2)::BIGINT * 7368787 + 104729) % {customers} AS c
                FROM range({n})))"""


def _spend(scale: float) -> str:
    return f"""
        SELECT DATE '{FIRST}' + d.range::INTEGER AS day, channel, category,
            ({scale} * base * weight * (.7 + .6 * draw(d.range * 100 + k * 10 + j, 20)))::DECIMAL(12, 2) AS cost
        FROM range({DAYS}) d,
            (VALUES (1, 'organic', .4), (2, 'paid_search', 2.2), (3, 'social', 1.5), (4, 'referral', .6),
                (5, 'email', .3), (6, 'partner', 1.0)) c(k, channel, weight),
            (VALUES (1, 'ads', 9000), (2, 'salary', 5000), (3, 'commission', 2500), (4, 'content', 1500),
                (5, 'technical', 900)) t(j, category, base)
        ORDER BY day, k, j"""


def _survey(customers: int, n: int) -> str:
    return f"""
        SELECT i + 1 AS response_id, 1 + floor({customers} * draw(i, 31))::BIGINT AS customer_id,
            stamp(moment(i, {n}, 30)) AS responded_at,
            CASE WHEN draw(i, 32) < .08 THEN NULL WHEN a < .48 THEN 9 + (b < .45)::INTEGER
                WHEN a < .77 THEN 7 + (b < .6)::INTEGER ELSE floor(7 * sqrt(b))::INTEGER END::TINYINT AS nps,
            CASE WHEN draw(i, 33) < .03 THEN NULL WHEN s < .41 THEN 'excellent' WHEN s < .76 THEN 'good'
                WHEN s < .92 THEN 'average' ELSE 'poor' END AS csat
        FROM (SELECT range AS i, draw(range, 34) AS a, draw(range, 35) AS b, draw(range, 36) AS s FROM range({n}))"""


def _events(leads: int) -> str:
    # A lead runs through one to three rounds; a round gets to step 0 … 4; each step it gets to is written 1 to 5 times.
    gap = "-518400 * ln(1 - draw(r, {n}))"  # six days on average
    steps = " ".join(f"+ CASE WHEN k >= {k} THEN {gap.format(n=40 + k)} ELSE 0 END" for k in (2, 3, 4))
    return f"""
        WITH rounds AS (
            SELECT lead_id, lead_id * 8 + unnest(range(1 + (x < .3)::INTEGER + (x < .1)::INTEGER)) AS r
            FROM (SELECT range AS lead_id, draw(range, 50) AS x FROM range({leads}))),
        reached AS (
            SELECT lead_id, r, floor({SECONDS - 86_400} * draw(r, 51))::BIGINT AS start,
                unnest(range(1 + (x < .52)::INTEGER + (x < .29)::INTEGER + (x < .17)::INTEGER
                    + (x < .11)::INTEGER)) AS k
            FROM (SELECT *, draw(r, 52) AS x FROM rounds)),
        written AS (
            SELECT lead_id, k, r * 5 + k AS rk,
                start + CASE WHEN k = 0 OR draw(r, 53) < .04 AND k = 1 THEN 0
                    ELSE (CASE WHEN draw(r, 53) < .04 THEN 0 ELSE {gap.format(n=41)} END {steps})::BIGINT END AS t,
                unnest(range(1 + (ln(1 - draw(r * 5 + k, 54)) / ln(.45))::BIGINT % 5)) AS copy
            FROM reached WHERE k = 0 OR draw(r * 5 + k, 55) >= .03),
        dated AS (
            SELECT lead_id, k, e, t + CASE WHEN copy > 0 THEN floor(259200 * draw(e, 56))::BIGINT ELSE 0 END
                - CASE WHEN draw(e, 57) < .05 THEN floor(1728000 * draw(e, 58))::BIGINT ELSE 0 END AS t
            FROM (SELECT *, rk * 5 + copy AS e FROM written))
        SELECT lead_id + 1 AS user_id,
            ['lead', 'prospect', 'proforma', 'invoice', 'customer'][1 + k] AS step, stamp(t) AS ts
        FROM dated WHERE t >= 0 AND t < {SECONDS}
        ORDER BY t + floor(7200 * draw(e, 59))::BIGINT, e"""


def make(folder: Path, scale: float) -> None:
    """Fills `folder` with the tables as Parquet files, unless they are there at this scale already."""
    mark = folder / "made.json"
    made = {"scale": scale, "duckdb": duckdb.__version__, "rules": _rules(scale)}
    if mark.exists() and json.loads(mark.read_text()) == made:
        return
    folder.mkdir(parents=True, exist_ok=True)
    mark.unlink(missing_ok=True)
    with duckdb.connect(config={"temp_directory": str(folder / "spill")}) as connection:
        for macro in _MACROS:
            connection.execute(macro)
        for name, statement in statements(scale).items():
            begun = time.perf_counter()
            rows = connection.execute(f"COPY ({statement}) TO '{folder / name}.parquet' (FORMAT parquet)").fetchall()[
                0
            ][0]
            print(f"{name}: {rows:,} rows in {time.perf_counter() - begun:.1f} s", flush=True)
    mark.write_text(json.dumps(made))


def _rules(scale: float) -> str:
    import hashlib

    return hashlib.sha256(repr((_MACROS, statements(scale))).encode()).hexdigest()[:16]
