"""The further tables of `cohort` against plain Python, on DuckDB and Sail, in several calendars and periods."""

from __future__ import annotations

import datetime as dt
import math
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kpiengine
from kpiengine.calendar import Calendar
from kpiengine.errors import DefinitionError
from kpiengine_plugins.cohort.kind import Cohort

from .test_cohort import CALENDARS, DAY_ONE, OPTIONS, PERIODS, ROWS, TYPES, orders

TABLES = ("rolling", "recurring", "revenue", "repeat", "churn", "survival")
BY = {"channel": "VARCHAR"}
Row = dict[str, Any]


class Customer:
    """What one customer did, by age: the number of periods since the first."""

    def __init__(self, rows: list[Row], periods: list[dt.date], calendar: Calendar, period: str) -> None:
        rows = sorted(rows, key=lambda r: (r["time"], r["channel"] is None, r["channel"] or ""))
        self.group = rows[0]["channel"]
        starts = [calendar.start_of(r["time"].date(), period) for r in rows]
        self.cohort = starts[0]
        first = periods.index(starts[0])
        self.ages = sorted({periods.index(start) - first for start in starts})
        self.spent: dict[int, Decimal] = defaultdict(Decimal)
        for row, start in zip(rows, starts, strict=True):
            self.spent[periods.index(start) - first] += row["amount"] or 0
        self.last_age = len(periods) - 1 - first
        days = sorted({r["time"].date() for r in rows})
        self.second = None if len(days) < 2 else periods.index(calendar.start_of(days[1], period)) - first

    def churned_at(self, after: int) -> int | None:
        """The first age that begins `after` ages without a purchase, all of them begun."""
        for age in range(self.last_age + 1):
            if age + after - 1 <= self.last_age and not set(self.ages) & set(range(age, age + after)):
                return age
        return None


def share(part: float | None, whole: float) -> Any:
    return None if part is None or whole == 0 else pytest.approx(float(part) / float(whole))


def customers_of(rows: list[Row], calendar: Calendar, period: str) -> tuple[list[Customer], int]:
    rows = [r for r in rows if r["customer"] is not None and r["time"] is not None]
    if not rows:
        return [], 0
    low, high = (f(r["time"].date() for r in rows) for f in (min, max))
    span = [low + dt.timedelta(days=n) for n in range((high - low).days + 1)]
    periods = sorted({calendar.start_of(day, period) for day in span})
    names = sorted({r["customer"] for r in rows})
    return [Customer([r for r in rows if r["customer"] == c], periods, calendar, period) for c in names], len(periods)


def expected(
    table: str, rows: list[Row], calendar: Calendar, period: str, by: bool, after: int, margin: float = 1.0
) -> list[Row]:
    everyone, ages = customers_of(rows, calendar, period)
    groups: dict[Any, list[Customer]] = defaultdict(list)
    for customer in everyone:
        groups[customer.group if by else None].append(customer)
    found = []
    for group in sorted(groups, key=lambda g: (g is None, g or "")):
        shown = {"channel": group} if by else {}
        if table == "survival":
            found += [shown | row for row in survival(groups[group], ages, after)]
            continue
        for cohort in sorted({c.cohort for c in groups[group]}):
            own = [c for c in groups[group] if c.cohort == cohort]
            for age in range(ages):
                row = shown | {"cohort": cohort, "period_number": age, "customers": len(own)}
                found.append(row | cell(table, own, age, after, margin))
    return found


def cell(table: str, own: list[Customer], age: int, after: int, margin: float) -> Row:
    begun = age <= own[0].last_age
    if table in ("rolling", "recurring"):
        if table == "rolling":
            active = sum(any(later >= age for later in c.ages) for c in own)
        else:
            active = sum(all(earlier in c.ages for earlier in range(age + 1)) for c in own)
        return {"active": active if begun else None, "retention": share(active if begun else None, len(own))}
    if table == "revenue":
        spent = [sum((c.spent[n] for c in own), Decimal(0)) for n in range(age + 1)]
        if not begun:
            return dict.fromkeys(("revenue", "revenue_to_date", "revenue_retention", "clv"))
        return {
            "revenue": spent[age],
            "revenue_to_date": sum(spent, Decimal(0)),
            "revenue_retention": share(spent[age], spent[0]),
            "clv": pytest.approx(margin * float(sum(spent)) / len(own)),
        }
    if table == "repeat":
        repeaters = sum(c.second is not None and c.second <= age for c in own) if begun else None
        return {"repeaters": repeaters, "repeat_rate": share(repeaters, len(own))}
    if age and age + after - 1 > own[0].last_age:
        return dict.fromkeys(("remaining", "churned", "churn_rate", "survival"))
    ends = [c.churned_at(after) for c in own]
    before = sum(end is None or end >= age for end in ends)
    churned = ends.count(age)
    return {
        "remaining": before - churned,
        "churned": churned,
        "churn_rate": share(churned, before),
        "survival": share(before - churned, len(own)),
    }


