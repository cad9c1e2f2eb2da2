"""The case loader and runner: a case that is wrong fails, and says why."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from kpiengine.testing import Case, CaseError, DuckDb, Golden, difference, load_cases, run_case, same_value

GIVEN = """
given:
  kpi:
    sources:
      orders:
        columns: {order_id: BIGINT, channel: VARCHAR, amount: "DECIMAL(10,2)", ordered_at: TIMESTAMP}
        rows: [[1, web, 10.10, 2026-01-05], [2, no, null, 2026-02-01 10:00:00]]
        time: ordered_at
  metrics:
    revenue: {source: orders, formula: sum(amount)}
cases:
"""


def one(tmp_path: Path, case: str) -> Case:
    (tmp_path / "topic.yaml").write_text(GIVEN + case)
    (found,) = load_cases(tmp_path / "topic.yaml")
    return found


def run(tmp_path: Path, case: str, golden: Golden | None = None) -> None:
    run_case(one(tmp_path, case), DuckDb(), tmp_path / "project", golden)


def test_a_case_that_holds(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
  - name: by channel
    query: {metrics: revenue, by: channel}
    check: SELECT channel, sum(amount) AS revenue FROM orders GROUP BY channel ORDER BY channel
    expect: [[channel, revenue], [no, null], [web, 10.10]]
    types: [VARCHAR, "DECIMAL(38,2)"]
""",
    )


@pytest.mark.parametrize(
    ("proof", "told"),
    [
        ("expect: [[channel, revenue], [no, null], [web, 10.11]]", "first difference in row 2"),
        ("expect: [[channel, revenue], [web, 10.10], [no, null]]", "first difference in row 1"),
        ("expect: [[channel, revenue], [no, null]]", "2 rows, expected: 1"),
        ("expect: [[channel, Revenue], [no, null], [web, 10.10]]", "columns"),
        (
            "check: SELECT channel, sum(amount) + 1 AS revenue FROM orders GROUP BY channel ORDER BY channel",
            "its check",
        ),
        ("expect: [[channel, revenue], [no, null], [web, 10.10]]\n    types: [VARCHAR, DOUBLE]", "types are"),
        ("error: revenue", "no error"),
        ("golden: true", "no golden file"),
    ],
)
def test_a_wrong_proof_fails(tmp_path: Path, proof: str, told: str) -> None:
    case = f"  - name: wrong\n    query: {{metrics: revenue, by: channel}}\n    {proof}\n"
    with pytest.raises(AssertionError, match=told):
        run(tmp_path, case, Golden(tmp_path / "golden"))


def test_an_error_that_is_another_one_fails(tmp_path: Path) -> None:
    case = "  - name: wrong\n    query: {metrics: revenu}\n    error: %s\n"
    run(tmp_path, case % "unknown…revenue")
    with pytest.raises(AssertionError, match="expected: something else"):
        run(tmp_path, case % "something else")
    with pytest.raises(AssertionError, match="missing"):
        run(tmp_path, case % "[revenu, another]")


def test_golden_files_are_written_on_demand_only(tmp_path: Path) -> None:
    case = "  - name: The SQL, as it is\n    query: {metrics: revenue}\n    golden: true\n"
    run(tmp_path, case, Golden(tmp_path / "golden", update=True))
    file = tmp_path / "golden" / "topic" / "the_sql_as_it_is.sql"
    assert str(tmp_path) not in file.read_text()
    run(tmp_path, case, Golden(tmp_path / "golden"))
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(AssertionError, match="differs"):
        run(tmp_path, case, Golden(tmp_path / "golden"))


@pytest.mark.parametrize(
    ("case", "told"),
    [
        ("  - name: a\n    query: {metrics: revenue}\n", "nothing is proved"),
        ("  - name: a\n    expect: [[a], [1]]\n", "no query"),
        ("  - name: a\n    query: {}\n    expects: [[a], [1]]\n", "unknown key expects"),
        ("  - name: a\n    query: {}\n    expect: [[a], [1, 2]]\n", "first row"),
        ("  - name: a\n    name: b\n", "given twice"),
        ("  - {name: a b, error: x}\n  - {name: A-B, error: x}\n", "same name"),
        ("  - query: {metrics: revenue}\n", "with a name"),
    ],
)
def test_a_case_that_cannot_be_understood(tmp_path: Path, case: str, told: str) -> None:
    with pytest.raises(CaseError, match=told):
        one(tmp_path, case)


def test_rows_that_do_not_fit(tmp_path: Path) -> None:
    rows = (
        "{kpi: {sources: {orders: {rows: [[1, web]]}}}, name: a, query: {metrics: revenue}, expect: [[revenue], [1]]}"
    )
    with pytest.raises(CaseError, match="4 columns"):
        one(tmp_path, f"  - {rows}\n").write(tmp_path / "project")


def test_a_case_changes_what_is_given(tmp_path: Path) -> None:
    case = one(
        tmp_path,
        """
  - name: own
    kpi: {timezone: Europe/Berlin, sources: {orders: {time: null}, costs: {from: costs.csv}}}
    metrics: {revenue: null, orders: {source: orders, formula: count(*)}}
    query: {metrics: orders}
    expect: [[orders], [2]]
""",
    )
    assert list(case.kpi["sources"]) == ["orders", "costs"]
    assert case.kpi["timezone"] == "Europe/Berlin"
    assert list(case.metrics) == ["orders"]
    assert case.tables["orders"].column("channel").to_pylist() == ["web", "no"]
    assert case.tables["orders"].column("ordered_at").to_pylist()[1] == dt.datetime(2026, 2, 1, 10)
    assert "costs" not in case.tables


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (1, Decimal("1.00"), True),
        (Decimal("0.10"), Decimal("0.1"), True),
        (Decimal("0.10"), Decimal("0.1000000001"), False),
        (0.1 + 0.2, Decimal("0.3"), True),
        (1.0, 1.000001, False),
        (0.0, 1e-13, True),
        (None, 0, False),
        (None, None, True),
        (True, 1, False),
        ("1", 1, False),
        (dt.date(2026, 1, 1), dt.datetime(2026, 1, 1), True),
        (dt.date(2026, 1, 1), dt.datetime(2026, 1, 1, 1), False),
        (dt.datetime(2026, 1, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, 1), True),
        (float("nan"), None, False),
    ],
)
def test_values_are_compared_by_what_they_mean(left: object, right: object, same: bool) -> None:
    assert same_value(left, right) is same
    assert same_value(right, left) is same


def test_a_difference_shows_both_sides() -> None:
    told = difference([("a", "b"), (1, None), (2, "x")], [("a", "b"), (1, None), (2, "y")])
    assert told is not None
    assert "> 2  x" in told
    assert "> 2  y" in told
    assert difference([("a",), (1,)], [("a",), (1.0,)]) is None
