"""The library's count(distinct …) of a source's own key is a count of rows; a project's is as written."""

from __future__ import annotations

from pathlib import Path

import kpiengine

PROJECT = """
sources:
  orders:
    from: orders.csv
    key: order_id
    time: ordered_at
metrics:
  different: {source: orders, formula: count(distinct order_id)}
"""
ROWS = "order_id,customer_id,ordered_at,amount\n1,1,2026-01-01,5\n2,1,2026-01-02,50\n2,1,2026-01-03,\n"


def answers(folder: Path, project: str) -> tuple[list[dict[str, object]], str]:
    folder.mkdir()
    (folder / "kpi.yaml").write_text(project)
    (folder / "orders.csv").write_text(ROWS)
    with kpiengine.open(folder) as opened:
        return opened.query("orders,different").arrow().to_pylist(), opened.sql("orders").upper()


def test_rows_are_counted_where_the_source_says_that_its_key_is_the_order(tmp_path: Path) -> None:
    rows, sql = answers(tmp_path / "key", PROJECT)
    assert rows == [{"orders": 3, "different": 2}]
    assert "DISTINCT" not in sql


def test_orders_are_counted_where_rows_are_lines(tmp_path: Path) -> None:
    rows, sql = answers(tmp_path / "lines", PROJECT.replace("    key: order_id\n", ""))
    assert rows == [{"orders": 2, "different": 2}]
    assert "COUNT(DISTINCT" in sql
