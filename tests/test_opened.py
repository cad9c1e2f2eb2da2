"""A project that was opened before: the same in all that it says, and never once anything of it has changed."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kpiengine import opened
from kpiengine.cli.main import cli
from kpiengine.errors import DefinitionError, KpiError
from kpiengine.plugins import Plugins, installed
from kpiengine.project import Project
from kpiengine.spec import MetricSpec

KPI = """
name: shop
timezone: Asia/Tehran
calendar: {fiscal: {starts: april}}
sources:
  orders:
    from: {csv: {path: orders.csv, types: {amount: DOUBLE}}}
    time: ordered_at
    columns: {net: "amount - ${TAX:-0}"}
    filters: [amount > 0]
tests:
  - name: one
    given: {orders: [{amount: 10, ordered_at: 2026-01-05}]}
    query: {metrics: [revenue], by: [month]}
    expect: [{month: 2026-01-01, revenue: 10}]
exports:
  monthly: {metrics: [revenue], by: [month], since: 2026-01-01}
"""
METRICS = """
metrics:
  revenue: {source: orders, formula: sum(amount), grain: month, unit: EUR, label: {en: Revenue, fa: درآمد}}
  big: {extends: revenue, filters: [amount > $least], parameters: {least: 10.5}}
  aov: {formula: "revenue / count_of", target: {from: targets.csv}, grain: month}
  count_of: {source: orders, formula: count(*), target: {month: 120, year: 1500.5}, fill: 0}
  nps: {formula: "revenue * 2"}
  segments: {kind: rfm, source: orders, customer: customer, time: ordered_at, amount: amount, bins: {recency: [1, 2, 3, 4.5], frequency: [1, 2, 3, 4], monetary: [1, 2, 3, 4]}, method: bins}
  folded:
    source: orders
    formula: >
      sum(amount
        + 1)
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KPI_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "shop"
    (folder / "metrics").mkdir(parents=True)
    (folder / "kpi.yaml").write_text(KPI)
    (folder / "metrics" / "all.yaml").write_text(METRICS)
    (folder / "orders.csv").write_text("customer,amount,ordered_at\nann,10,2026-01-05\nbob,20,2026-02-10\n")
    (folder / "targets.csv").write_text("period,value\n2026-01,10\n")
    return folder


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows by one whenever YAML is read."""
    import kpiengine.project as facade

    seen: list[object] = []
    read = facade.read_project

    def watched(*arguments: Any) -> Any:
        seen.append(arguments)
        return read(*arguments)

    monkeypatch.setattr(facade, "read_project", watched)
    return seen


def everything(value: Any) -> Any:
    """A spec in full: what does not count for equality too, such as the place of every character."""
    if hasattr(value, "__dataclass_fields__"):
        own = {field.name: everything(getattr(value, field.name)) for field in fields(value) if field.name != "source"}
        return type(value).__name__, own, getattr(value, "offsets", None), getattr(value, "source", None)
    if isinstance(value, list | tuple):
        return type(value).__name__, [everything(item) for item in value]
    if hasattr(value, "items"):
        return [(key, everything(item)) for key, item in value.items()]
    return type(value).__name__, value


def test_what_was_opened_before_is_the_same(shop: Path, reads: list[object]) -> None:
    first = Project.open(shop)
    second = Project.open(shop)
    assert len(reads) == 1
    assert everything(second.spec) == everything(first.spec)
    assert everything(second.metrics) == everything(first.metrics)
    assert second.spec == first.spec
    assert second.check() == first.check()
    assert [info.name for info in second.list()] == [info.name for info in first.list()]
    assert second.query("revenue,aov,big", by="month").sql == first.query("revenue,aov,big", by="month").sql
    assert [(r.name, r.passed) for r in second.test()] == [(r.name, r.passed) for r in first.test()]


def test_metrics_are_read_when_they_are_asked_for(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Project.open(shop)
    made: list[str] = []
    start = MetricSpec.__init__

    def counted(self: MetricSpec, *arguments: Any, **named: Any) -> None:
        start(self, *arguments, **named)
        made.append(self.name)

    monkeypatch.setattr(MetricSpec, "__init__", counted)
    with Project.open(shop) as project:
        project.query("folded", by="none")
    assert set(made) == {"folded"}


def test_messages_have_the_same_places(shop: Path, reads: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    (shop / "metrics" / "all.yaml").write_text(METRICS.replace("+ 1)", "+ nosuch)"))
    Project.open(shop)
    told = []
    for setting in (None, "off"):
        if setting:
            monkeypatch.setenv("KPI_CACHE", setting)
        with Project.open(shop) as project, pytest.raises(KpiError) as wrong:
            project.query("folded")
        told.append(str(wrong.value))
    assert told[0] == told[1]
    assert told[0].startswith('metrics/all.yaml:13:11: unknown column "nosuch"')
    assert len(reads) == 2


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("metrics/all.yaml", "sum(amount)", "max(amount)"), ("kpi.yaml", "amount > 0", "amount > 1"), ("kpi.yaml", "Tehran", "Tokyo")],
)  # fmt: skip
def test_a_change_is_read(shop: Path, reads: list[object], file: str, old: str, new: str) -> None:
    Project.open(shop)
    (shop / file).write_text((shop / file).read_text().replace(old, new))
    changed = Project.open(shop)
    assert len(reads) == 2
    assert new in repr(changed.spec)


def test_a_mistake_is_told_each_time(shop: Path, reads: list[object]) -> None:
    (shop / "metrics" / "all.yaml").write_text(METRICS.replace("grain: month", "grian: month", 1))
    for _ in range(2):
        with pytest.raises(DefinitionError, match="grian"):
            Project.open(shop)
    assert len(reads) == 2


def test_nothing_from_the_environment_is_kept(
    shop: Path, reads: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Project.open(shop)
    monkeypatch.setenv("TAX", "12345678")
    assert Project.open(shop).spec.sources["orders"].columns["net"].value == "amount - 12345678"
    Project.open(shop)
    assert len(reads) == 3
    assert not any(b"12345678" in file.read_bytes() for file in (tmp_path / "cache").rglob("*") if file.is_file())


def test_another_engine_is_that_of_the_same_project(shop: Path, reads: list[object]) -> None:
    Project.open(shop)
    assert Project.open(shop, engine="duckdb").spec.engine == "duckdb"
    assert Project.open(shop).spec.engine is None
    assert len(reads) == 1


def test_a_plugin_that_changed_is_asked_again(shop: Path, reads: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    Project.open(shop)
    really = opened.tree_stamp
    monkeypatch.setattr(opened, "tree_stamp", lambda place: "other" if "metrics" in place.name else really(place))
    Project.open(shop)
    assert len(reads) == 2


def test_a_compiled_query_knows_plugins_that_were_not_loaded_for_it(shop: Path) -> None:
    """An edited library is seen by a query that was compiled in a project which was opened before."""
    Project.open(shop)
    asked = opened.question(shop)
    kept = opened.find_opened(asked, installed()) if asked is not None else None
    assert kept is not None
    fresh = Plugins([])
    Project._reopened(kept, fresh, None, {})
    assert {"kpiengine_metrics", "kpiengine_plugins"} <= {place.name for place in fresh.code()}


def test_the_command_line_says_the_same(shop: Path) -> None:
    def said(*arguments: str) -> str:
        return CliRunner().invoke(cli, ["-C", str(shop), *arguments]).output

    for command in (("list", "--json"), ("show", "big"), ("check",), ("query", "nosuch"), ("sql", "revenue")):
        assert said(*command) == said(*command)
