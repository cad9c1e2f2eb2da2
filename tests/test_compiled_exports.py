"""An export that was compiled before: the same files, and never once anything that it stands on has changed."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import kpiengine
from kpiengine import cache, compiled, project, recipe
from kpiengine.cli.main import cli
from kpiengine.compiled import Asked, CompiledQuery
from kpiengine.errors import DataError, DefinitionError

KPI = """
sources:
  orders: {from: ORDERS, time: ordered_at, joins: {customers: customer_id}}
  customers: {from: customers.csv, key: customer_id}
metrics:
  amount: {source: orders, formula: sum(amount)}
  orders: {source: orders, formula: count(*)}
exports:
  monthly: {metrics: [amount, orders], by: [month, customers.country]}
  parts: {metrics: [amount], by: [month], partition_by: Month}
  recent: {metrics: [amount], by: [month], since: -90d}
"""
ORDERS = "customer_id,amount,ordered_at\n1,10,2026-01-05\n2,20,2026-02-05\n"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SETTLED", 0)
    monkeypatch.setattr(cache, "SETTLED_COARSE", 0)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "metrics").mkdir(parents=True)
    (folder / "kpi.yaml").write_text(KPI.replace("ORDERS", "orders.csv"))
    (folder / "orders.csv").write_text(ORDERS)
    (folder / "customers.csv").write_text("customer_id,country\n1,DE\n2,FR\n")
    return folder


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows by one whenever a query is planned."""
    seen: list[object] = []
    really = project.make_plan

    def watched(model: Any, query: Any, *rest: Any) -> Any:
        seen.append(query)
        return really(model, query, *rest)

    monkeypatch.setattr(project, "make_plan", watched)
    return seen


def exported(folder: Path, *names: str, engine: Any = None, parameters: Any = None, **options: Any) -> list[Any]:
    """The rows of an export, written by a project that is opened for it."""
    with project.Project.open(folder, engine=engine, **(parameters or {})) as opened:
        return rows(opened.export(names or "monthly", **options)[0].path)


def rows(place: Any) -> list[Any]:
    return duckdb.sql(f"FROM '{place}/**/*.parquet' ORDER BY ALL").fetchall()


def facts(place: Path) -> dict[str, str]:
    (file,) = place.rglob("*.parquet")
    return {key.decode(): value.decode() for key, value in pq.read_metadata(file).metadata.items()}


def test_the_second_time_nothing_is_planned(shop: Path, planned: list[object]) -> None:
    first = exported(shop)
    assert [tuple(map(str, row)) for row in first] == [("2026-01-01", "DE", "10", "1"), ("2026-02-01", "FR", "20", "1")]
    told = facts(shop / "out" / "monthly")
    assert exported(shop) == first
    assert len(planned) == 1
    again = facts(shop / "out" / "monthly")
    for found in (told, again):
        assert found.pop("kpiengine_time").startswith("20")
    assert again == told
    assert set(json.loads(told["kpiengine_definitions"])) == {"amount", "orders"}


def test_the_command_line_finds_what_python_compiled(shop: Path, planned: list[object]) -> None:
    first = exported(shop)
    got = CliRunner().invoke(cli, ["-C", str(shop), "export", "monthly"])
    assert got.exit_code == 0, got.output
    assert rows(shop / "out" / "monthly") == first
    got = CliRunner().invoke(
        cli, ["-C", str(shop), "export", "--metric", "amount,orders", "--by", "month,customers.country"]
    )
    assert got.exit_code == 0, got.output
    assert rows(shop / "out" / "query") == first
    assert len(planned) == 1


def test_one_project_finds_what_it_compiled_itself(shop: Path, planned: list[object], tmp_path: Path) -> None:
    with kpiengine.open(shop) as opened:
        for place in ("a", "b.parquet"):
            (done,) = opened.export(metrics="amount", by="month", out=tmp_path / place)
            assert (done.rows, done.files, done.bytes > 0) == (2, 1, True)
    assert pq.read_table(tmp_path / "b.parquet").column("amount").to_pylist() == [10, 20]
    assert len(planned) == 1


