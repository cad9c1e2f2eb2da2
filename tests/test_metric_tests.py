"""`tests:` of a project: rows given in place of the sources, a query, the rows expected of it."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

import kpiengine
from kpiengine.cli.main import cli
from kpiengine.errors import UsageError
from kpiengine.metrictest import TestResult

# No file that a source names exists: whatever reads one fails.
PROJECT = """
name: acme
sources:
  orders:
    from: data/orders.parquet
    key: order_id
    time: ordered_at
    columns: {amount: Quantity * Price, status: lower("Status"), ordered_at: cast("Day" as date)}
    filters: [status is distinct from 'cancelled']
    joins: {customers: customer_id}
  customers: {from: data/customers.csv, key: customer_id, time: acquired_at, joins: {regions: region}}
  regions: {from: data/regions.csv, key: region}
metrics:
  revenue: {source: orders, formula: sum(amount), grain: month, target: {from: targets.csv}}
  rows: {source: orders, formula: count(*)}
  attainment: {formula: revenue / target(revenue), grain: month}
  big: {source: orders, formula: sum(amount) where amount > $least, parameters: {least: 100}}
tests:
"""
ORDERS = """orders: [
    {order_id: 1, customer_id: 7, amount: 10, status: completed, ordered_at: 2026-01-05},
    {order_id: 2, customer_id: 8, amount: 7, status: null, ordered_at: 2026-02-06},
    {order_id: 3, customer_id: 8, amount: 900, status: cancelled, ordered_at: 2026-02-06}]"""


def run(folder: Path, given: str, query: str, expect: str) -> TestResult:
    """The result of one test."""
    test = f"  - name: it\n    given: {{{given}}}\n    query: {{{query}}}\n    expect: {expect}\n"
    (folder / "kpi.yaml").write_text(PROJECT + test, encoding="utf-8")
    with kpiengine.open(folder) as project:
        [result] = project.test()
    return result


def message(folder: Path, given: str, query: str, expect: str) -> str:
    result = run(folder, given, query, expect)
    assert not result.passed
    return result.message


def test_the_rows_given_stand_for_mapped_columns_and_nothing_else_is_read(tmp_path: Path) -> None:
    expect = "[{month: 2026-01-01, revenue: 10}, {month: 2026-02-01, revenue: 7}]"
    result = run(tmp_path, ORDERS, "metrics: [revenue], by: [month]", expect)
    assert (result.passed, result.message, str(result.place)) == (True, "", "kpi.yaml:19:5")
    assert result.seconds > 0


def test_raw_columns_may_be_given_and_are_mapped(tmp_path: Path) -> None:
    rows = "orders: [{order_id: 1, Quantity: 2, Price: 2.5, Status: Paid, Day: 2026-01-05}, {order_id: 2, Status: CANCELLED, Quantity: 1, Price: 1, Day: 2026-01-06}]"
    assert run(tmp_path, rows, "metrics: [revenue], by: [status]", "[{status: paid, revenue: 5}]").passed


def test_a_wrong_value_is_marked_in_its_row(tmp_path: Path) -> None:
    told = message(
        tmp_path, ORDERS, "metrics: [revenue, rows], by: [month]",
        "[{month: 2026-01-01, revenue: 10, rows: 1}, {month: 2026-02-01, revenue: 17, rows: 1}]",
    )  # fmt: skip
    assert told == textwrap.dedent("""\
        differs: revenue

          month       revenue  rows
          2026-01-01  10       1
        - 2026-02-01  [17]     1     expected
        + 2026-02-01  [7]      1     found""")


def test_missing_and_unexpected_rows_are_told_apart(tmp_path: Path) -> None:
    told = message(
        tmp_path, ORDERS, "metrics: [revenue], by: [month]",
        "[{month: 2026-02-01, revenue: 7}, {month: 2026-03-01, revenue: 1}]",
    )  # fmt: skip
    assert told.splitlines() == [
        "1 expected row is missing (-); 1 row was not expected (+)",
        "",
        "  month       revenue",
        "+ 2026-01-01  10       found",
        "  2026-02-01  7",
        "- 2026-03-01  1        expected",
    ]


def test_rows_in_another_order_than_the_result_fail_and_say_so(tmp_path: Path) -> None:
    expect = "[{month: 2026-02-01, revenue: 7}, {month: 2026-01-01, revenue: 10}]"
    assert message(tmp_path, ORDERS, "metrics: [revenue]", expect).startswith(
        "the rows expected came, in another order"
    )
    assert run(tmp_path, ORDERS, 'metrics: [revenue], order: ["revenue"]', expect).passed


def test_only_columns_that_are_expected_are_compared(tmp_path: Path) -> None:
    assert run(tmp_path, ORDERS, "metrics: [revenue, rows], by: [month]", "[{revenue: 10}, {ROWS: 1}]").passed
    told = message(tmp_path, ORDERS, "metrics: [revenue]", "[{revenu: 10}]")
    assert told == '"revenu" is expected, and the result has: month, revenue  (did you mean "revenue"?)'


@pytest.mark.parametrize(
    ("value", "passes"), [("17", True), ("17.0", True), ("17.00000000001", True), ("17.001", False), ('"17"', False)]
)
def test_numbers_are_compared_by_value(tmp_path: Path, value: str, passes: bool) -> None:
    rows = ORDERS.replace("amount: 10", "amount: 10.0")
    assert run(tmp_path, rows, "metrics: [revenue], by: none", f"[{{revenue: {value}}}]").passed is passes


@pytest.mark.parametrize("value", ["2026-01-05", '"2026-01-05"', "2026-01-05 00:00:00"])
def test_dates_are_compared_by_what_they_say(tmp_path: Path, value: str) -> None:
    query = 'metrics: [rows], by: [day], until: "2026-02"'
    assert run(tmp_path, ORDERS, query, f"[{{day: {value}, rows: 1}}]").passed
    assert "[2026-01-06]" not in message(tmp_path, ORDERS, query, "[{day: 2026-01-06, rows: 1}]")


def test_a_source_that_is_needed_and_not_given_is_named(tmp_path: Path) -> None:
    told = message(tmp_path, "", "metrics: [attainment, rows]", "[]")
    assert 'source "orders" is needed, by ' in told and "revenue" in told
    assert message(tmp_path, ORDERS, "metrics: [revenue], by: [customers.country]", "[]") == (
        'source "customers" is needed, by "customers.…", and the test does not give it'
    )
    given = ORDERS + ", customers: [{customer_id: 7, region: a}]"
    assert message(tmp_path, given, 'metrics: [revenue], where: ["regions.name = 1"]', "[]") == (
        'source "regions" is needed, by "regions.…", and the test does not give it'
    )


def test_a_source_that_there_is_not_is_named(tmp_path: Path) -> None:
    told = message(tmp_path, "order: [{order_id: 1}]", "metrics: [revenue]", "[]")
    assert told.startswith('there is no source "order" to give rows of') and told.endswith('(did you mean "orders"?)')


def test_given_sources_are_joined(tmp_path: Path) -> None:
    given = (
        ORDERS
        + ", customers: [{customer_id: 7, region: a}, {customer_id: 8, region: b}], regions: [{region: a, name: North}]"
    )
    expect = "[{name: North, revenue: 10}, {name: null, revenue: 7}]"
    assert run(tmp_path, given, "metrics: [revenue], by: [customers.regions.name]", expect).passed


def test_what_a_source_names_and_the_rows_lack_is_null(tmp_path: Path) -> None:
    """Key, join and time here; a filter's column too, which is told where the test fails."""
    given = "orders: [{amount: 4, status: a}], customers: [{customer_id: 7, country: DE}]"
    expect = "[{country: null, month: null, revenue: 4}]"
    assert run(tmp_path, given, "metrics: [revenue], by: [customers.country, month]", expect).passed
    (tmp_path / "kpi.yaml").unlink()
    filtered = PROJECT.replace("is distinct from", "<>")
    test = "  - {name: it, given: {orders: [{amount: 4}]}, query: {metrics: [revenue], by: none}, expect: [{revenue: 4}]}\n"
    (tmp_path / "kpi.yaml").write_text(filtered + test, encoding="utf-8")
    with kpiengine.open(tmp_path) as project:
        [result] = project.test()
    assert "+ [null]   found" in result.message
    assert (
        'note: source "orders" is given without "status", so it is NULL in its filter status <> \'cancelled\''
        in result.message
    )


