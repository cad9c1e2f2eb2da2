"""Dialects whose engines are not to be had here: what they differ in is said as it is meant, or refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from kpiengine.errors import UsageError
from kpiengine.sql import in_dialect
from kpiengine.sql.dialects.families import with_columns

from .expressions import GROUPS, ROWS
from .table import rows
from .test_expressions import DUCKDB_TYPES, _same

UNRUN = ("snowflake", "bigquery", "trino")
KNOWN = {
    "snowflake": {"CONCAT", "CONVERT_TIMEZONE"},
    "bigquery": {"DATETIME"},
    "trino": {"AT_TIMEZONE", "CONCAT", "TO_UTF8"},
}
"""Functions that there are, and sqlglot's parser of the dialect does not tell from others."""
MISREAD = {
    "snowflake": {"monthname(dt)", "strlen(s)"},  # TO_CHAR by a format, OCTET_LENGTH
    "bigquery": {"strlen(s)", "dayofweek(dt)", "weekday(dt)", "isodow(dt)", "extract(dow from dt)",
                 "extract(isodow from dt)", "extract(week from dt)", "week(dt)", "weekofyear(dt)",
                 "date_part('dow', dt)"},  # BYTE_LENGTH, and parts as DuckDB counts them
    "trino": {"i // 3", "i // -3", "sum(i) // 2", "date_diff('week', dt, date '2024-03-01')", "-5 // 2",
              "strftime(dt, '%G-W%V')", "timezone('Europe/Berlin', tz)", "tz at time zone 'Europe/Berlin'",
              "cast(tz at time zone 'Europe/Berlin' as date)", "strlen(s)"},  # `/` of integers, %v, AT_TIMEZONE, TO_UTF8
}  # fmt: skip
"""Expressions whose texts sqlglot reads otherwise than the dialect: those have tests below."""
SCAN = with_columns(exp.to_table("given_rows"), DUCKDB_TYPES)
TYPES = {
    "d": "DATE", "t": "TIMESTAMP", "z": "TIMESTAMPTZ", "x": "DOUBLE", "n": "INTEGER", "m": "DECIMAL(10,2)",
    "s": "VARCHAR", "b": "BOOLEAN",
}  # fmt: skip


def written(expression: str, dialect: str) -> str:
    scan = exp.select(*TYPES).from_(with_columns(exp.to_table("given"), TYPES))
    query = exp.select(exp.alias_(sqlglot.parse_one(expression, dialect="duckdb"), "r")).from_("scan")
    text = in_dialect(query.with_("scan", as_=scan), dialect, pretty=False)
    return text.partition(") SELECT ")[2].removesuffix(" AS r FROM scan")


def said(dialect: str, told: Mapping[str, str]) -> dict[str, str]:
    """What each expression is in the dialect, without those that it refuses."""
    found = {}
    for expression in told:
        query = exp.select(sqlglot.parse_one(expression, dialect="duckdb")).from_(SCAN)
        try:
            found[expression] = in_dialect(query, dialect, pretty=False)
        except UsageError as refusal:
            assert str(refusal).startswith(f"{dialect} cannot say "), expression
    return found