def test_each_export_is_planned_once_and_all_before_the_first_is_written(shop: Path, planned: list[object]) -> None:
    with kpiengine.open(shop) as opened:
        assert [done.name for done in opened.export()] == ["monthly", "parts", "recent"]
    assert len(planned) == 3
    text = (
        shop / "kpi.yaml"
    ).read_text() + "  wrong: {metrics: [amount], by: [customers.country], partition_by: WRONG}\n"
    (shop / "kpi.yaml").write_text(text.replace("WRONG", "customers.country"))
    before = (shop / "out" / "monthly" / "data.parquet").stat().st_mtime_ns
    with kpiengine.open(shop) as opened, pytest.raises(DefinitionError, match=r'"customers.country" and has: country'):
        opened.export()
    assert (shop / "out" / "monthly" / "data.parquet").stat().st_mtime_ns == before


def test_partitions_are_written_as_they_were(shop: Path, planned: list[object]) -> None:
    first = exported(shop, "parts")
    names = sorted(path.name for path in (shop / "out" / "parts").iterdir())
    assert names == ["month=2026-01-01", "month=2026-02-01"]
    assert exported(shop, "parts") == first
    assert sorted(path.name for path in (shop / "out" / "parts").iterdir()) == names
    assert len(planned) == 1


CHANGES: Mapping[str, Callable[[Path], object]] = {
    "kpi.yaml": lambda shop: (shop / "kpi.yaml").write_text((shop / "kpi.yaml").read_text() + "\n# more\n"),
    "a new file of metrics": lambda shop: (shop / "metrics" / "new.yml").write_text("metrics: {}\n"),
    "rows": lambda shop: (shop / "orders.csv").write_text(ORDERS + "2,5,2026-03-01\n"),
    "the joined rows": lambda shop: (shop / "customers.csv").write_text("customer_id,country\n1,DE\n2,IT\n"),
    "another file moved there": lambda shop: _moved(shop / "orders.csv"),
}


def _moved(file: Path) -> None:
    """A file of the same size and time."""
    other, before = file.with_name("other"), file.stat()
    other.write_text(file.read_text().replace("2,20", "2,21"))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(file)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(shop: Path, planned: list[object], change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    exported(shop)
    CHANGES[change](shop)
    planned.clear()
    found = exported(shop)
    assert len(planned) == 1
    monkeypatch.setenv("KPI_CACHE", "off")
    assert exported(shop, out=shop / "truth") == found


def test_a_change_while_the_project_is_open_is_seen(shop: Path, planned: list[object]) -> None:
    with kpiengine.open(shop) as opened:
        opened.export("monthly")
        (shop / "orders.csv").write_text(ORDERS.replace("20", "25"))
        opened.export("monthly")
        assert [row[2] for row in rows(shop / "out" / "monthly")] == [10, 25]
        opened.export("monthly")  # what it knows of the file may be older than the file: nothing is kept
    assert len(planned) == 3


def test_a_project_written_to_since_it_was_opened_is_not_believed(shop: Path, planned: list[object]) -> None:
    with kpiengine.open(shop) as opened:
        text = (shop / "kpi.yaml").read_text()
        (shop / "kpi.yaml").write_text(text.replace("sum(amount)", "max(amount) + 100"))
        opened.export("monthly")
    assert [row[2] for row in exported(shop)] == [110, 120]
    (shop / "kpi.yaml").write_text(text)
    assert [row[2] for row in exported(shop)] == [10, 20]
    assert len(planned) == 3


def test_a_key_that_became_double_is_told(shop: Path) -> None:
    exported(shop)
    (shop / "customers.csv").write_text("customer_id,country\n1,DE\n1,FR\n")
    with pytest.raises(DataError, match="has 2 rows with customer_id = 1"):
        exported(shop)


def test_what_is_bound_is_neither_found_nor_kept(shop: Path, planned: list[object]) -> None:
    exported(shop)
    given = pa.table({"customer_id": [1], "amount": [7], "ordered_at": [dt.date(2026, 1, 5)]})
    for _ in range(2):
        with kpiengine.open(shop) as opened:
            opened.bind("orders", given)
            opened.export("monthly")
            assert [row[2] for row in rows(shop / "out" / "monthly")] == [7]
    assert len(planned) == 3
    assert [row[2] for row in exported(shop)] == [10, 20]
    assert len(planned) == 3


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"engine": {"duckdb": {"threads": 1}}}, False),
        ({"engine": "duckdb"}, True),
        ({"parameters": {"least": 15}}, False),
        ({"parameters": {"least": 5}}, False),
        ({"set": {"least": 15}}, False),
        ({"until": "2026-02-01"}, False),
        ({"by": "month,customers.country"}, False),
        ({"out": "elsewhere"}, True),
    ],
)
def test_another_question_is_another_export(
    shop: Path, planned: list[object], monkeypatch: pytest.MonkeyPatch, other: dict[str, Any], same: bool
) -> None:
    more = '  big: {source: orders, formula: "sum(amount) where amount > $least", parameters: {least: 5}}\nexports:'
    (shop / "kpi.yaml").write_text(KPI.replace("ORDERS", "orders.csv").replace("exports:", more))
    monkeypatch.chdir(shop)
    asked = {"metrics": "big", "by": "month"}
    first = exported(shop, **asked)
    assert [row[1] for row in first] == [10, 20]
    assert exported(shop, **asked) == first
    assert len(planned) == 1
    found = exported(shop, **{**asked, **other})
    assert len(planned) == (1 if same else 2)
    if "least" in str(other) and "15" in str(other):
        assert [row[1] for row in found] == [None, 20]
    assert exported(shop, **asked) == first


