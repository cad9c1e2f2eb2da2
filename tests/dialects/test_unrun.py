"""Dialects whose engines are not to be had here: what they differ in is said as it is meant, or refused."""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot import exp

from kpiengine.errors import UsageError
from kpiengine.sql import in_dialect
from kpiengine.sql.dialects.families import with_columns

from .expressions import GROUPS, ROWS
from .test_expressions import DUCKDB_TYPES

DIALECTS = ("snowflake", "bigquery", "trino", "databricks")
KNOWN = {"AT_TIMEZONE"}
"""Functions that there are, and sqlglot's parser of the dialect does not tell from others."""
SCAN = with_columns(exp.to_table("given_rows"), DUCKDB_TYPES)
TYPES = {"d": "DATE", "t": "TIMESTAMP", "x": "DOUBLE", "n": "INTEGER", "m": "DECIMAL(10,2)", "s": "VARCHAR"}


def written(expression: str, dialect: str) -> str:
    scan = exp.select(*TYPES).from_(with_columns(exp.to_table("given"), TYPES))
    query = exp.select(exp.alias_(sqlglot.parse_one(expression, dialect="duckdb"), "r")).from_("scan")
    text = in_dialect(query.with_("scan", as_=scan), dialect, pretty=False)
    return text.partition(") SELECT ")[2].removesuffix(" AS r FROM scan")


def test_what_is_said_parses_there() -> None:
    said: dict[str, list[str]] = {dialect: [] for dialect in DIALECTS}
    for expression in (*ROWS, *GROUPS):
        query = exp.select(sqlglot.parse_one(expression, dialect="duckdb")).from_(SCAN)
        for dialect in DIALECTS:
            try:
                said[dialect].append(in_dialect(query, dialect, pretty=False))
            except UsageError as refusal:
                assert str(refusal).startswith(f"{dialect} cannot say "), expression
    for dialect, texts in said.items():
        assert len(texts) > len(ROWS) / 2
        for text in texts:
            tree = sqlglot.parse_one(text, dialect=dialect)
            assert isinstance(tree, exp.Select), text
            unknown = {node.name.upper() for node in tree.find_all(exp.Anonymous)} - KNOWN
            assert not unknown or dialect == "databricks", f"{text}: {unknown}"


@pytest.mark.parametrize(
    ("expression", "snowflake", "bigquery", "trino"),
    [
        ("log(x)", "LOG(10, CAST(x AS DOUBLE))", "LOG10(CAST(x AS FLOAT64))", "LOG10(CAST(x AS DOUBLE))"),
        ("week(d)", "WEEKISO(d)", "EXTRACT(ISOWEEK FROM d)", "WEEK(d)"),
        ("dayofweek(d)", "(DAYOFWEEKISO(d) % 7)", "(EXTRACT(DAYOFWEEK FROM d) - 1)", "(DAY_OF_WEEK(d) % 7)"),
        ("isodow(d)", "DAYOFWEEKISO(d)", "(MOD(EXTRACT(DAYOFWEEK FROM d) + 5, 7) + 1)", "DAY_OF_WEEK(d)"),
        ("date_trunc('week', d)", "DATE_TRUNC('WEEK', d)", "DATE_TRUNC(d, ISOWEEK)", "DATE_TRUNC('WEEK', d)"),
        ("date_trunc('month', t)", "DATE_TRUNC('MONTH', t)", "TIMESTAMP_TRUNC(t, MONTH)", "DATE_TRUNC('MONTH', t)"),
        ("date_diff('day', d, d)", "DATEDIFF(DAY, d, d)", "DATE_DIFF(d, d, DAY)", "DATE_DIFF('day', d, d)"),
        ("date_diff('year', d, t)", "(YEAR(t) - YEAR(d))", "(EXTRACT(YEAR FROM t) - EXTRACT(YEAR FROM d))", "(YEAR(t) - YEAR(d))"),
        ("any_value(s)", "MIN(s)", "MIN(s)", "MIN(s)"),
    ],
)  # fmt: skip
def test_what_differs_is_said_as_it_is_meant(expression: str, snowflake: str, bigquery: str, trino: str) -> None:
    assert (written(expression, "snowflake"), written(expression, "bigquery"), written(expression, "trino")) == (
        snowflake,
        bigquery,
        trino,
    )


@pytest.mark.parametrize("dialect", ["snowflake", "bigquery", "trino"])
def test_weeks_are_whole_ones(dialect: str) -> None:
    text = written("date_diff('week', d, d)", dialect)
    assert "TRUNC" in text or text.startswith("(DIV(")


@pytest.mark.parametrize("dialect", ["snowflake", "bigquery", "trino"])
def test_a_double_becomes_the_even_one_of_two(dialect: str) -> None:
    assert "WHEN ABS(x - TRUNC" in written("cast(x as integer)", dialect)
    assert "CASE" not in written("cast(m as integer)", dialect)


@pytest.mark.parametrize(
    ("expression", "dialects"),
    [
        ("median(x)", "bigquery trino"),
        ("quantile_cont(x, 0.9)", "bigquery trino"),
        ("mode(n)", "bigquery trino"),
        ("first(s order by x)", "snowflake bigquery trino"),
        ("approx_count_distinct(n)", "snowflake bigquery trino"),
        ("date_diff('hour', t, t)", "snowflake bigquery trino"),
        ("epoch_us(t)", "snowflake bigquery trino"),
        ("epoch_ms(t)", "snowflake bigquery trino"),
        ("log(2, x)", "snowflake bigquery trino"),
        ("geometric_mean(x)", "snowflake bigquery trino"),
        ("age(t, t)", "snowflake bigquery trino"),
    ],
)
def test_what_is_not_the_same_is_refused(expression: str, dialects: str) -> None:
    for dialect in dialects.split():
        with pytest.raises(UsageError, match=f"^{dialect} cannot say "):
            written(expression, dialect)