@pytest.mark.parametrize("dialect", UNRUN)
def test_texts_mean_what_they_are_written_for(dialect: str) -> None:
    """Each text, read by sqlglot as one of the dialect, gives in DuckDB what the expression itself does."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("given_rows", rows())
        for told, grouped in ((ROWS, ""), (GROUPS, " GROUP BY g")):
            texts = said(dialect, told)
            assert len(texts) > len(told) / 2
            read = {e: sqlglot.parse_one(t, dialect=dialect) for e, t in texts.items() if e not in MISREAD[dialect]}
            unknown = {node.name.upper() for tree in read.values() for node in tree.find_all(exp.Anonymous)}
            assert unknown <= KNOWN[dialect]
            wanted = [sqlglot.parse_one(e, dialect="duckdb") for e in read]
            given = [tree.expressions[0].unalias() for tree in read.values()]
            key = "g" if grouped else "u"
            expected, found = (
                connection.sql(
                    exp.select(*(exp.alias_(e, f"x{n}") for n, e in enumerate(columns)))
                    .from_("given_rows")
                    .sql("duckdb")
                    + f"{grouped} ORDER BY {key}"
                ).fetchall()
                for columns in (wanted, given)
            )
            wrong = [
                f"{e}: {got!r}, expected {right!r}"
                for got_row, right_row in zip(found, expected, strict=True)
                for e, got, right in zip(read, got_row, right_row, strict=True)
                if not _same(right, got)
            ]
            assert not wrong, "\n".join(wrong)


def test_what_databricks_says_parses_there() -> None:
    texts = said("databricks", {**ROWS, **GROUPS})
    assert len(texts) > len(ROWS) / 2
    for text in texts.values():
        assert isinstance(sqlglot.parse_one(text, dialect="databricks"), exp.Select), text


@pytest.mark.parametrize(
    ("expression", "snowflake", "bigquery", "trino"),
    [
        ("log(x)", "LOG(10, CAST(x AS DOUBLE))", "LOG10(CAST(x AS FLOAT64))", "LOG10(CAST(x AS DOUBLE))"),
        ("log2(x)", "LOG(2, CAST(x AS DOUBLE))", "LOG(CAST(x AS FLOAT64), 2)", "LOG2(CAST(x AS DOUBLE))"),
        ("week(d)", "WEEKISO(d)", "EXTRACT(ISOWEEK FROM d)", "WEEK(d)"),
        ("dayofweek(d)", "(DAYOFWEEKISO(d) % 7)", "(EXTRACT(DAYOFWEEK FROM d) - 1)", "(DAY_OF_WEEK(d) % 7)"),
        ("isodow(d)", "DAYOFWEEKISO(d)", "(MOD(EXTRACT(DAYOFWEEK FROM d) + 5, 7) + 1)", "DAY_OF_WEEK(d)"),
        ("date_trunc('week', d)", "DATEADD(DAY, 1 - DAYOFWEEKISO(d), DATE_TRUNC('DAY', d))", "DATE_TRUNC(d, ISOWEEK)", "DATE_TRUNC('WEEK', d)"),
        ("date_trunc('month', t)", "DATE_TRUNC('MONTH', t)", "CAST(DATETIME_TRUNC(t, MONTH) AS DATETIME)", "DATE_TRUNC('MONTH', t)"),
        ("date_diff('day', d, d)", "DATEDIFF(DAY, d, d)", "DATE_DIFF(d, d, DAY)", "DATE_DIFF('day', d, d)"),
        ("date_diff('year', d, t)", "(YEAR(t) - YEAR(d))", "(EXTRACT(YEAR FROM t) - EXTRACT(YEAR FROM d))", "(YEAR(t) - YEAR(d))"),
        ("epoch_us(t)", "DATEDIFF(MICROSECOND, CAST('1970-01-01 00:00:00' AS TIMESTAMPNTZ), t)", "DATETIME_DIFF(t, CAST('1970-01-01 00:00:00' AS DATETIME), MICROSECOND)", "CAST(TO_UNIXTIME(t) * 1e6 AS BIGINT)"),
        ("d + 7", "DATEADD(DAY, 7, d)", "d + 7", "DATE_ADD('DAY', 7, d)"),
        ("d - date '2024-01-01'", "DATEDIFF(DAY, CAST('2024-01-01' AS DATE), d)", "DATE_DIFF(d, CAST('2024-01-01' AS DATE), DAY)", "DATE_DIFF('day', CAST('2024-01-01' AS DATE), d)"),
        ("d + interval 1 month", "CAST(DATEADD(MONTH, 1, d) AS TIMESTAMPNTZ)", "d + INTERVAL 1 MONTH", "CAST(DATE_ADD('MONTH', 1, d) AS TIMESTAMP(6))"),
        ("cast(interval 2 week + d as date)", "CAST(DATEADD(WEEK, 2, d) AS DATE)", "CAST(d + INTERVAL 2 WEEK AS DATE)", "CAST(DATE_ADD('WEEK', 2, d) AS DATE)"),
        ("t - interval 1 quarter", "DATEADD(QUARTER, -1, t)", "t - INTERVAL 1 QUARTER", "DATE_ADD('QUARTER', -1, t)"),
        ("d + interval 36 hour", "DATEADD(HOUR, 36, CAST(d AS TIMESTAMPNTZ))", "CAST(d AS DATETIME) + INTERVAL 36 HOUR", "DATE_ADD('HOUR', 36, CAST(d AS TIMESTAMP(6)))"),
        ("d > '2024-06-01'", "d > '2024-06-01'", "d > '2024-06-01'", "d > CAST('2024-06-01' AS DATE)"),
        ("z at time zone 'Europe/Berlin'", "CAST(CONVERT_TIMEZONE('Europe/Berlin', z) AS TIMESTAMPNTZ)", "CAST(DATETIME(z, 'Europe/Berlin') AS DATETIME)", "CAST(AT_TIMEZONE(z, 'Europe/Berlin') AS TIMESTAMP(6))"),
        ("monthname(d)", "TO_CHAR(d, 'MMMM')", "FORMAT_DATE('%B', d)", "DATE_FORMAT(CAST(d AS TIMESTAMP(6)), '%M')"),
        ("strftime(t, '%Y-%m %H:%M')", "TO_CHAR(CAST(t AS TIMESTAMPNTZ), 'YYYY-MM HH24:MI')", "FORMAT_DATETIME('%Y-%m %H:%M', CAST(t AS DATETIME))", "DATE_FORMAT(CAST(t AS TIMESTAMP(6)), '%Y-%m %H:%i')"),
        ("n / 2", "CAST(n AS DOUBLE) / 2", "CAST(n AS FLOAT64) / 2", "CAST(n AS DOUBLE) / 2"),
        ("n // 7", "CAST(TRUNC(n / 7) AS BIGINT)", "DIV(n, 7)", "CAST(n / 7 AS BIGINT)"),
        ("n // n", "CAST((n - (n % NULLIF(n, 0))) / NULLIF(n, 0) AS BIGINT)", "DIV(n, NULLIF(n, 0))", "CAST(n / NULLIF(n, 0) AS BIGINT)"),
        ("n % n", "n % NULLIF(n, 0)", "MOD(n, NULLIF(n, 0))", "n % NULLIF(n, 0)"),
        ("m * m", "m * m", "CAST(m AS BIGNUMERIC) * m", "m * m"),
        ("m * 1.5", "m * 1.5", "CAST(m AS BIGNUMERIC) * CAST('1.5' AS NUMERIC)", "m * 1.5"),
        ("x * 1.9599639845400545", "x * 1.9599639845400545", "x * CAST('1.9599639845400545' AS BIGNUMERIC)", "x * 1.9599639845400545"),
        ("cast(m as decimal(10,1))", "CAST(m AS DECIMAL(10, 1))", "ROUND(CAST(m AS NUMERIC), 1)", "CAST(m AS DECIMAL(10, 1))"),
        ("cast(b as double)", "CAST(CAST(b AS INT) AS DOUBLE)", "CAST(CAST(b AS INT64) AS FLOAT64)", "CAST(CAST(b AS INTEGER) AS DOUBLE)"),
        ("b is true", "COALESCE(b, FALSE)", "b IS TRUE", "COALESCE(b, FALSE)"),
        ("b is not false", "NOT (NOT COALESCE(b, TRUE))", "NOT b IS FALSE", "NOT (NOT COALESCE(b, TRUE))"),
        ("greatest(n, m)", "GREATEST_IGNORE_NULLS(n, m)", "GREATEST(COALESCE(n, m), COALESCE(m, n))", "GREATEST(COALESCE(n, m), COALESCE(m, n))"),
        ("least(n, 3, m)", "LEAST_IGNORE_NULLS(n, 3, m)", "LEAST(COALESCE(n, 3), 3, COALESCE(m, 3))", "LEAST(COALESCE(n, 3), 3, COALESCE(m, 3))"),
        ("trim(s)", "TRIM(s)", "TRIM(s, ' ')", "TRIM(' ' FROM s)"),
        ("right(s, 2)", "RIGHT(s, 2)", "RIGHT(s, 2)", "SUBSTR(s, GREATEST(LENGTH(s) - 2 + 1, 1))"),
        ("contains(s, 'a')", "CONTAINS(s, 'a')", "(INSTR(s, 'a') > 0)", "(STRPOS(s, 'a') > 0)"),
        ("split_part(s, '-', 2)", "SPLIT_PART(s, '-', 2)", "CASE WHEN NOT s IS NULL THEN COALESCE(SPLIT(s, '-')[SAFE_OFFSET(1)], '') END", "CASE WHEN NOT s IS NULL THEN COALESCE(SPLIT_PART(s, '-', 2), '') END"),
        ("concat_ws('-', s, n)", "ARRAY_TO_STRING(ARRAY_CONSTRUCT_COMPACT(s, CAST(n AS VARCHAR)), '-')", "ARRAY_TO_STRING([s, CAST(n AS STRING)], '-')", "CONCAT_WS('-', s, CAST(n AS VARCHAR))"),
        ("regexp_matches(s, '[0-9]')", "(REGEXP_INSTR(s, '[0-9]') > 0)", "REGEXP_CONTAINS(s, '[0-9]')", "REGEXP_LIKE(s, '[0-9]')"),
        ("regexp_replace(s, 'a', 'b', 'g')", "REGEXP_REPLACE(s, 'a', 'b', 1, 0)", "REGEXP_REPLACE(s, 'a', 'b')", "REGEXP_REPLACE(s, 'a', 'b')"),
        ("regexp_extract(s, '(a)(b)', 2)", "CASE WHEN NOT s IS NULL THEN COALESCE(REGEXP_SUBSTR(s, '(a)(b)', 1, 1, 'e', 2), '') END", "CASE WHEN NOT s IS NULL THEN COALESCE(REGEXP_EXTRACT(s, '(?:a)(b)'), '') END", "CASE WHEN NOT s IS NULL THEN COALESCE(REGEXP_EXTRACT(s, '(a)(b)', 2), '') END"),
        ("s like '5!%' escape '!'", "s LIKE '5!%' ESCAPE '!'", r"s LIKE '5\\%'", "s LIKE '5!%' ESCAPE '!'"),
        (r"s like 'a\b'", r"s LIKE 'a\\b'", r"s LIKE 'a\\\\b'", r"s LIKE 'a\b'"),
        ("md5(s)", "MD5(s)", "TO_HEX(MD5(s))", "LOWER(TO_HEX(MD5(TO_UTF8(s))))"),
        ("avg(m)", "AVG(CAST(m AS DOUBLE))", "AVG(CAST(m AS FLOAT64))", "AVG(CAST(m AS DOUBLE))"),
        ("max(b)", "BOOLOR_AGG(b)", "LOGICAL_OR(b)", "BOOL_OR(b)"),
        ("any_value(s)", "MIN(s)", "MIN(s)", "MIN(s)"),
        ("count(*) filter (where b)", "COUNT(IFF(b, 1, NULL))", "COUNT(IF(b, 1, NULL))", "COUNT(*) FILTER(WHERE b)"),
        ("arg_max(s, n)", "CASE WHEN COUNT(IFF(NOT s IS NULL, n, NULL)) > 0 THEN MAX_BY(s, IFF(NOT s IS NULL, n, NULL)) END", "CASE WHEN COUNT(IF(NOT s IS NULL, n, NULL)) > 0 THEN MAX_BY(s, IF(NOT s IS NULL, n, NULL)) END", "MAX_BY(s, n) FILTER(WHERE NOT s IS NULL AND NOT n IS NULL)"),
        ("string_agg(s, ',' order by n)", "CASE WHEN COUNT(s) > 0 THEN LISTAGG(s, ',') WITHIN GROUP (ORDER BY n) END", "STRING_AGG(s, ',' ORDER BY n IS NULL ASC, n ASC)", "LISTAGG(s, ',') WITHIN GROUP (ORDER BY n)"),
        ("sum(n) over (order by d nulls last ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)", "SUM(n) OVER (ORDER BY d ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)", "SUM(n) OVER (ORDER BY d IS NULL ASC, d ASC ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)", "SUM(n) OVER (ORDER BY d ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"),
    ],
)  # fmt: skip
def test_what_differs_is_said_as_it_is_meant(expression: str, snowflake: str, bigquery: str, trino: str) -> None:
    assert [written(expression, dialect) for dialect in UNRUN] == [snowflake, bigquery, trino]


@pytest.mark.parametrize("dialect", UNRUN)
def test_a_double_becomes_the_even_one_of_two(dialect: str) -> None:
    assert "= 0.5 THEN 2e0 * ROUND(" in written("cast(x as integer)", dialect)
    assert "CASE" not in written("cast(m as integer)", dialect)


@pytest.mark.parametrize("dialect", ["bigquery", "trino"])
def test_quantiles_of_groups_are_taken_from_all_values(dialect: str) -> None:
    text = written("median(x) filter (where b)", dialect)
    assert "ARRAY_AGG(" in text and "APPROX" not in text
    assert text.count("ARRAY_AGG(") == text.count("b, " if dialect == "bigquery" else "AND b") - text.count(
        "COUNT(IF(b"
    )


@pytest.mark.parametrize("dialect", UNRUN)
def test_a_text_is_tried_by_a_pattern(dialect: str) -> None:
    text = written("try_cast(s as double)", dialect)
    assert text.startswith("CASE WHEN REGEXP_") and "TRY_CAST" not in text
    assert written("try_cast(n as double)", dialect).startswith("CAST(n AS ")


@pytest.mark.parametrize(
    ("dialect", "joined"),
    [
        ("snowflake", "CAST(DATEADD(DAY, CAST(series.VALUE AS INT), low) AS DATE) AS day FROM span CROSS JOIN LATERAL FLATTEN(INPUT => ARRAY_GENERATE_RANGE(0, DATEDIFF(DAY, low, high) + 1)) AS series"),
        ("bigquery", "CAST(moment AS DATE) AS day FROM span CROSS JOIN UNNEST(GENERATE_DATE_ARRAY(low, high, INTERVAL 1 DAY)) AS moment"),
        ("trino", "CAST(DATE_ADD('DAY', CAST(series.step AS BIGINT), low) AS DATE) AS day FROM span CROSS JOIN UNNEST(FLATTEN(TRANSFORM(SEQUENCE(0, DATE_DIFF('day', low, high), 10000), begun -> SEQUENCE(begun, LEAST(DATE_DIFF('day', low, high), begun + 9999))))) AS series(step)"),
    ],
)  # fmt: skip
def test_a_series_of_days_is_joined(dialect: str, joined: str) -> None:
    series = "SELECT CAST(unnest(generate_series(low, high, INTERVAL 1 DAY)) AS DATE) AS day FROM span"
    assert in_dialect(sqlglot.parse_one(series, dialect="duckdb"), dialect, pretty=False) == f"SELECT {joined}"


@pytest.mark.parametrize("steps", [0, 1, 9_998, 9_999, 10_000, 10_001, 19_999, 20_000, 35_063, None])
def test_trinos_sequences_follow_each_other(steps: int | None) -> None:
    """A sequence has 10,000 entries at most there. The text, read as Trino's, gives each hour in DuckDB, too."""
    low = dt.datetime(2020, 1, 1, 5)
    high = "NULL" if steps is None else f"'{low + dt.timedelta(hours=steps)}'"
    span = f"SELECT TIMESTAMP '{low}' AS low, CAST({high} AS TIMESTAMP) AS high"
    series = f"SELECT unnest(generate_series(low, high, INTERVAL 1 HOUR)) AS hour FROM ({span}) AS span"
    text = in_dialect(sqlglot.parse_one(series, dialect="duckdb"), "trino", pretty=False)
    found = duckdb.sql(sqlglot.parse_one(text, dialect="trino").sql("duckdb") + " ORDER BY hour").fetchall()
    assert found == [(low + dt.timedelta(hours=n),) for n in range(-1 if steps is None else steps + 1)]