def test_the_day_that_dates_are_counted_from_is_part_of_the_question(
    shop: Path, planned: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(shop, "recent")
    exported(shop, "recent")
    assert len(planned) == 1
    really = project.make_query

    def later(metrics: Any, by: Any, options: Any, **rest: Any) -> Any:
        return really(metrics, by, {**options, "since": "-91d"}, **rest)

    monkeypatch.setattr(project, "make_query", later)
    exported(shop, "recent")
    assert len(planned) == 2


def test_a_database_is_attached_again(shop: Path, planned: list[object]) -> None:
    with duckdb.connect(str(shop / "shop.duckdb")) as database:
        database.execute("CREATE TABLE orders AS FROM read_csv(?)", [str(shop / "orders.csv")])
    (shop / "kpi.yaml").write_text(KPI.replace("ORDERS", "{duckdb: {path: shop.duckdb, table: orders}}"))
    first = exported(shop)
    with kpiengine.open(shop) as opened:
        opened.export("monthly")
        assert rows(shop / "out" / "monthly") == first
        assert len(planned) == 1
        assert opened.query("orders", by="none").rows() == [{"orders": 2}]


def test_a_statement_that_fails_is_compiled_again(
    shop: Path, planned: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = exported(shop)
    really = Asked.find
    broken = "COPY (SELECT error('stale')) TO $target (FORMAT PARQUET)"

    def stale(asked: Asked) -> CompiledQuery | None:
        found = really(asked)
        return None if found is None else compiled.replace(found, statement=broken)

    monkeypatch.setattr(Asked, "find", stale)
    assert exported(shop) == first
    assert len(planned) == 2


def test_a_plugin_that_was_edited_since_the_project_was_opened_is_not_believed(
    shop: Path, planned: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "was_changed", lambda place, since: place.name == "kpiengine_connectors")
    exported(shop)
    exported(shop)
    assert len(planned) == 2


def test_code_is_changed_when_a_file_is_written_or_moved_there(tmp_path: Path) -> None:
    code = tmp_path / "plugin"
    code.mkdir()
    (code / "kind.py").write_text("x = 1")
    os.utime(code / "kind.py", ns=(1, 1))
    changed = (code / "kind.py").stat().st_ctime_ns
    assert cache.was_changed(code, changed)
    assert not cache.was_changed(code, changed + 1)


def test_off_keeps_nothing(shop: Path, planned: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_CACHE", "off")
    exported(shop)
    exported(shop)
    assert len(planned) == 2


def test_no_secret_is_kept(shop: Path, planned: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WITHOUT", "hunter2-the-secret")
    more = "time: ordered_at, filters: [\"'${WITHOUT}' <> 'x'\"],"
    (shop / "kpi.yaml").write_text(KPI.replace("ORDERS", "orders.csv").replace("time: ordered_at,", more))
    exported(shop)
    exported(shop)
    assert len(planned) == 2
    for file in (tmp_path / "cache").rglob("*"):
        assert file.is_dir() or b"hunter2" not in file.read_bytes()
