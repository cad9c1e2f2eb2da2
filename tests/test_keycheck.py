"""The pass over a joined side: once for files that stay as they are, and never trusted beyond them."""

from __future__ import annotations

from pathlib import Path

import pytest

import kpiengine
from kpiengine import cache, keycheck
from kpiengine.errors import DataError

KPI = """
name: shop
sources:
  orders: {from: orders.csv, joins: {customers: customer_id}}
  customers: {from: customers.csv, key: customer_id, columns: COLUMNS}
metrics:
  amount: {source: orders, formula: sum(amount)}
"""
CUSTOMERS = "customer_id,channel\n1,web\n2,shop\n"
TWICE = "customer_id,channel\n1,web\n1,shop\n"


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KPI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SETTLED", 0)
    monkeypatch.setattr(cache, "SETTLED_COARSE", 0)
    (tmp_path / "kpi.yaml").write_text(KPI.replace("COLUMNS", "{}"))
    (tmp_path / "orders.csv").write_text("customer_id,amount\n1,10\n2,20\n2,5\n")
    (tmp_path / "customers.csv").write_text(CUSTOMERS)
    return tmp_path


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that read a joined side."""
    seen: list[str] = []
    verify = keycheck._verify

    def watched(statement: str, *rest: object) -> bool:
        seen.append(statement)
        return verify(statement, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(keycheck, "_verify", watched)
    return seen


def ask(shop: Path, by: str = "customers.channel") -> list[dict[str, object]]:
    with kpiengine.open(shop) as project:
        return project.query("amount", by=by).rows()


def test_the_same_files_are_read_once(shop: Path, passes: list[str]) -> None:
    first = ask(shop)
    assert first == ask(shop)
    assert len(passes) == 1


def test_a_changed_file_is_read_again(shop: Path, passes: list[str]) -> None:
    ask(shop)
    (shop / "customers.csv").write_text(TWICE)
    with pytest.raises(DataError, match="has 2 rows with customer_id = 1"):
        ask(shop)
    with pytest.raises(DataError, match="has 2 rows with customer_id = 1"):
        ask(shop)
    assert len(passes) == 3
    (shop / "customers.csv").write_text(CUSTOMERS)
    ask(shop)
    assert len(passes) == 4


def test_another_meaning_of_the_key_is_checked_for_itself(shop: Path, passes: list[str]) -> None:
    ask(shop)
    (shop / "kpi.yaml").write_text(KPI.replace("COLUMNS", "{customer_id: customer_id // 10}"))
    with pytest.raises(DataError, match="has 2 rows with customer_id = 0"):
        ask(shop)
    assert len(passes) == 2


@pytest.mark.parametrize("moving", ["concat(channel, uuid())", "channel || today()"])
def test_what_says_something_else_each_time_is_read_each_time(shop: Path, passes: list[str], moving: str) -> None:
    (shop / "kpi.yaml").write_text(KPI.replace("COLUMNS", f'{{channel: "{moving}"}}'))
    ask(shop)
    ask(shop)
    assert len(passes) == 2


def test_without_a_cache_it_is_read_each_time(shop: Path, passes: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_CACHE", "off")
    ask(shop)
    ask(shop)
    assert len(passes) == 2


def test_check_data_always_reads(shop: Path) -> None:
    ask(shop)
    with kpiengine.open(shop) as project:
        asked: list[str] = []
        rows = project._runner.duck.rows
        project._runner.duck.rows = lambda s, what="": asked.append(s) or rows(s, what)  # type: ignore[func-returns-value,method-assign]
        assert project.check(data=True) == []
    assert any("GROUP BY" in statement and "customers.csv" in statement for statement in asked)