def test_a_column_of_the_metric_that_the_rows_lack_is_a_failure(tmp_path: Path) -> None:
    told = message(tmp_path, "orders: [{order_id: 1, ordered_at: 2026-01-05}]", "metrics: [revenue]", "[]")
    what = 'unknown column "amount" in formula of "revenue"; source "orders" has: order_id, ordered_at, status'
    assert told == f"kpi.yaml:14:42: {what}"


def test_a_source_without_rows_has_all_columns(tmp_path: Path) -> None:
    assert run(tmp_path, "orders: []", "metrics: [revenue, rows], by: none", "[{revenue: null, rows: 0}]").passed
    assert run(tmp_path, "orders: null", "metrics: [revenue], by: [month, status]", "[]").passed


def test_values_that_make_no_column_are_told(tmp_path: Path) -> None:
    told = message(tmp_path, "orders: [{amount: 1}, {amount: two}]", "metrics: [revenue]", "[]")
    assert told == 'the given rows of "orders" hold numbers and texts in column "amount": no type has them all'


def test_days_among_instants_are_midnights(tmp_path: Path) -> None:
    rows = "orders: [{amount: 1, ordered_at: 2026-01-05}, {amount: 2, ordered_at: 2026-01-05 10:30:00}]"
    expect = "[{hour: 2026-01-05 00:00:00, revenue: 1}, {hour: 2026-01-05 10:00, revenue: 2}]"
    assert run(tmp_path, rows, "metrics: [revenue], by: [hour]", expect).passed


