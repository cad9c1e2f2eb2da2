"""The kind `cohort` against plain Python, on DuckDB and Sail, in several calendars."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kpiengine
from kpiengine.calendar import Calendar
from kpiengine.statistics import Bounds
from kpiengine_plugins.calendars import register_calendars
from kpiengine_plugins.cohort import register_kinds
from kpiengine_plugins.cohort.kind import Cohort

TYPES = {"customer": "VARCHAR", "time": "TIMESTAMP", "amount": "DECIMAL(12,2)"}
OPTIONS = {"customer": "customer_id", "time": "ordered_at", "amount": "amount"}
KINDS = {kind.name: kind for kind in register_calendars()}
CALENDARS: dict[str, Calendar] = {
    "gregorian": KINDS["gregorian"](),
    "sunday": KINDS["gregorian"](week_starts="sunday"),
    "fiscal": KINDS["fiscal"](starts="april"),
    "jalali": KINDS["jalali"](),
}
PERIODS = ("day", "week", "month", "quarter", "year")
DAY_ONE = dt.datetime(2023, 12, 30)

orders = st.fixed_dictionaries(
    {
        "customer": st.sampled_from([None, "a", "b", "c", "d", "e"]),
        "time": st.one_of(
            st.none(),
            st.integers(0, 12).map(lambda d: DAY_ONE + dt.timedelta(days=d, hours=d)),
            st.integers(0, 150).map(lambda d: DAY_ONE + dt.timedelta(days=d)),
        ),
        "amount": st.one_of(st.none(), st.integers(-300, 2500).map(lambda cents: Decimal(cents) / 100)),
        "channel": st.sampled_from(["x", "y", None]),
    }
)


def expected(
    rows: list[dict[str, Any]], calendar: Calendar, period: str, *, as_of: dt.date | None = None, by: bool = False
) -> list[dict[str, Any]]:
    """The whole table by loops."""
    rows = [r for r in rows if r["customer"] is not None and r["time"] is not None]
    rows = [r for r in rows if as_of is None or r["time"].date() <= as_of]
    if not rows:
        return []
    days = [r["time"].date() for r in rows]
    span = [min(days) + dt.timedelta(days=n) for n in range((max(days) - min(days)).days + 1)]
    periods = sorted({calendar.start_of(day, period) for day in span})
    cohorts: dict[Any, set[str]] = defaultdict(set)
    for customer in {r["customer"] for r in rows}:
        first = min((r["time"], r["channel"] is None, r["channel"] or "") for r in rows if r["customer"] == customer)
        group = (first[1], first[2]) if by else None
        cohorts[group, calendar.start_of(first[0].date(), period)].add(customer)
    table = []
    for (group, cohort), customers in sorted(cohorts.items()):
        for number in range(len(periods)):
            at = periods.index(cohort) + number
            here = None
            if at < len(periods):
                here = [
                    r for r in rows
                    if r["customer"] in customers and calendar.start_of(r["time"].date(), period) == periods[at]
                ]  # fmt: skip
            active = None if here is None else len({r["customer"] for r in here})
            cell = {
                "cohort": cohort,
                "period_number": number,
                "customers": len(customers),
                "active": active,
                "retention": None if active is None else active / len(customers),
                "revenue": None if here is None else sum((r["amount"] or Decimal(0) for r in here), Decimal(0)),
            }
            table.append({"channel": None if group[0] else group[1]} | cell if by else cell)
    return table


@settings(max_examples=60)
@given(
    rows=st.lists(orders, max_size=15),
    calendar=st.sampled_from(sorted(CALENDARS)),
    period=st.sampled_from(PERIODS),
    as_of=st.sampled_from([None, 8, 400]),
    by=st.booleans(),
)
def test_cohorts_are_what_plain_loops_say(run_kind, rows, calendar, period, as_of, by):
    until = None if as_of is None else (DAY_ONE + dt.timedelta(days=as_of)).date()
    used = CALENDARS[calendar]
    context = {"calendar": used, "as_of": until, "by": ("channel",) if by else ()}
    found = run_kind(Cohort, TYPES | {"channel": "VARCHAR"}, rows, OPTIONS | {"period": period}, **context)
    assert found == expected(rows, used, period, as_of=until, by=by)


ROWS = [
    {"customer": c, "time": DAY_ONE + dt.timedelta(days=d, hours=h), "amount": a and Decimal(a), "channel": channel}
    for c, d, h, a, channel in [
        ("a", 0, 1, "10.50", "x"), ("a", 33, 2, "2.25", "y"), ("a", 90, 0, "3", "x"), ("b", 1, 0, "7", None),
        ("b", 1, 0, "1", "y"), ("b", 140, 0, None, "y"), ("c", 65, 5, "-4", None), ("d", 65, 5, "8", "x"),
        (None, 200, 0, "99", "x"),
    ]
]  # fmt: skip


@pytest.mark.engine
@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("calendar", ["gregorian", "jalali"])
@pytest.mark.parametrize("by", [False, True])
def test_sail_gives_the_same(run_on_sail, period, calendar, by):
    used = CALENDARS[calendar]
    context = {"calendar": used, "by": ("channel",) if by else ()}
    found = run_on_sail(Cohort, TYPES | {"channel": "VARCHAR"}, ROWS, OPTIONS | {"period": period}, **context)
    assert found == expected(ROWS, used, period, by=by)


@pytest.mark.engine
def test_sail_has_no_cohorts_of_no_rows(run_on_sail):
    assert run_on_sail(Cohort, TYPES, [], OPTIONS, calendar=CALENDARS["gregorian"]) == []


def test_types_are_those_of_the_language(run_kind):
    rows = [{"customer": 7, "time": dt.date(2026, 3, 20), "amount": 3}]
    types = {"customer": "BIGINT", "time": "DATE", "amount": "INTEGER"}
    (row,) = run_kind(Cohort, types, rows, OPTIONS, calendar=CALENDARS["jalali"])
    first = dt.date(2026, 2, 20)  # 1 Esfand 1404
    assert row == {
        "cohort": first, "period_number": 0, "customers": 1, "active": 1, "retention": 1.0, "revenue": 3,
    }  # fmt: skip
    assert [type(row[name]) for name in ("customers", "active", "retention", "revenue")] == [int, int, float, int]


def test_it_is_registered():
    assert register_kinds() == [Cohort]


@pytest.mark.parametrize("days", [0, 59, 60, 61, 62, 63, 64, 200])
@pytest.mark.parametrize("by", [(), ("channel",)])
def test_as_many_periods_as_a_whole_number_has_bits(run_kind, days, by):
    """With a day before and after, which a time zone may add, 61 days and more are too many for masks."""
    far = DAY_ONE + dt.timedelta(days)
    rows = [
        {"customer": customer, "time": time, "amount": Decimal(1), "channel": None if customer == "a" else "x"}
        for customer, time in [("a", DAY_ONE), ("a", far), ("b", far), ("c", DAY_ONE)]
    ]
    found = run_kind(
        Cohort,
        TYPES | {"channel": "VARCHAR"},
        rows,
        OPTIONS | {"period": "day"},
        calendar=CALENDARS["gregorian"],
        by=by,
    )
    last = [row for row in found if row["cohort"] == DAY_ONE.date() and row["period_number"] == days]
    assert sum(row["active"] for row in last) == (3 if days == 0 else 1)
    assert sum(row["customers"] for row in last) == (3 if days == 0 else 2)


def test_a_file_that_changed_after_its_footer_was_read_is_no_wrong_answer(run_kind):
    rows = [{"customer": "a", "time": DAY_ONE + dt.timedelta(n), "amount": Decimal(1)} for n in (0, 9)]
    with pytest.raises(duckdb.Error, match="a time lies beyond what its file told of itself"):
        run_kind(
            Cohort, TYPES, rows, OPTIONS | {"period": "day"}, calendar=CALENDARS["gregorian"],
            bounds=lambda _: Bounds(DAY_ONE, DAY_ONE, nulls=False),
        )  # fmt: skip


@pytest.fixture
def project(tmp_path):
    (tmp_path / "metrics").mkdir()
    (tmp_path / "orders.csv").write_text(
        "customer_id,ordered_at,amount,channel\n1,2026-01-05,100,web\n2,2026-01-31,50,shop\n2,2026-02-01,30,web\n"
        "3,2026-02-02,20,web\n,2026-04-03,70,web\n1,2026-04-01,1,shop\n"
    )
    (tmp_path / "kpi.yaml").write_text("sources:\n  orders: {from: orders.csv, time: ordered_at}\n")
    (tmp_path / "metrics" / "cohort.yaml").write_text(
        "metrics:\n  kept: {kind: cohort, source: orders, customer: customer_id, time: ordered_at, amount: amount}\n"
    )
    with kpiengine.open(tmp_path) as opened:
        yield opened


def test_cohorts_of_a_project(project):
    january, february = dt.date(2026, 1, 1), dt.date(2026, 2, 1)
    rows = project.query("kept").arrow().to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        (january, 0, 2, 2, 1.0, 150),
        (january, 1, 2, 1, 0.5, 30),
        (january, 2, 2, 0, 0.0, 0),
        (january, 3, 2, 1, 0.5, 1),
        (february, 0, 1, 1, 1.0, 20),
        (february, 1, 1, 0, 0.0, 0),
        (february, 2, 1, 0, 0.0, 0),
        (february, 3, 1, None, None, None),
    ]


def test_cohorts_of_a_project_by_channel(project):
    rows = project.query("kept", by="channel", where="period_number = 1").arrow().to_pylist()
    assert [(row["channel"], row["cohort"].month, row["customers"], row["active"]) for row in rows] == [
        ("shop", 1, 1, 1),
        ("web", 1, 1, 0),
        ("web", 2, 1, 0),
    ]


def test_as_of_ends_the_data(project):
    rows = project.query("kept", as_of="2026-02-01").arrow().to_pylist()
    assert [(row["cohort"].month, row["period_number"], row["active"]) for row in rows] == [(1, 0, 2), (1, 1, 1)]
