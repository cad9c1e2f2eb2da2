"""What leaves the engine, and what goes to it, for a model of customers: what is distinct, and never a row a customer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kpiengine
from kpiengine.duck import DuckSession
from kpiengine_plugins.engines._spark_session import SparkEngineSession

from .kinds.test_clv import buyers

pytestmark = pytest.mark.engine

CUSTOMERS = 6_000


def orders() -> pa.Table:
    """Of many customers, of whom 24 each behave alike."""
    rows = [
        (row["customer"] * 24 + copy, row["time"], row["amount"])
        for row in buyers(CUSTOMERS // 24)
        for copy in range(24)
    ]
    names = ("customer_id", "ordered_at", "amount")
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


@pytest.fixture
def crossed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of rows that go from an engine to this process, and from here to it."""
    counted: list[int] = []

    def counting(rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
        def batches() -> Iterator[pa.RecordBatch]:
            for batch in rows:
                counted.append(batch.num_rows)
                yield batch

        return pa.RecordBatchReader.from_batches(rows.schema, batches())

    def given(session: type, name: str, wrapped: Callable[[Any, Any], Any]) -> None:
        original = getattr(session, name)
        monkeypatch.setattr(session, name, lambda self, *a, **k: wrapped(original, (self, a, k)))

    def read(original: Any, call: Any) -> Any:
        self, arguments, named = call
        return counting(original(self, *arguments, **named))

    def sent(original: Any, call: Any) -> Any:
        self, (name, rows), named = call
        table = rows.read_all() if isinstance(rows, pa.RecordBatchReader) else rows
        counted.append(table.num_rows)
        return original(self, name, table.to_reader() if isinstance(rows, pa.RecordBatchReader) else table, **named)

    for session in (DuckSession, SparkEngineSession):
        given(session, "reader", read)
    given(SparkEngineSession, "load", sent)
    given(DuckSession, "bind", sent)
    return counted


@pytest.mark.parametrize(("engine", "model"), [("duckdb", "bgnbd"), ("spark", "paretonbd")])
def test_no_row_a_customer(
    tmp_path: Path, engine: str, model: str, crossed: list[int], request: pytest.FixtureRequest
) -> None:
    pq.write_table(orders(), tmp_path / "orders.parquet")
    names = "customer: customer_id, time: ordered_at, amount: amount"
    (tmp_path / "kpi.yaml").write_text(
        "sources: {o: {from: orders.parquet, time: ordered_at}}\n"
        f"metrics: {{c: {{source: o, kind: clv, {names}, model: {model}}}}}\n"
        "exports: {each: {metrics: [c]}}\n"
    )
    remote = request.getfixturevalue("sail_remote") if engine == "spark" else ""
    with kpiengine.open(tmp_path, engine={"spark": {"remote": remote}} if engine == "spark" else "duckdb") as project:
        told = {row["parameter"]: row["value"] for row in project.query("c.fit").rows()}
        distinct = told["distinct_histories"]
        assert told["customers"] == CUSTOMERS > 24 * distinct
        crossed.clear()
        (done,) = project.export("each", out=tmp_path / "out")
    assert done.rows == CUSTOMERS
    # The histories and the mean spends come, and what is expected of them goes back.
    assert distinct < sum(crossed) < 8 * distinct < CUSTOMERS / 2
    expected = pq.read_table(done.path, columns=["expected_orders", "p_alive", "clv"])
    assert 0 < len(expected.group_by(["expected_orders", "p_alive"]).aggregate([])) <= distinct