def survival(own: list[Customer], ages: int, after: int) -> list[Row]:
    """Kaplan and Meier's product, over those of whom it is known what becomes of them at an age."""
    rows, product, spread = [], 1.0, 0.0
    for age in range(ages):
        known = [c for c in own if age == 0 or age + after - 1 <= c.last_age]
        ends = [c.churned_at(after) for c in known]
        at_risk, churned = sum(end is None or end >= age for end in ends), ends.count(age)
        if at_risk:
            product *= 1 - churned / at_risk
            spread += churned / at_risk / (at_risk - churned) if churned < at_risk else math.inf
        seen = at_risk > 0 or product == 0
        rows.append(
            {
                "period_number": age,
                "at_risk": at_risk if seen else None,
                "churned": churned if seen else None,
                "churn_rate": share(churned, at_risk),
                "survival": pytest.approx(product) if seen else None,
                "std_error": pytest.approx(product * math.sqrt(spread)) if at_risk and product else None,
            }
        )
    return rows


@pytest.mark.parametrize("table", TABLES)
@settings(max_examples=25)
@given(
    rows=st.lists(orders, min_size=3, max_size=18),
    calendar=st.sampled_from(sorted(CALENDARS)),
    period=st.sampled_from(PERIODS),
    after=st.integers(1, 3),
    by=st.booleans(),
)
def test_tables_are_what_plain_loops_say(run_kind, table, rows, calendar, period, after, by):
    options = OPTIONS | {"period": period, "churn_after": after, "margin": 0.4}
    context = {"calendar": CALENDARS[calendar], "by": ("channel",) if by else (), "table": table}
    found = run_kind(Cohort, TYPES | BY, rows, options, **context)
    assert found == expected(table, rows, CALENDARS[calendar], period, by, after, margin=0.4)
    columns = [column.name for column in Cohort().columns(options, table)]
    assert all(list(row) == (["channel", *columns] if by else columns) for row in found)


@settings(max_examples=12)
@given(rows=st.lists(orders, max_size=24), period=st.sampled_from(["day", "week", "month"]), after=st.integers(1, 3))
def test_tables_bound_each_other(run_kind, rows, period, after):
    """recurring ≤ active ≤ rolling, recurring ≤ remaining ≤ rolling; the curves never rise; one period is recurring."""

    def cells(table: str | None, column: str, **options: Any) -> dict[Any, Any]:
        made = run_kind(
            Cohort, TYPES, rows, OPTIONS | {"period": period} | options, calendar=CALENDARS["gregorian"], table=table
        )
        return {(row["cohort"], row["period_number"]): row[column] for row in made}

    active, rolling, recurring = cells(None, "active"), cells("rolling", "active"), cells("recurring", "active")
    remaining = cells("churn", "remaining", churn_after=after)
    assert cells("churn", "remaining", churn_after=1) == recurring
    for cell, here in recurring.items():
        if here is not None:
            assert here <= active[cell] <= rolling[cell]
        if remaining[cell] is not None:
            assert here <= remaining[cell] <= rolling[cell]
    for curve, rises in (
        (rolling, False),
        (recurring, False),
        (remaining, False),
        (cells("repeat", "repeaters"), True),
    ):
        for (cohort, age), value in curve.items():
            after_it = curve.get((cohort, age + 1))
            if after_it is not None:
                assert value <= after_it if rises else value >= after_it


@pytest.mark.engine
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("calendar", ["gregorian", "jalali"])
@pytest.mark.parametrize("by", [False, True])
@pytest.mark.parametrize("period", ["week", "month"])
def test_sail_gives_the_same(run_on_sail, table, calendar, by, period):
    options = OPTIONS | {"period": period, "churn_after": 2}
    context = {"calendar": CALENDARS[calendar], "by": ("channel",) if by else (), "table": table}
    found = run_on_sail(Cohort, TYPES | BY, ROWS, options, **context)
    assert found == expected(table, ROWS, CALENDARS[calendar], period, by, 2)


@pytest.mark.engine
@pytest.mark.parametrize("table", TABLES)
def test_no_rows_no_cohorts(run_kind, run_on_sail, table):
    for run in (run_kind, run_on_sail):
        assert run(Cohort, TYPES, [], OPTIONS, calendar=CALENDARS["gregorian"], table=table) == []


