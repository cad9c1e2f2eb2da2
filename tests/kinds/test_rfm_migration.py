"""The kind `rfm_migration` against the segments that `rfm` itself gives on either day."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kpiengine
from kpiengine.errors import DefinitionError, UsageError
from kpiengine.project import Project
from kpiengine_plugins.rfm.kind import Rfm
from kpiengine_plugins.rfm.migration import RfmMigration

OPTIONS = {"customer": "customer_id", "time": "ordered_at", "amount": "amount"}
TYPES = {"customer": "VARCHAR", "time": "TIMESTAMP", "amount": "INTEGER"}
KIND = "kind: rfm_migration, source: orders, customer: customer_id, time: ordered_at, amount: amount"
LAST = dt.date(2026, 6, 20)


def orders(count: int = 300) -> list[dict[str, Any]]:
    rng = random.Random(4)
    start = dt.datetime(2026, 1, 2)
    return [
        {
            "customer": rng.choice([None, *"abcdefghijklmnopqrstu"]),
            "time": None if rng.random() < 0.04 else start + dt.timedelta(hours=rng.randrange(168 * 24)),
            "amount": rng.randrange(-5, 200),
        }
        for _ in range(count)
    ] + [{"customer": "new", "time": dt.datetime(2026, 6, 20, 23), "amount": 5}]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("migration")
    lines = ["customer_id,ordered_at,amount"]
    lines += [",".join("" if v is None else str(v) for v in row.values()) for row in orders()]
    (folder / "orders.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    write(folder, "from: 3 months", "from: 2026-03-01, to: 2026-05-15, method: ntile")
    with kpiengine.open(folder) as opened:
        yield opened


def write(folder: Path, *options: str) -> None:
    metrics = "".join(f"  moved_{n}: {{{KIND}, {given}}}\n" for n, given in enumerate(options))
    ntile = KIND.replace("rfm_migration", "rfm")
    text = f"sources: {{orders: {{from: orders.csv, time: ordered_at}}}}\nmetrics:\n{metrics}  plain: {{{ntile}}}\n"
    (folder / "kpi.yaml").write_text(f"{text}  ntile: {{{ntile}, method: ntile}}\n", encoding="utf-8")


def segments(project: Project, kind: str, day: dt.date) -> dict[str, tuple[str, str]]:
    rows = project.query(kind, as_of=day).arrow().to_pylist()
    return {row["customer_id"]: (row["rfm"], row["segment"]) for row in rows}


@pytest.mark.parametrize(
    ("name", "kind", "before", "now", "as_of"),
    [
        ("moved_0", "plain", dt.date(2026, 3, 21), dt.date(2026, 6, 21), None),
        ("moved_0", "plain", dt.date(2026, 2, 28), dt.date(2026, 5, 31), dt.date(2026, 5, 31)),
        ("moved_1", "ntile", dt.date(2026, 3, 1), dt.date(2026, 5, 15), None),
    ],
)
def test_it_is_rfm_on_two_days(
    project: Project, name: str, kind: str, before: dt.date, now: dt.date, as_of: dt.date | None
) -> None:
    then, today = segments(project, kind, before), segments(project, kind, now)
    members = project.query(f"{name}.members", as_of=as_of).arrow().to_pylist()
    nobody = (None, None)
    assert {m["customer_id"]: (m["from_rfm"], m["from_segment"], m["to_rfm"], m["to_segment"]) for m in members} == {
        customer: (*then.get(customer, nobody), *found) for customer, found in today.items()
    }
    pairs = Counter((then.get(customer, nobody)[1], found[1]) for customer, found in today.items())
    rows = project.query(name, as_of=as_of).arrow().to_pylist()
    assert {(r["from_segment"], r["to_segment"]): r["customers"] for r in rows} == pairs
    shares: Counter[str | None] = Counter()
    for row in rows:
        shares[row["from_segment"]] += row["share"]
    assert all(share == pytest.approx(1) for share in shares.values())


def test_it_is_a_list_for_a_campaign(project: Project) -> None:
    rows = project.query("moved_0.members", where="from_segment is null", order="customer_id").arrow().to_pylist()
    assert "new" in [row["customer_id"] for row in rows]
    assert {row["from_rfm"] for row in rows} == {None}


def test_a_day_before_the_first_is_refused(project: Project) -> None:
    with pytest.raises(
        UsageError, match='"moved_1" compares with 2026-03-01, and the later day asked for is 2026-02-01'
    ):
        project.query("moved_1", as_of=dt.date(2026, 2, 1))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("from: monthly", 'from must be a date such as 2026-03-31 or a span such as "3 months", not "monthly"'),
        ("from: 0 months", 'or a span such as "3 months", not "0 months"'),
        ("from: 3 months, to: later", 'to must be a date such as 2026-03-31, not "later"'),
        ("from: 2026-03-01, to: 2026-03-01", "to (2026-03-01) must be later than from (2026-03-01)"),
        ("from: 3 months, scale: 11", "scale must be a whole number from 2 to 10"),
        ("to: 2026-03-01", 'needs "from"'),
    ],
)
def test_wrong_options(tmp_path: Path, options: str, message: str) -> None:
    (tmp_path / "orders.csv").write_text("customer_id,ordered_at,amount\n", encoding="utf-8")
    write(tmp_path, options)
    with pytest.raises(DefinitionError) as caught:
        kpiengine.open(tmp_path)
    assert message in str(caught.value)


@pytest.mark.engine
def test_it_says_the_same_on_sail(run_kind: Any, run_on_sail: Any) -> None:
    dates = {**OPTIONS, "from": "2026-03-01", "to": "2026-06-01"}
    rows = orders(80)
    for table in (None, "members"):
        given = {"entity": "customer_id", "table": table}
        here = run_kind(RfmMigration, TYPES, rows, dates, **given)
        there = run_on_sail(RfmMigration, TYPES, rows, dates, **given)
        assert here == there
        assert len(here) > 3


def test_the_options_are_those_of_rfm() -> None:
    assert set(RfmMigration.options) == set(Rfm.options) - {"as_of"} | {"from", "to"}