def test_bigquery_joins_what_is_one_row_to_all() -> None:
    query = "WITH a AS (SELECT k FROM t), b AS (SELECT SUM(x) + 1 AS s FROM t) SELECT k, s FROM a LEFT JOIN b ON TRUE"
    text = in_dialect(sqlglot.parse_one(query, dialect="duckdb"), "bigquery", pretty=False)
    assert text.endswith("SELECT k, s FROM a CROSS JOIN b")


@pytest.mark.parametrize(
    "rows",
    ["SELECT x AS s FROM t", "SELECT SUM(x) AS s FROM t GROUP BY k", "SELECT SUM(x) AS s FROM t HAVING SUM(x) > 0",
     "SELECT SUM(x) OVER () AS s FROM t"],
)  # fmt: skip
def test_bigquery_joins_nothing_else_without_an_equality(rows: str) -> None:
    query = f"WITH a AS (SELECT k FROM t), b AS ({rows}) SELECT k, s FROM a LEFT JOIN b ON TRUE"
    with pytest.raises(UsageError, match="an outer join without an equality"):
        in_dialect(sqlglot.parse_one(query, dialect="duckdb"), "bigquery")


def test_bigquery_joins_on_equalities() -> None:
    query = sqlglot.parse_one("SELECT a.k FROM a LEFT JOIN b ON a.k IS NOT DISTINCT FROM b.k", dialect="duckdb")
    on = "COALESCE(TO_JSON_STRING(a.k), 'null') = COALESCE(TO_JSON_STRING(b.k), 'null')"
    assert in_dialect(query, "bigquery", pretty=False) == f"SELECT a.k FROM a LEFT JOIN b ON {on}"


