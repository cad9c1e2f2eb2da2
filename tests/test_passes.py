"""Passes over plans: when each pays, and rows that would show it wrong. That results stay is tests/test_oracle.py's."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import yaml

import kpiengine
from kpiengine import cache, passes
from kpiengine.duck import DuckSession
from kpiengine.errors import DataError, UsageError
from kpiengine.passes import PASSES
from kpiengine.project import Project
from kpiengine.running import Runner
from kpiengine.spec import Option
from kpiengine.testing.compare import rows_of

SCHEMA = pa.schema(
    {
        "customer_id": pa.int64(),
        "status": pa.string(),
        "amount": pa.decimal128(12, 2),
        "quantity": pa.int64(),
        "price": pa.float64(),
        "at": pa.timestamp("us"),
        "until": pa.date32(),
    }
)
METRICS = {
    "rows": "count(*)",
    "paid_rows": "count(*) where status = 'paid'",
    "paid": "sum(amount) where status = 'paid'",
    "open": "sum(amount) where status = 'open'",
    "large": "count(*) where status = 'paid' and until >= date '2026-02-01'",
    "statuses": "count(status)",
    "first_status": "min(status)",
    "most": "max(amount) where status <> 'open'",
    "pieces": "sum(quantity)",
    "mean_pieces": "avg(quantity) where status = 'paid'",
    "mean_price": "avg(price)",
    "latest": "max(until)",
    "middle": "median(quantity)",
    "span": "count(distinct until)",
    "odd": "count(*) where quantity % 2 = 1 or quantity % 3 = 1 or quantity % 5 = 1",
    "either": "count_if(status = 'paid' or quantity > 2)",
    "buyers": "count(distinct customer_id)",
    "recent": "trailing(count(distinct customer_id), 2, day)",
    "payers": "count(distinct customer_id) where status = 'paid'",
    "new": "count(distinct customer_id) where at = first_time(customer_id)",
    "new_in_a": "count(distinct customer_id) where at = first_time(customer_id) and customers.city = 'A'",
    "new_and_large": "count(distinct customer_id) where at = first_time(customer_id) and overall(customer_id, sum(amount)) > 5",
    "new_payers": "count(distinct customer_id) where at = first_time(customer_id) and status = 'paid'",
    "new_value": "sum(per(customer_id, max(overall(customer_id, sum(amount))))) where at = first_time(customer_id)",
    "new_lines": "count(*) where at = first_time(customer_id)",
    "rich_lines": "count(*) where overall(customer_id, sum(amount)) > 5",
    "back": "count(distinct customer_id) where at > first_time(customer_id)",
    "since_january": "to_date(sum(amount), year)",
    "so_far": "running(sum(amount))",
    "newest": "max(per(customer_id, min(at)))",
    "begun": "count(per(customer_id, min(at)))",
    "paid_share": "count_if(status = 'paid') / (count_if(status = 'paid') + count_if(status = 'open') + count(until))",
    "answers": "count_if(status = 'open') + (count(until) + count_if(status = 'paid')) + count_if(status = 'open')",
    "until": "count(until)",
    "one_more": "count_if(status = 'open') + (1 + count(until))",
}
Row = tuple[Any, ...]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    customers = "{from: customers.csv, key: id}"
    spec = "sources:\n  t: {from: t.parquet, time: at, joins: {customers: customer_id}}\n  customers: " + customers
    (tmp_path / "kpi.yaml").write_text(spec + "\n", encoding="utf-8")
    (tmp_path / "customers.csv").write_text("id,city\n1,A\n2,B\n3,A\n", encoding="utf-8")
    pa.parquet.write_table(SCHEMA.empty_table(), tmp_path / "t.parquet")
    (tmp_path / "metrics").mkdir()
    metrics = {name: {"source": "t", "formula": formula} for name, formula in METRICS.items()}
    (tmp_path / "metrics" / "all.yaml").write_text(yaml.safe_dump({"metrics": metrics}), encoding="utf-8")
    monkeypatch.setenv("KPI_PASSES", "always")
    with kpiengine.open(tmp_path) as found:
        yield found


def bound(project: Project, *rows: Row) -> Project:
    made = [dict(zip(SCHEMA.names, row, strict=True)) for row in rows]
    project.bind("t", pa.Table.from_pylist(made, schema=SCHEMA))
    return project


def at(day: str, hour: int = 12) -> dt.datetime:
    return dt.datetime.fromisoformat(day) + dt.timedelta(hours=hour)


ROWS: list[Row] = [
    (1, "paid", Decimal("10.00"), 1, 0.5, at("2026-01-31"), dt.date(2026, 2, 1)),
    (1, "paid", Decimal("-3.50"), None, 1.5, at("2026-01-01", 0), dt.date(2026, 2, 3)),
    (2, "open", Decimal("7.25"), 4, None, at("2026-02-01", 0), None),
    (2, None, None, 3, 2.5, at("2026-02-28", 23), dt.date(2027, 3, 1)),
    (9, "paid", Decimal("20.00"), 2, 0.25, at("2026-02-28", 23), dt.date(2026, 1, 1)),
    (None, "open", Decimal("1.00"), -7, 0.125, None, dt.date(2026, 1, 1)),
]
FOLDED = ["rows", "paid_rows", "paid", "open", "large", "statuses", "first_status", "most", "pieces", "mean_pieces",
          "mean_price", "latest", "either"]  # fmt: skip


FIRSTS = ["new", "new_in_a", "new_and_large", "new_payers", "new_value", "new_lines", "back", "paid"]


@pytest.mark.parametrize("by", [["month"], ["month", "status"], ["customers.city"], "none", ["week", "until"]])
@pytest.mark.parametrize(
    "names", [FOLDED, ["rows", "middle", "paid"], ["span", "rows"], FIRSTS, ["new"], ["new_value"]]
)
@pytest.mark.parametrize("rows", [ROWS, []], ids=["rows", "none"])
def test_values_and_types_stay(project, monkeypatch, names, by, rows):
    bound(project, *rows)
    answers = []
    for chosen in ("always", "none"):
        monkeypatch.setenv("KPI_PASSES", chosen)
        answers.append(project.query(names, by=by).arrow())
    passed, plain = answers
    assert passed.schema == plain.schema
    assert rows_of(passed) == rows_of(plain)


@pytest.mark.parametrize(
    "options",
    [
        {"where": "customers.city = 'A'"},
        {"where": "status = 'paid'"},
        {"since": "2026-02-01"},
        {"as_of": "2026-02-15"},
        {"totals": True},
        {"having": "new > 0"},
    ],
    ids=str,
)
def test_firsts_stay_under_conditions(project, monkeypatch, options):
    bound(project, *ROWS, *[(c, "open", Decimal(2), 1, 1.0, at("2026-01-01", 0), None) for c in (1, 1, 3, 9, None)])
    answers = []
    for chosen in ("always", "none"):
        monkeypatch.setenv("KPI_PASSES", chosen)
        answers.append(
            project.query(["new", "new_in_a", "new_value"], by=["month", "customers.city"], **options).arrow()
        )
    assert rows_of(answers[0]) == rows_of(answers[1])
    assert answers[0].num_rows


def test_new_entities_are_counted_from_one_row_each(project):
    sql = bound(project, *ROWS).query(["new", "new_value"], by=["month", "customers.city"]).sql
    assert "t_rows.customer_id = t_first_time" not in sql  # no row is joined with its entity's first time
    assert sql.count('MIN("at")') == 2  # for all of them, and for the first month that there may be


SEEN_LATER: list[Row] = [
    (1, "paid", Decimal(1), 1, 1.0, at("2026-01-31"), None),
    (1, "paid", Decimal(1), 1, 1.0, at("2026-03-01"), None),  # nobody is new in A in March
    (2, "open", Decimal(1), 1, 1.0, at("2026-02-28"), None),
    (9, None, Decimal(1), 1, 1.0, at("2026-02-28"), None),  # of no city
    (9, None, Decimal(1), 1, 1.0, at("2026-06-30", 23), None),
    (3, "paid", Decimal(1), 1, 1.0, None, None),  # without a time, and of nobody
    (None, "open", Decimal(1), 1, 1.0, at("2026-05-01"), None),
]


@pytest.mark.parametrize("by", [["day"], ["customers.city"], ["week", "customers.city"]])
@pytest.mark.parametrize("where", [None, "customers.city = 'A'", "at >= '2026-02-28'", "until IS NULL"])
@pytest.mark.parametrize("options", [{}, {"since": "2026-02-01", "until": "2026-04-01"}], ids=str)
def test_groups_in_which_nobody_is_new_stay(project, monkeypatch, by, where, options):
    bound(project, *SEEN_LATER)
    answers = []
    for chosen in ("always", "none"):
        monkeypatch.setenv("KPI_PASSES", chosen)
        answers.append(rows_of(project.query(["new"], by=by, where=where, **options).arrow()))
    assert answers[0] == answers[1]


def test_rows_are_read_for_groups_in_which_nobody_is_new(project):
    found = bound(project, *SEEN_LATER).query(["new"], by=["month", "customers.city"])
    assert "t_by_month_city_rows_absent" in found.sql and "months_seen" not in found.sql
    by_month = [(row["month"], row["city"], row["new"]) for row in found.arrow().to_pylist()]
    assert by_month == [
        (dt.date(2026, 1, 1), "A", 1), (dt.date(2026, 2, 1), "B", 1), (dt.date(2026, 2, 1), None, 1),
        (dt.date(2026, 3, 1), "A", 0), (dt.date(2026, 5, 1), None, 0), (dt.date(2026, 6, 1), None, 0), (None, "A", 0),
    ]  # fmt: skip


def test_aggregates_of_the_same_rows_by_the_same_key_are_one(project, monkeypatch):
    answers = []
    for chosen, readings in (("none", 3), ("always,merge", 2)):
        monkeypatch.setenv("KPI_PASSES", chosen)
        result = bound(project, *ROWS).query(["new_lines", "rich_lines"], by=["until"])
        assert result.sql.count("FROM t_rows\n") == readings  # of the rows themselves, and of one or two by customer
        answers.append(rows_of(result.arrow()))
    assert answers[0] == answers[1]


def test_long_conditions_are_looked_at_by_period_and_value(project):
    sql = bound(project, *ROWS).query(["paid", "open", "large"], by="month").sql
    fine, between, coarse = re.split(r"t_by_month\w* AS", sql)
    assert "DATE_TRUNC" not in fine and "status = 'paid'" not in fine
    assert "DATE_TRUNC('MONTH', day)" in between and "status = 'paid'" not in between
    assert "DATE_TRUNC" not in coarse and "status = 'paid'" in coarse


def test_a_join_that_nobody_reads_is_left_out(project, monkeypatch):
    metrics = ["new", "paid"]
    monkeypatch.setenv("KPI_PASSES", "always -prune")
    kept = bound(project, *ROWS).query(metrics, by="month").sql
    monkeypatch.setenv("KPI_PASSES", "always")
    assert "LEFT JOIN t_first_time" in kept
    assert "LEFT JOIN t_first_time" not in project.query(metrics, by="month").sql


def test_days_come_before_months_and_conditions_after_their_columns(project, monkeypatch):
    monkeypatch.setenv("KPI_PASSES", "always -stages")
    sql = bound(project, *ROWS).query(["paid", "open", "large"], by="month").sql
    fine, coarse = sql.split("t_by_month AS")
    assert 'CAST("at" AS DATE) AS day' in fine and "DATE_TRUNC" not in fine
    assert "until >= CAST('2026-02-01' AS DATE)" in fine and "status = 'paid'" not in fine
    assert "DATE_TRUNC('MONTH', day)" in coarse and "status = 'paid'" in coarse


def test_first_days_of_months_are_counted_back_to(project, monkeypatch):
    """The ends of months, leap days, and the beginning of what a date may be."""
    days = ["0001-01-01", "0001-01-31", "1900-02-28", "1969-12-31", "2000-02-29", "2024-02-29", "2024-12-31"]
    bound(project, *[(1, None, None, None, None, at(day), None) for day in days])
    answers = []
    for chosen in ("always starts", "none"):
        monkeypatch.setenv("KPI_PASSES", chosen)
        found = project.query("rows", by="month")
        assert ("DATE_TRUNC" in found.sql) == (chosen == "none")
        answers.append(found.arrow().to_pylist())
    assert answers[0] == answers[1]
    assert len(answers[0]) == 6


def test_several_levels_read_the_rows_once(project):
    sql = bound(project, *ROWS).query(["paid"], by=["month", "status"], totals=True).sql
    assert sql.count("FROM t_rows") == 1


def test_a_count_of_no_row_is_zero_and_a_sum_is_null(project):
    bound(project, ROWS[2])
    answer = project.query(["paid_rows", "paid", "large", "mean_pieces", "either"], by="month").arrow()
    assert answer.to_pylist() == [
        {"month": dt.date(2026, 2, 1), "paid_rows": 0, "paid": None, "large": 0, "mean_pieces": None, "either": 1}
    ]


def test_a_sum_that_overflows_stays_an_error_and_parts_that_would_alone_do_not(project):
    big = 2**62

    def row(day: str, quantity: int) -> Row:
        return (1, "paid", None, quantity, None, at(day), None)

    fits = [row("2026-01-01", big), row("2026-01-01", big), row("2026-01-02", -big), row("2026-01-02", -big)]
    assert bound(project, *fits).query("pieces", by="month").arrow().to_pylist()[0]["pieces"] == 0
    with pytest.raises(DataError, match="out of the range of BIGINT"):
        bound(project, *fits[:2]).query("pieces", by="month").arrow()


def test_a_costly_condition_is_looked_at_over_groups_even_of_whole_months(project, monkeypatch):
    """Under eight rows to a day and number, above it to a month and number."""
    first, rows = dt.datetime(2026, 1, 1), 60_000
    columns = {name: pa.nulls(rows, kind) for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True)}
    columns["quantity"] = pa.array([n * 7 % 80 for n in range(rows)], pa.int64())
    columns["at"] = pa.array([first + dt.timedelta(days=n * 11 % 365) for n in range(rows)], pa.timestamp("us"))
    project.bind("t", pa.table(columns))
    monkeypatch.setenv("KPI_PASSES", "all")
    passed = project.query(["odd", "rows"], by="month")
    assert "GROUP BY\n    1,\n    2\n" in passed.sql and "AS day" not in passed.sql
    assert "count(*)" not in project.query(["odd"], by="month").sql.lower().split("t_by_month as")[1]
    monkeypatch.setenv("KPI_PASSES", "none")
    assert rows_of(passed.arrow()) == rows_of(project.query(["odd", "rows"], by="month").arrow())


@pytest.mark.parametrize("by", [["month"], ["month", "customers.city"], ["customers.city", "week"], ["quarter"]])
@pytest.mark.parametrize("rows", [ROWS, []], ids=["rows", "none"])
def test_groups_are_told_by_bits_of_the_rows_that_firsts_come_from(project, monkeypatch, by, rows):
    bound(project, *rows)
    monkeypatch.setenv("KPI_PASSES", "always entities seen prune")
    result = project.query(["new", "new_value"], by=by)
    assert ("BIT_OR" in result.sql) == bool(rows)  # bounds of no rows are none
    assert "t_joined" not in result.sql or not rows
    answers = [rows_of(result.arrow())]
    monkeypatch.setenv("KPI_PASSES", "none")
    assert answers == [rows_of(project.query(["new", "new_value"], by=by).arrow())]


@pytest.mark.parametrize("months", [61, 62, 63])
def test_as_many_periods_as_bits_have_room_for(tmp_path, monkeypatch, months):
    spec = "sources: {t: {from: t.parquet, time: at}}\nmetrics:\n"
    (tmp_path / "kpi.yaml").write_text(f'{spec}  new: {{source: t, formula: "{METRICS["new"]}"}}\n', encoding="utf-8")
    starts = [dt.datetime(2020 + n // 12, n % 12 + 1, 15) for n in range(months)]
    rows = [(n % 7, start) for n, start in enumerate(starts)] + [(None, starts[1]), (1, None)]
    columns = {"customer_id": [c for c, _ in rows], "at": pa.array([t for _, t in rows], pa.timestamp("us"))}
    pa.parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    with kpiengine.open(tmp_path) as project:
        monkeypatch.setenv("KPI_PASSES", "always entities seen prune")
        told = project.query("new", by="month")
        assert ("BIT_OR" in told.sql) == (months <= 62)
        found = [(row["month"], row["new"]) for row in told.rows()]
    assert found == [(start.date().replace(day=1), int(n < 7)) for n, start in enumerate(starts)] + [(None, 0)]


def chosen_and_plain(
    project: Project, monkeypatch: pytest.MonkeyPatch, names: list[str], but: str = "", **asked: Any
) -> str:
    """The statement after the passes for a cluster, whose rows are those of the plan as it is made."""
    chosen = [each.__name__ for each in passes.ENGINES["spark"] if each.__name__ != but]
    monkeypatch.setenv("KPI_PASSES", " ".join(["always", *chosen]))
    result = project.query(names, **asked)
    answers = [rows_of(result.arrow())]
    monkeypatch.setenv("KPI_PASSES", "none")
    assert answers == [rows_of(project.query(names, **asked).arrow())]
    return str(result.sql)


AS_DAY, AS_TIME = 'MIN(CAST("at" AS DATE))', 'MIN("at")'


@pytest.mark.parametrize("rows", [ROWS, []], ids=["rows", "none"])
@pytest.mark.parametrize("by", [["day"], ["week", "customers.city"], ["month"], ["year"]])
def test_a_first_time_is_kept_as_a_day_where_no_more_is_asked(project, monkeypatch, by, rows):
    sql = chosen_and_plain(bound(project, *rows), monkeypatch, ["new", "new_value"], by=by)
    assert AS_DAY in sql and AS_TIME not in sql


@pytest.mark.parametrize(
    ("names", "by"),
    [(["new"], ["hour"]), (["new", "new_lines"], ["month"]), (["back"], ["month"]), (["newest"], "none"),
     (["begun"], "none")],
)  # fmt: skip
def test_a_first_time_of_which_more_is_asked_stays_a_time(project, monkeypatch, names, by):
    sql = chosen_and_plain(bound(project, *ROWS), monkeypatch, names, by=by)
    assert AS_TIME in sql and AS_DAY not in sql


def test_only_what_is_a_time_without_a_zone_becomes_a_day(tmp_path, monkeypatch):
    """A row near midnight: which day a moment with a zone is on, the zone says, and a text is on none."""
    monkeypatch.setenv("KPI_PASSES", "always entities seen prune merge fold days")
    moment = dt.datetime(2026, 1, 31, 23, 30, tzinfo=dt.UTC)
    (tmp_path / "kpi.yaml").write_text(
        "timezone: Europe/Berlin\nsources: {t: {from: t.parquet, time: at}}\n"
        "metrics: {new: {source: t, formula: count(distinct c) where at = first_time(c)}}\n",
        encoding="utf-8",
    )
    columns = {
        "c": [1, 1, 2],
        "at": pa.array([moment, moment + dt.timedelta(days=40), None], pa.timestamp("us", "UTC")),
    }
    pa.parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    with kpiengine.open(tmp_path) as project:
        result = project.query("new", by="month")
        assert AS_TIME in result.sql and AS_DAY not in result.sql
        told = [(row["month"], row["new"]) for row in result.rows()]
    assert told == [(dt.date(2026, 2, 1), 1), (dt.date(2026, 3, 1), 0), (None, 0)]


@pytest.mark.parametrize("rows", [ROWS, []], ids=["rows", "none"])
@pytest.mark.parametrize("by", [["month"], ["customers.city"], "none"])
@pytest.mark.parametrize(
    ("names", "sums"),
    [(["paid_share"], 1), (["answers"], 1), (["paid_share", "answers"], 0), (["paid_share", "until"], 0),
     (["paid_share", "rows"], 1), (["one_more"], 0), (["paid_share", "paid"], 1)],
)  # fmt: skip
def test_counts_that_are_read_together_are_one(project, monkeypatch, names, sums, by, rows):
    sql = chosen_and_plain(bound(project, *rows), monkeypatch, names, but="fold", by=by)
    assert len(re.findall(r"AS \w+_and_more\b", sql)) == sums


@pytest.mark.parametrize(("by", "whole"), [("month", True), ("year", True), ("week", False), ("day", False)])
def test_windows_of_whole_periods_are_made_of_those(project, monkeypatch, by, whole):
    sql = chosen_and_plain(bound(project, *ROWS), monkeypatch, ["paid", "since_january"], by=by)
    assert ("t_to_date_year_by_" + by + "_periods" in sql) == whole
    assert ("AS day" in sql.split("_span AS")[0]) == (not whole)  # where the rows are grouped
    assert "t_running_by_week_periods" in chosen_and_plain(project, monkeypatch, ["so_far"], by="week")


def test_few_rows_keep_their_plan(project, monkeypatch):
    bound(project, *ROWS)
    monkeypatch.setenv("KPI_PASSES", "none")
    plain = project.query(list(METRICS), by="month").sql
    monkeypatch.delenv("KPI_PASSES")
    assert project.query(list(METRICS), by="month").sql == plain


def test_statements_for_other_tables_or_engines_keep_their_plan(project, monkeypatch):
    bound(project, *ROWS)
    passed = [project.sql("paid", by="month", tables={"t": "other"}), project.sql("paid", by="month", dialect="spark")]
    monkeypatch.setenv("KPI_PASSES", "none")
    plain = [project.sql("paid", by="month", tables={"t": "other"}), project.sql("paid", by="month", dialect="spark")]
    assert passed == plain


def test_passes_are_chosen_by_name(project, monkeypatch):
    bound(project, *ROWS)

    def sql(chosen: str) -> str:
        monkeypatch.setenv("KPI_PASSES", chosen)
        return project.query(["paid", "open"], by="month").sql

    plain = sql("none")
    assert sql("always -fold -starts") == plain
    assert sql("always fold stages") == sql("always") != sql("always fold") != plain
    assert sql("ALL") == sql("") == plain
    with pytest.raises(UsageError, match=r'KPI_PASSES: there is no pass "folds"; there are: .*fold'):
        sql("folds")


# -- masks


def test_distinct_counts_come_from_one_row_a_value_joined_late(project):
    bound(project, *ROWS)
    result = project.query(["buyers", "payers", "rows"], by=["month", "customers.city"])
    assert "BIT_OR" in result.sql
    each = result.sql.split("t_months_by_customer_id AS (")[1].split("\n), ")[0]
    assert "JOIN" not in each and "city" not in each
    january, february = dt.date(2026, 1, 1), dt.date(2026, 2, 1)
    assert rows_of(result.arrow())[1:] == [
        (january, "A", 1, 1, 2),
        (february, "B", 1, 0, 2),
        (february, None, 1, 1, 1),
        (None, None, 0, 0, 1),
    ]


def test_a_group_whose_rows_have_no_value_is_there_and_counts_none(project):
    bound(project, *ROWS, (None, "paid", None, None, None, at("2026-03-01"), None))
    for names in (["buyers"], ["payers"], ["buyers", "payers"]):
        result = project.query(names, by="month")
        assert "BIT_OR" in result.sql
        march, timeless = rows_of(result.arrow())[-2:]
        assert (march[0], timeless[0]) == (dt.date(2026, 3, 1), None)
        assert set(march[1:] + timeless[1:]) == {0}


@pytest.mark.parametrize("unit", ["week", "month", "quarter", "year"])
def test_places_of_periods(project, unit):
    days = [dt.date(2019, 12, 29) + dt.timedelta(days=n) for n in (0, 1, 2, 3, 31, 60, 91, 366, 400)]
    bound(project, *[(n % 4, None, None, None, None, at(day.isoformat(), 23), day) for n, day in enumerate(days)])
    result = project.query("buyers", by=unit)
    expected: dict[dt.date, set[int]] = {}
    for n, day in enumerate(days):
        expected.setdefault(project.calendar.start_of(day, unit), set()).add(n % 4)
    assert "BIT_OR" in result.sql
    assert rows_of(result.arrow())[1:] == [(start, len(found)) for start, found in sorted(expected.items())]


@pytest.mark.parametrize(("periods", "form"), [(63, "BIT_OR"), (64, "COUNT(DISTINCT")])
def test_as_many_periods_as_a_mask_has_bits(project, periods, form):
    months = [dt.date(2020 + n // 12, n % 12 + 1, 28) for n in range(periods)]
    bound(project, *[(1, "paid", None, None, None, at(m.isoformat()), None) for m in months])
    result = project.query("buyers", by="month")
    assert form in result.sql
    assert rows_of(result.arrow())[1:] == [(m.replace(day=1), 1) for m in months]


@pytest.mark.parametrize("day", ["2025-12-31", "2026-04-01", "2026-05-01", "2031-06-01", "2035-01-01", "1999-01-01"])
def test_a_time_that_a_footer_denies_is_an_error(tmp_path, monkeypatch, day):
    """The file changes between the plan and the reading of it."""
    monkeypatch.setenv("KPI_PASSES", "always")
    spec = "sources: {t: {from: t.parquet, time: at}}\nmetrics:\n"
    spec += "".join(f'  {n}: {{source: t, formula: "{METRICS[n]}"}}\n' for n in ("buyers", "payers", "rows", "recent"))
    (tmp_path / "kpi.yaml").write_text(spec, encoding="utf-8")

    def write(*days: str) -> None:
        rows = [dict(zip(SCHEMA.names, (1, "paid", None, None, None, at(d), None), strict=True)) for d in days]
        pa.parquet.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), tmp_path / "t.parquet")

    asked = {"buyers": "BIT_OR", "payers": "BIT_OR", "payers,rows": "BIT_OR", "recent": "packed"}
    for names, form in asked.items():
        write("2026-01-31", "2026-03-01")
        with kpiengine.open(tmp_path) as project:
            result = project.query(names, by="month")
            assert form in result.sql
            write("2026-01-31", day)
            with pytest.raises(DataError, match=r"outside of what its Parquet file says|shift"):
                result.arrow()


@pytest.mark.parametrize("day", ["2025-12-31", "2026-05-01", "2031-06-01", "1999-01-01", "2020-09-30"])
def test_bits_of_a_time_that_a_footer_denies_are_an_error(tmp_path, monkeypatch, day):
    monkeypatch.setenv("KPI_PASSES", "always entities seen prune")
    spec = "sources: {t: {from: t.parquet, time: at}}\nmetrics:\n"
    (tmp_path / "kpi.yaml").write_text(f'{spec}  new: {{source: t, formula: "{METRICS["new"]}"}}\n', encoding="utf-8")

    def write(*days: str) -> None:
        rows = [dict(zip(SCHEMA.names, (1, "paid", None, None, None, at(d), None), strict=True)) for d in days]
        pa.parquet.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), tmp_path / "t.parquet")

    write("2026-01-31", "2026-03-01")
    with kpiengine.open(tmp_path) as project:
        result = project.query("new", by="month")
        assert "BIT_OR" in result.sql
        write("2026-01-31", day)
        with pytest.raises(DataError, match=r"outside of what its Parquet file says|shift"):
            result.arrow()


@pytest.mark.parametrize("lost", ["customer_id", "at"])
def test_a_value_that_a_footer_has_and_a_row_has_not_is_an_error(tmp_path, monkeypatch, lost):
    """Groups of rows without a time or an entity are not looked for where the file says that there are none."""
    monkeypatch.setenv("KPI_PASSES", "always entities prune")
    spec = "sources: {t: {from: t.parquet, time: at}}\nmetrics:\n"
    (tmp_path / "kpi.yaml").write_text(f'{spec}  new: {{source: t, formula: "{METRICS["new"]}"}}\n', encoding="utf-8")
    row = dict(zip(SCHEMA.names, (1, "paid", None, None, None, at("2026-01-31"), None), strict=True))

    def write(*rows: dict[str, Any]) -> None:
        pa.parquet.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), tmp_path / "t.parquet")

    write(row)
    with kpiengine.open(tmp_path) as project:
        assert project.query("new", by="month").arrow().num_rows == 1
        result = project.query("new", by="month")
        write(row, {**row, lost: None})
        with pytest.raises(DataError, match="a value is missing that its Parquet file says is there"):
            result.arrow()
        assert project.query("new", by="month").arrow().num_rows == (2 if lost == "at" else 1)


# -- packed


@pytest.mark.parametrize("by", ["day", "week", "month"])
@pytest.mark.parametrize("function", ["trailing(X, 2, day)", "trailing(X, 1, month)", "to_date(X, month)"])
def test_what_comes_next_is_told_by_packed_numbers(tmp_path, monkeypatch, by, function):
    """Ids next to each other, below zero and at the edge of what fits; a value twice a day; days far apart."""
    days = ["2026-01-01", "2026-01-01", "2026-01-03", "2026-01-31", "2026-03-01", "2026-03-02"]
    ids = [-(2**40), -1, 0, 1, 2**40]
    rows = [(n, None, None, None, None, at(d, h), None) for n in ids for h, d in enumerate(days) if (n + h) % 3]
    made = [dict(zip(SCHEMA.names, row, strict=True)) for row in [*rows, rows[0]]]
    pa.parquet.write_table(pa.Table.from_pylist(made, schema=SCHEMA), tmp_path / "t.parquet")
    formula = function.replace("X", "count(distinct customer_id)")
    spec = f'sources: {{t: {{from: t.parquet, time: at}}}}\nmetrics: {{n: {{source: t, formula: "{formula}"}}}}\n'
    (tmp_path / "kpi.yaml").write_text(spec, encoding="utf-8")
    answers = []
    for chosen in ("always", "none"):
        monkeypatch.setenv("KPI_PASSES", chosen)
        with kpiengine.open(tmp_path) as project:
            result = project.query("n", by=by)
            assert ("packed" in result.sql) == (chosen == "always")
            answers.append(rows_of(result.arrow()))
    assert answers[0] == answers[1]


def test_each_window_of_a_query_is_told_by_packed_numbers(tmp_path, monkeypatch):
    made = [
        dict(zip(SCHEMA.names, (n % 3, None, None, None, None, at(f"2026-01-{n:02}"), None), strict=True))
        for n in range(1, 29)
    ]
    pa.parquet.write_table(pa.Table.from_pylist(made, schema=SCHEMA), tmp_path / "t.parquet")
    formulas = {f"last_{n}": f"trailing(count(distinct customer_id), {n}, day)" for n in (2, 3, 5)}
    metrics = {name: {"source": "t", "formula": formula} for name, formula in formulas.items()}
    spec = {"sources": {"t": {"from": "t.parquet", "time": "at"}}, "metrics": metrics}
    (tmp_path / "kpi.yaml").write_text(yaml.safe_dump(spec), encoding="utf-8")
    answers = []
    for chosen, packed in (("always", 3), ("none", 0)):
        monkeypatch.setenv("KPI_PASSES", chosen)
        with kpiengine.open(tmp_path) as project:
            result = project.query(list(formulas), by="day")
            assert result.sql.count("LEAD(packed)") == packed
            answers.append(rows_of(result.arrow()))
    assert answers[0] == answers[1]
    assert answers[0][-1][1:] == (2, 3, 3)


# -- inner


SHOP = """
sources:
  orders: {from: orders.parquet, joins: {customers: customer_id}}
  customers: {from: customers.parquet, key: customer_id, joins: {regions: region_id}}
  regions: {from: regions.parquet, key: region_id}