def test_types_of_whole_amounts_are_whole(run_kind):
    rows = [{"customer": 7, "time": DAY_ONE, "amount": 3}, {"customer": 7, "time": DAY_ONE, "amount": 4}]
    types = {"customer": "BIGINT", "time": "DATE", "amount": "INTEGER"}
    context = {"calendar": CALENDARS["gregorian"], "table": "revenue"}
    (row,) = run_kind(Cohort, types, rows, OPTIONS, **context)
    assert list(row.values())[2:] == [1, 7, 7, 1.0, 7.0]
    assert [type(value) for value in row.values()][2:] == [int, int, int, float, float]


def test_kaplan_and_meier_by_hand(run_kind):
    """Four customers of January, gone after 1, 1, 2 and 3 months, and one of February who stays.

    S(1) = 3/5, S(2) = 3/5 · (1 - 1/3) = 2/5, S(3) = 2/5 · (1 - 1/1) = 0 (the fifth customer is out of sight by then).
    Greenwood at 2: S · √(2/(5·3) + 1/(3·2)).
    """
    bought = {"a": [0], "b": [0], "c": [0, 1], "d": [0, 1, 2], "e": [1, 2, 3]}
    rows = [
        {"customer": c, "time": dt.datetime(2026, 1 + month, 3), "amount": Decimal(1)}
        for c, months in bought.items()
        for month in months
    ]
    found = run_kind(Cohort, TYPES, rows, OPTIONS, calendar=CALENDARS["gregorian"], table="survival")
    assert [(row["at_risk"], row["churned"]) for row in found] == [(5, 0), (5, 2), (3, 1), (1, 1)]
    assert [row["survival"] for row in found] == pytest.approx([1, 3 / 5, 2 / 5, 0])
    assert found[2]["std_error"] == pytest.approx(2 / 5 * math.sqrt(2 / 15 + 1 / 6))
    assert (found[0]["std_error"], found[3]["std_error"]) == (0.0, None)


@pytest.mark.parametrize(
    ("options", "wrong"), [({"churn_after": 0}, "churn_after"), ({"margin": -1.0}, "margin"), ({"margin": 1.0}, None)]
)
def test_wrong_options_are_told(options, wrong):
    assert list(Cohort().check(OPTIONS | options)) == ([wrong] if wrong else [])


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "metrics").mkdir()
    (tmp_path / "orders.csv").write_text(
        "customer_id,ordered_at,amount,channel\n1,2026-01-05,100,web\n2,2026-01-31,50,shop\n2,2026-02-01,30,web\n"
        "3,2026-02-02,20,web\n,2026-04-03,70,web\n1,2026-04-01,1,shop\n"
    )
    (tmp_path / "kpi.yaml").write_text("sources:\n  orders: {from: orders.csv, time: ordered_at}\n")
    return tmp_path


KEPT = "kind: cohort, source: orders, customer: customer_id, time: ordered_at, amount: amount"


def test_tables_of_a_project(folder):
    (folder / "metrics" / "cohort.yaml").write_text(f"metrics:\n  kept: {{{KEPT}, churn_after: 2}}\n")
    with kpiengine.open(folder) as project:
        found = {
            table: [tuple(row.values())[2:] for row in project.query(f"kept.{table}").arrow().to_pylist()]
            for table in TABLES
        }
        by_channel = project.query("kept.rolling", by="channel", where="period_number = 0").arrow().to_pylist()
    assert found["rolling"][:4] == [(2, 2, 1.0), (2, 2, 1.0), (2, 1, 0.5), (2, 1, 0.5)]
    assert found["recurring"][:4] == [(2, 2, 1.0), (2, 1, 0.5), (2, 0, 0.0), (2, 0, 0.0)]
    assert found["revenue"][:4] == [
        (2, 150, 150, 1.0, 75.0), (2, 30, 180, 0.2, 90.0), (2, 0, 180, 0.0, 90.0), (2, 1, 181, 1 / 150, 90.5),
    ]  # fmt: skip
    assert found["revenue"][7] == (1, None, None, None, None)
    assert found["churn"][:4] == [
        (2, 2, 0, 0.0, 1.0),
        (2, 1, 1, 0.5, 0.5),
        (2, 0, 1, 1.0, 0.0),
        (2, None, None, None, None),
    ]
    assert [row["channel"] for row in by_channel] == ["shop", "web", "web"]


def test_a_span_that_is_none_is_told_by_its_place(folder):
    (folder / "metrics" / "cohort.yaml").write_text(f"metrics:\n  kept: {{{KEPT}, churn_after: 0}}\n")
    with pytest.raises(DefinitionError, match=r"cohort.yaml:2:.*churn_after must be a number of periods from 1 on"):
        kpiengine.open(folder)