def test_snowflakes_names_stand_without_quotes_but_for_its_own_words() -> None:
    query = sqlglot.parse_one('SELECT "rows", month, "Month", "Customer ID", "قلم" FROM t', dialect="duckdb")
    told = 'SELECT "ROWS", month, Month, "Customer ID", "قلم" FROM t'
    assert in_dialect(query, "snowflake", pretty=False) == told


@pytest.mark.parametrize(
    ("expression", "dialects"),
    [
        ("mode(n)", "bigquery trino"),
        ("quantile_disc(n, 0.5)", "bigquery trino"),
        ("first(s order by x)", "snowflake bigquery trino"),
        ("approx_count_distinct(n)", "snowflake bigquery trino"),
        ("count(distinct (n, s))", "snowflake bigquery trino"),
        ("geometric_mean(x)", "snowflake bigquery trino"),
        ("levenshtein(s, 'a')", "snowflake bigquery trino"),
        ("age(t, t)", "snowflake bigquery trino"),
        ("t - t", "snowflake bigquery trino"),
        ("d + interval 1 month - d", "snowflake bigquery trino"),
        ("t + interval (x) day", "snowflake bigquery trino"),
        ("t + interval '5' microsecond", "snowflake trino"),
        ("cast(z as date)", "snowflake bigquery trino"),
        ("extract(hour from z)", "snowflake bigquery trino"),
        ("date_trunc('day', z)", "snowflake bigquery trino"),
        ("t at time zone 'UTC'", "snowflake bigquery trino"),
        ("cast(x as varchar)", "snowflake bigquery trino"),
        ("cast(m as varchar)", "bigquery"),
        ("try_cast(s as date)", "snowflake bigquery trino"),
        ("x % 2", "snowflake bigquery trino"),
        ("repeat(s, 2)", "trino"),
        ("replace(s, '', '-')", "trino"),
        ("regexp_replace(s, 'a', 'b')", "bigquery trino"),
        ("regexp_matches(s, '(?:a)b')", "snowflake"),
        ("strftime(d, '%A')", "snowflake"),
        ("strftime(t, '%f')", "bigquery trino"),
        ("strptime(s, '%H:%M:%S.%f')", "bigquery trino"),
        ("s like s", "bigquery"),
    ],
)
def test_what_is_not_the_same_is_refused(expression: str, dialects: str) -> None:
    for dialect in dialects.split():
        with pytest.raises(UsageError, match=f"^{dialect} cannot say "):
            written(expression, dialect)