metrics:
  amount: {source: orders, formula: sum(amount)}
  buyers: {source: orders, formula: count(distinct customer_id)}
  in_a: {source: orders, formula: "count(*) where customers.city = 'A'"}
"""
Values = dict[str, list[Any]]


def shop(folder: Path, orders: list[int | None], customers: Values, regions: Values) -> Path:
    """A project of three tables, the first with an amount of 1 an order."""
    (folder / "kpi.yaml").write_text(SHOP, encoding="utf-8")
    numbers = pa.array(orders, pa.int64())
    pa.parquet.write_table(pa.table({"customer_id": numbers, "amount": [1] * len(orders)}), folder / "orders.parquet")
    pa.parquet.write_table(pa.table(customers), folder / "customers.parquet")
    pa.parquet.write_table(pa.table(regions), folder / "regions.parquet")
    return folder


CITIES = {"customer_id": [1, 2], "city": ["A", "B"], "region_id": [7, 8]}
REGIONS = {"region_id": [7, 8], "zone": ["N", "S"]}


@pytest.mark.parametrize(
    ("orders", "customers", "regions", "left"),
    [
        ([1, 2, 2], CITIES, REGIONS, 0),
        ([1, 2, 3], CITIES, REGIONS, 2),  # an order of an unknown customer: its region is not known either
        ([1, 2, None], CITIES, REGIONS, 2),
        ([1, 2], CITIES, {"region_id": [7], "zone": ["N"]}, 1),
        ([], CITIES, REGIONS, 0),
    ],
    ids=["all meet", "orphan", "null", "orphan behind", "no rows"],
)
def test_joins_are_inner_ones_where_no_row_is_without_another(tmp_path, monkeypatch, orders, customers, regions, left):
    monkeypatch.setenv("KPI_PASSES", "always -codes")
    with kpiengine.open(shop(tmp_path, orders, customers, regions)) as project:
        result = project.query("amount", by=["customers.city", "customers.regions.zone"])
        assert result.sql.count("LEFT JOIN") == left
        assert result.sql.count("JOIN") == 2
        assert project.sql("amount", by="customers.city").count("LEFT JOIN") == 1  # a text may be kept for other rows
        found = rows_of(result.arrow())
        monkeypatch.setenv("KPI_PASSES", "none")
        assert found == rows_of(project.query("amount", by=["customers.city", "customers.regions.zone"]).arrow())
    assert sum(row[-1] for row in found[1:]) == len(orders)


def test_rows_that_come_without_another_after_the_plan_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("KPI_PASSES", "always")
    with kpiengine.open(shop(tmp_path, [1, 2], CITIES, REGIONS)) as project:
        result = project.query("amount", by="customers.city")
        shop(tmp_path, [1, 2, 3], CITIES, REGIONS)
        with pytest.raises(DataError, match='files of "orders", or of what it joins, have changed'):
            result.arrow()
        found = rows_of(project.query("amount", by="customers.city").arrow())
        assert found[1:] == [("A", 1), ("B", 1), (None, 1)]


def test_whether_rows_meet_is_found_out_once(tmp_path, monkeypatch):
    for name, value in (("SETTLED", 0), ("SETTLED_COARSE", 0)):
        monkeypatch.setattr(cache, name, value)
    monkeypatch.setattr(sys.modules["kpiengine.passes.inner"], "FEW_ROWS", 0)
    monkeypatch.setattr(passes, "FEW_ROWS", 0)
    monkeypatch.setenv("KPI_PASSES", "inner")
    monkeypatch.setenv("KPI_CACHE", str(tmp_path / "cache"))
    asked: list[str] = []
    rows = Runner.rows
    monkeypatch.setattr(Runner, "rows", lambda self, tree: asked.append(tree.sql("duckdb")) or rows(self, tree))
    answers = []
    for _ in range(2):
        with kpiengine.open(shop(tmp_path, [1, 2], CITIES, REGIONS) if not asked else tmp_path) as project:
            answers.append(project.query("amount", by="customers.city"))
            answers[-1].arrow()
    assert [a.sql.count("LEFT JOIN") for a in answers] == [0, 0]
    assert len([text for text in asked if text.endswith("AS met")]) == 1
    monkeypatch.setenv("KPI_CACHE", "off")
    with kpiengine.open(tmp_path) as project:
        assert "LEFT JOIN" in project.query("amount", by="customers.city").sql
    assert len([text for text in asked if text.endswith("AS met")]) == 1


# -- rescan


def test_wide_rows_are_read_by_each_of_their_readers(project, monkeypatch):
    rows = [(n % 7, "paid", Decimal(n), n, n / 2, at("2026-01-31"), dt.date(2026, 2, 1)) for n in range(60_000)]
    bound(project, *rows)
    wide = ["paid_rows", "most", "mean_pieces", "mean_price", "latest", "buyers"]
    monkeypatch.setenv("KPI_PASSES", "all")
    passed, narrow = project.query(wide, by="month"), project.query(["rows", "buyers"], by="month")
    assert "t_rows AS NOT MATERIALIZED" in passed.sql and "NOT MATERIALIZED" not in narrow.sql
    monkeypatch.setenv("KPI_PASSES", "none")
    assert rows_of(passed.arrow()) == rows_of(project.query(wide, by="month").arrow())


def test_rows_that_would_fill_the_memory_are_read_by_each_of_their_readers(project, monkeypatch):
    bound(project, *[(n % 7, "paid", Decimal(n), n, n / 2, at("2026-01-31"), None) for n in range(60_000)])
    monkeypatch.setenv("KPI_PASSES", "all")
    told = []
    for memory in (4 * 60_000 * 16, 4 * 60_000 * 16 - 1):  # a number and a time a row
        monkeypatch.setattr(DuckSession, "memory", memory)
        told.append(project.query(["rows", "buyers"], by="month"))
    assert ["NOT MATERIALIZED" in each.sql for each in told] == [False, True]
    assert told[0].arrow() == told[1].arrow()


def test_rows_that_a_kind_hands_on_to_several_steps_are_counted_as_theirs(tmp_path, monkeypatch):
    query = (
        "SELECT i % 5000 AS customer_id, TIMESTAMP '2026-01-01' + INTERVAL (i % 300) DAY AS at FROM range(60_000) r(i)"
    )
    duckdb.execute(f"COPY ({query}) TO '{tmp_path / 't.parquet'}'")
    metric = "{kind: cohort, source: t, customer: customer_id, time: at, amount: '1'}"
    (tmp_path / "kpi.yaml").write_text(f"sources: {{t: {{from: t.parquet}}}}\nmetrics: {{kept: {metric}}}\n")
    monkeypatch.delenv("KPI_PASSES", raising=False)
    answers = []
    for memory, anew in ((2**30, False), (2**20, True)):
        monkeypatch.setattr(DuckSession, "memory", memory)
        with kpiengine.open(tmp_path) as project:
            result = project.query("kept")
            assert ("t_rows AS NOT MATERIALIZED" in result.sql) == anew
            answers.append(result.arrow())
    assert answers[0] == answers[1]


@pytest.mark.parametrize(("limit", "memory"), [("2GB", 2e9), ("512MiB", 2**29), ("1TB", 1e12)])
def test_the_memory_is_the_engines_limit(tmp_path, limit, memory):
    with contextlib.closing(DuckSession(tmp_path, "UTC", {"memory_limit": Option(limit)})) as session:
        assert session.memory == pytest.approx(memory, rel=0.05)


def test_each_pass_is_a_module_with_a_function_of_its_name():
    assert [each.__module__ for each in PASSES] == [f"kpiengine.passes.{each.__name__}" for each in PASSES]


TEXTS = {"customer_id": [1, 2, 3, 4], "city": ["A", None, "B", "A"], "region_id": [7, 8, 9, 7]}
TEXT_REGIONS = {"region_id": [7, 8], "zone": ["N", None]}


@pytest.mark.parametrize("by", [["customers.city"], ["customers.city", "customers.regions.zone"]], ids=len)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"where": "customers.city = 'A'"},
        {"where": "customers.regions.zone is null"},
        {"limit": 1},
        {"totals": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("orders", [[1, 1, 2, 3, 4, 5, None], []], ids=["rows", "none"])
def test_joined_texts_are_grouped_as_numbers(tmp_path, monkeypatch, orders, options, by):
    """NULL texts, rows that meet nobody, and rows without a key are one group, as they are for the texts."""
    shop(tmp_path, orders, TEXTS, TEXT_REGIONS)
    answers = []
    for chosen in ("always codes", "always", "none"):
        monkeypatch.setenv("KPI_PASSES", chosen)
        with kpiengine.open(tmp_path) as project:
            result = project.query(["amount", "buyers"], by=by, **options)
            looked_at = "city = " in options.get("where", "")  # the condition needs each row's text
            assert ("city_code" in result.sql) == (chosen != "none" and not looked_at)
            answers.append(rows_of(result.arrow()))
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize(
    ("customers", "texts", "pays"),
    [(20_000, 5, True), (40_000, 5, False), (20_000, 3_000, False), (9_000, 3_000, True)],
    ids=["few of few", "of many rows", "many of many", "many of few"],
)
def test_texts_become_numbers_where_rows_and_texts_are_few_for_those_grouped(
    tmp_path, monkeypatch, customers, texts, pays
):
    (tmp_path / "kpi.yaml").write_text(SHOP, encoding="utf-8")
    monkeypatch.delenv("KPI_PASSES", raising=False)
    made = (
        ("orders", f"SELECT i % {customers} AS customer_id, 1 AS amount FROM range(60_000) r(i)"),
        (
            "customers",
            f"SELECT i AS customer_id, 'c' || i % {texts} AS city, i % 3 AS region_id FROM range({customers}) r(i)",
        ),
        ("regions", "SELECT i AS region_id, 'z' || i AS zone FROM range(3) r(i)"),
    )
    for name, query in made:
        duckdb.execute(f"COPY ({query}) TO '{tmp_path / name}.parquet'")
    with kpiengine.open(tmp_path) as project:
        result = project.query("amount", by="customers.city")
        assert ("city_code" in result.sql) == pays
        found = rows_of(result.arrow())[1:]
    assert len(found) == texts
    assert sum(row[-1] for row in found) == 60_000


def test_what_else_reads_a_text_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setenv("KPI_PASSES", "always codes")
    with kpiengine.open(shop(tmp_path, [1, 2, 2], CITIES, REGIONS)) as project:
        assert "city_code" not in project.sql("in_a", by="customers.city")  # its condition is over the city, too
        assert "city_code" in project.sql("amount", by="customers.city")


def test_a_table_whose_texts_are_numbered_is_read_anew_where_it_would_fill_the_memory(tmp_path, monkeypatch):
    (tmp_path / "kpi.yaml").write_text(SHOP, encoding="utf-8")
    monkeypatch.delenv("KPI_PASSES", raising=False)
    made = (
        ("orders", "SELECT i % 50_000 AS customer_id, 1 AS amount FROM range(200_000) r(i)"),
        ("customers", "SELECT i AS customer_id, 'c' || i % 5 AS city, i % 3 AS region_id FROM range(50_000) r(i)"),
        ("regions", "SELECT i AS region_id, 'z' || i AS zone FROM range(3) r(i)"),
    )
    for name, query in made:
        duckdb.execute(f"COPY ({query}) TO '{tmp_path / name}.parquet'")
    answers = []
    for memory, anew in ((2**30, False), (2**20, True)):
        monkeypatch.setattr(DuckSession, "memory", memory)
        with kpiengine.open(tmp_path) as project:
            result = project.query("amount", by="customers.city")
            assert ("customers_rows AS NOT MATERIALIZED" in result.sql) == anew
            answers.append(rows_of(result.arrow()))
    assert answers[0] == answers[1]
