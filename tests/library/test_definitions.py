"""The KPI library against hand-written SQL, on rows with the mess that real data has.

Each case is a metric's definition in words of its own: other functions, other ways than the formula takes.
"""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml

import kpiengine
from kpiengine.project import Project
from kpiengine.testing import same_value

SOURCES: Mapping[str, Mapping[str, Any]] = {
    "orders": {"time": "ordered_at", "joins": {"customers": "customer_id"}},
    "customers": {"time": "acquired_at", "key": "customer_id"},
    "costs": {"time": "spent_at"},
    "survey": {"time": "responded_at"},
    "pipeline": {"time": "entered_at"},
}
WORDS = (
    "Excellent",
    " excellent",
    "GOOD",
    "good ",
    "Average",
    "poor",
    "عالي",
    "عالی",
    "خوب",
    "متوسط",
    "ضعيف",
    "۵",
    "4",
    "3",
)
NOT_WORDS = ("", "terrible", "0", "6", "4.5", "excellent!", None)
VIEWS, *STATEMENTS = (Path(__file__).parent / "definitions.sql").read_text("utf-8").split("-- case: ")
CASES = [tuple(statement.split("\n", 1)) for statement in STATEMENTS]
CHANNELS = ("web", "store", "partner", None)


def mess(seed: int = 7) -> dict[str, pa.Table]:
    """Orders in lines with NULL keys, times and amounts; customers who never bought; costs of no channel; repeated,
    missing and disordered stages; answers of all sorts."""
    rng = random.Random(seed)
    start = dt.datetime(2025, 11, 3)

    def moment(days: int = 150) -> dt.datetime:
        return start + dt.timedelta(minutes=rng.randrange(days * 24 * 60))

    def or_null(value: Any, share: float = 0.06) -> Any:
        return None if rng.random() < share else value

    orders: list[dict[str, Any]] = []
    for number in range(260):
        line = {
            "order_id": or_null(number),
            "customer_id": or_null(rng.randrange(70)),
            "ordered_at": or_null(moment(), 0.03),
        }
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            orders.append({**line, "amount": or_null(rng.randrange(-40, 300)), "channel": rng.choice(CHANNELS)})
    orders += rng.sample(orders, 5)
    customers = [
        {"customer_id": n, "acquired_at": or_null(moment().date()), "channel": rng.choice(("web", "store", None))}
        for n in range(90)
    ]
    costs = [
        {
            "spent_at": or_null(moment().date()),
            "amount": or_null(rng.randrange(5, 500)),
            "category": rng.choice(("advertising", " Advertising", "commission", "salary", "planned", "PLANNED", None)),
            "channel": rng.choice(CHANNELS),
        }
        for _ in range(120)
    ]
    survey = [
        {
            "responded_at": or_null(moment()),
            "customer_id": or_null(rng.randrange(90)),
            "nps": rng.choice((*range(11), 9, 10, 7, None, -1, 11, 7.5, 99)),
            "csat": rng.choice((*WORDS, *WORDS, *NOT_WORDS)),
        }
        for _ in range(400)
    ]
    pipeline: list[dict[str, Any]] = []
    for lead in range(110):
        came = moment(120)
        for n, stage in enumerate(("lead", "prospect", "proforma", "invoice", "customer")):
            if rng.random() < 0.25 * (n > 0):
                break
            if rng.random() < 0.08:  # a stage that nobody wrote down
                continue
            came += dt.timedelta(hours=rng.randrange(0, 200))
            row = {"lead_id": lead, "stage": stage, "entered_at": came, "amount": or_null(rng.randrange(50, 900), 0.3)}
            pipeline += [row] if rng.random() < 0.9 else [row, {**row, "entered_at": came + dt.timedelta(days=40)}]
    pipeline.append({"lead_id": None, "stage": "lead", "entered_at": start, "amount": 5})
    rng.shuffle(pipeline)
    made = {"orders": orders, "customers": customers, "costs": costs, "survey": survey, "pipeline": pipeline}
    return {name: pa.Table.from_pylist(rows) for name, rows in made.items()}


@pytest.fixture(scope="module")
def tables() -> dict[str, pa.Table]:
    return mess()


@pytest.fixture(scope="module")
def project(tables: dict[str, pa.Table], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("mess")
    sources = {}
    for name, table in tables.items():
        pyarrow.parquet.write_table(table, folder / f"{name}.parquet")
        sources[name] = {"from": f"{name}.parquet", **SOURCES[name]}
    (folder / "kpi.yaml").write_text(yaml.safe_dump({"sources": sources}), encoding="utf-8")
    with kpiengine.open(folder) as opened:
        yield opened


@pytest.fixture(scope="module")
def truth(tables: dict[str, pa.Table]) -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    for name, table in tables.items():
        connection.register(name, table)
    connection.execute(VIEWS)
    yield connection
    connection.close()


def rows(result: Any, by: str) -> list[tuple[Any, ...]]:
    """The rows that say something, in the order of the dimension: a group of NULLs and zeros may be there or not."""
    found = [row for row in result if by == "none" or any(value not in (None, 0) for value in row[1:])]
    return found if by == "none" else sorted(found, key=lambda row: (row[0] is None, str(row[0])))


@pytest.mark.parametrize(("asked", "sql"), CASES, ids=lambda text: text if " by " in text[:80] else "")
def test_metric(project: Project, truth: duckdb.DuckDBPyConnection, asked: str, sql: str) -> None:
    metrics, _, by = asked.partition(" by ")
    found = rows((tuple(row.values()) for row in project.query(metrics, by).arrow().to_pylist()), by)
    expected = rows(truth.execute(sql).fetchall(), by)
    assert len(found) == len(expected) > 0
    for left, right in zip(found, expected, strict=True):
        assert all(map(same_value, left, right)), f"{left}\n{right}"