def test_targets_of_a_file_are_given_as_rows(tmp_path: Path) -> None:
    told = message(tmp_path, ORDERS, "metrics: [attainment]", "[]")
    assert told == 'the targets of "revenue" stand in a file, which the test does not give: give "revenue_targets"'
    given = ORDERS + ", revenue_targets: [{period: 2026-01, value: 20}]"
    expect = "[{month: 2026-01-01, attainment: 0.5}, {month: 2026-02-01, attainment: null}]"
    assert run(tmp_path, given, "metrics: [attainment]", expect).passed


def test_a_query_of_a_test_takes_all_options(tmp_path: Path) -> None:
    rows = "orders: [{amount: 50, status: a, ordered_at: 2026-01-05}, {amount: 200, status: b, ordered_at: 2026-01-06}, {amount: 300, status: b, ordered_at: 2026-03-06}]"
    assert run(tmp_path, rows, "metrics: [big], set: {least: 250}", "[{big: 300}]").passed
    query = 'metrics: [big], by: [month], fill: true, since: "2026-01", until: "2026-03", as_of: "2026-02-20"'
    assert run(tmp_path, rows, query, "[{month: 2026-01-01, big: 200}, {month: 2026-02-01, big: null}]").passed
    query = "metrics: [rows], by: [status], totals: true, order: [rows:desc], limit: 1"
    assert run(tmp_path, rows, query, "[{rows: 3, totals: 1}]").passed


def test_a_source_of_the_library_may_be_given_to_a_project_without_it(tmp_path: Path) -> None:
    rows = "survey: [{responded_at: 2026-01-05, nps: 10}, {responded_at: 2026-02-05, nps: 0}]"
    expect = "[{month: 2026-01-01, nps: 100}, {month: 2026-02-01, nps: -100}]"
    assert run(tmp_path, rows, "metrics: [nps], by: [month]", expect).passed


def test_a_stand_in_is_not_tested_for_a_metric_of_a_source_that_the_project_has(tmp_path: Path) -> None:
    """`new_customers` counts first orders where a project has no customers; this one has them."""
    told = message(tmp_path, ORDERS, "metrics: [new_customers], by: none", "[{new_customers: 2}]")
    assert told == 'source "customers" is needed, by new_customers, and the test does not give it'


# -- the command


@pytest.fixture
def project(tmp_path: Path) -> Path:
    good = (
        f"  - {{name: no cancelled orders, given: {{{ORDERS}}}, query: {{metrics: [rows]}}, expect: [{{rows: 2}}]}}\n"
    )
    bad = good.replace("no cancelled", "all").replace("rows: 2", "rows: 3")
    (tmp_path / "kpi.yaml").write_text(PROJECT + good + bad, encoding="utf-8")
    return tmp_path


def test_the_command_tells_failures_and_ends_with_1(project: Path) -> None:
    got = CliRunner().invoke(cli, ["-C", str(project), "test"])
    assert got.exit_code == 1
    assert "FAILED kpi.yaml:23:5: all orders\n  differs: rows\n\n    rows\n  - [3]   expected\n" in got.stdout
    assert got.stdout.endswith("1 passed, 1 failed\n")


@pytest.mark.parametrize(("name", "code"), [("cancelled", 0), ("all orders", 1), ("ROWS", 1), ("nothing", 2)])
def test_the_command_takes_names(project: Path, name: str, code: int) -> None:
    assert CliRunner().invoke(cli, ["-C", str(project), "test", name]).exit_code == code


def test_a_name_of_no_test_is_refused(project: Path) -> None:
    with kpiengine.open(project) as opened, pytest.raises(UsageError, match='did you mean "all orders"'):
        opened.test(["all ordres"])


def test_junit_and_json_hold_every_test(project: Path, tmp_path: Path) -> None:
    got = CliRunner().invoke(cli, ["-C", str(project), "test", "--json", "--junit", str(tmp_path / "x.xml")])
    told = json.loads(got.stdout)
    assert [(test["name"], test["passed"], test["place"]) for test in told] == [
        ("no cancelled orders", True, "kpi.yaml:19:5"),
        ("all orders", False, "kpi.yaml:23:5"),
    ]
    suite = ElementTree.parse(tmp_path / "x.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    passed, failed = suite.findall("testcase")
    assert passed.find("failure") is None and float(passed.get("time", "")) > 0
    assert failed.find("failure").get("message") == "differs: rows"  # type: ignore[union-attr]


@pytest.mark.parametrize("example", ["sales", "forush"])
def test_the_tests_of_the_examples_hold(example: str) -> None:
    folder = Path(kpiengine.__file__).parent / "examples" / example
    with kpiengine.open(folder) as opened:
        results = opened.test()
    assert [result for result in results if not result.passed] == []
    assert results
