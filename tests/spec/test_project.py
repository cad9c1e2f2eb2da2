"""A project that says everything right, and how files are found."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from kpiengine.errors import DefinitionError, Place
from kpiengine.spec import TargetFile, find_project, read_metrics_package, read_project

GOOD = Path(__file__).parent / "good"


@pytest.fixture
def project(plugins, monkeypatch):
    monkeypatch.setenv("KPI_TEST_TABLE", "hush_orders")
    spec, problems = read_project(GOOD, plugins)
    assert problems == []
    return spec


def test_settings(project):
    assert (project.name, project.timezone, project.week_starts) == ("acme", "Europe/Berlin", "saturday")
    assert project.calendar.name == "fiscal"
    assert project.calendar.options["starts"].value == "april"
    assert project.root == str(GOOD)


def test_sources(project):
    orders = project.sources["orders"]
    assert orders.connector == "csv"
    assert {name: option.value for name, option in orders.options.items()} == {
        "path": "data/sales.csv", "delimiter": ";", "header": True, "skip": 2, "ratio": 1.0, "nulls": ["NA", "-"],
    }  # fmt: skip
    assert orders.key == ("order_id",)
    assert {name: text.value for name, text in orders.columns.items()} == {
        "customer_id": "Customer ID", "amount": "Quantity * Price", "one": "1",
    }  # fmt: skip
    assert [text.value for text in orders.filters] == ["status <> 'cancelled'"]
    joins = {name: (join.to, join.on) for name, join in orders.joins.items()}
    assert joins == {
        "customers": ("customers", ("customer_id",)),
        "payer": ("customers", ("payer_id",)),
        "stock": ("stock", ("sku", "site")),
    }
    assert orders.places["time"] == Place("kpi.yaml", 13, 11)
    assert orders.place == Place("kpi.yaml", 9, 3)


def test_ways_to_say_from(project):
    ways = {name: (s.connector, {k: o.value for k, o in s.options.items()}) for name, s in project.sources.items()}
    assert ways["customers"] == ("parquet", {"path": "data/customers.parquet"})
    assert ways["stock"] == ("csv", {"path": "data/stock.csv"})
    assert ways["big"] == ("sql", {"query": "select * from orders where amount > 100"})
    assert ways["lake"][1]["settings"] == {"tries": 3, "user": "anna"}
    assert project.sources["stock"].key == ("sku", "site")


def test_secrets_are_not_shown(project):
    table = project.sources["lake"].options["table"]
    assert table.value == "hush_orders"
    assert table.shown == "${KPI_TEST_TABLE}"
    assert "hush_orders" in project.secrets
    assert "hush" not in repr(project)


def test_metrics(project):
    revenue = project.metrics["revenue"]
    assert revenue.formula.value == "sum(amount)"
    assert (revenue.source, revenue.grain, revenue.unit, revenue.time) == ("orders", ("month",), "EUR", "paid_at")
    assert revenue.target == {"month": 120000, "year": 1.5e6}
    assert (revenue.near, revenue.better, revenue.fill) == (0.8, "down", 0)
    assert revenue.label == {"en": "Revenue", "fa": "درآمد"}
    assert revenue.description == {"en": "What was paid"}
    assert revenue.tags == ("sales", "board")
    assert revenue.parameters == {"country": "DE", "since": dt.date(2026, 1, 1), "least": 5}
    assert revenue.otherwise.formula.value == "sum(total)"
    assert revenue.otherwise.source == "invoices"
    assert revenue.otherwise.name == "revenue"
    assert revenue.places["formula"] == revenue.formula.place == Place("metrics/deep/er.yaml", 4, 14)
    assert project.metrics["aov"].target == TargetFile("targets.csv", Place("kpi.yaml", 31, 51))
    assert project.metrics["aov"].grain == ("month", "customers.channel")


def test_metrics_of_a_kind(project):
    segments = project.metrics["segments"]
    assert (segments.kind, segments.source, segments.formula) == ("segments", "orders", None)
    assert {name: option.value for name, option in segments.options.items()} == {
        "customer": "customer_id", "time": "ordered_at", "scale": 3, "method": "bins", "bins": {"r": [1, 2.5]},
        "as_of": "2026-01-01", "steps": ["lead", {"won": "stage = 'won'"}],
    }  # fmt: skip
    assert segments.options["time"].text.at(3) == Place("metrics/kinds.yaml", 6, 14)
    assert segments.options["steps"].parts[1].place == Place("metrics/kinds.yaml", 11, 19)


def test_exports_and_tests(project):
    monthly = project.exports["monthly"]
    assert monthly.metrics == ("revenue", "aov")
    assert (monthly.by, monthly.partition_by, monthly.path) == (("month", "channel"), ("month",), "out/monthly")
    assert monthly.options == {"since": "2026-01-01", "where": ("amount > 0",), "limit": 10, "totals": True}
    assert project.exports["own_grain"].by is None
    assert project.exports["total"].by == ()
    (test,) = project.tests
    assert test.name == "refunds do not count"
    assert test.given["orders"][0] == {"order_id": 1, "amount": 10, "status": "NO", "ordered_at": dt.date(2026, 1, 5)}
    assert test.given["customers"] == ()
    assert test.query == {"metrics": ("revenue",), "by": ("month",), "as_of": "2026-02-01"}
    assert test.expect == ({"month": dt.date(2026, 1, 1), "revenue": 10},)


def test_kinds_are_loaded_only_for_metrics_that_have_one(read, plugins):
    spec, problems = read("sources:\n  o: {from: {csv: a.csv}}\nmetrics:\n  a: {source: o, formula: count(*)}\n")
    assert (problems, list(spec.metrics), plugins.asked) == ([], ["a"], [])


def test_an_empty_project_is_one(read):
    spec, problems = read("# nothing yet\n", empty="", only_a_key="metrics:\n")
    assert problems == []
    assert spec.name == Path(spec.root).name


def test_what_is_broken_is_left_out_and_named(read):
    spec, _ = read("sources:\n  a: {key: x}\nmetrics:\n  b: {formla: x}\n  c: {formula: x}\n")
    assert spec.broken == {"a", "b"}
    assert list(spec.metrics) == ["c"]


def test_null_takes_a_key_back(read):
    spec, problems = read("metrics:\n  a: {formula: x, unit: ~, target: null}\n")
    assert problems == []
    assert spec.metrics["a"].unit is None
    assert "unit" in spec.metrics["a"].given


def test_hidden_files_are_not_read(read):
    spec, problems = read(
        "", **{".hidden": "metrics: [", "deep__.git__x": "metrics: [", "deep__a": "metrics: {a: {formula: x}}"}
    )
    assert (problems, list(spec.metrics)) == ([], ["a"])


def test_find_project(tmp_path):
    deep = tmp_path / "acme" / "metrics" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / "acme" / "kpi.yaml").touch()
    acme = (tmp_path / "acme").resolve()
    assert find_project(deep) == find_project(tmp_path / "acme") == find_project(acme / "kpi.yaml") == acme
    with pytest.raises(DefinitionError, match=r"no kpi\.yaml in .* or in a folder above it; `kpi init DIR`"):
        find_project(tmp_path)
    with pytest.raises(DefinitionError, match=r"no such folder: .*nowhere"):
        find_project(tmp_path / "nowhere")
    (tmp_path / "kpi.yml").touch()
    with pytest.raises(DefinitionError, match=r"rename kpi\.yml"):
        find_project(tmp_path)


def test_a_package_of_metrics(tmp_path, plugins, monkeypatch):
    package = tmp_path / "acme_kpis"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "a.yaml").write_text("metrics:\n  nps: {source: survey, formula: count(*)}\n")
    (package / "deep" / "b.yaml").write_text(
        "metrics:\n  csat: {source: survey, formula: avg(csat)}\n"
        "tests: [{name: t, given: {survey: []}, query: {metrics: csat}, expect: []}]\nsources: {}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    metrics, tests, problems = read_metrics_package("acme_kpis", "acme", plugins)
    assert {name: (m.library, str(m.place)) for name, m in metrics.items()} == {
        "nps": ("acme", "acme_kpis/a.yaml:2:3"), "csat": ("acme", "acme_kpis/deep/b.yaml:2:3"),
    }  # fmt: skip
    assert [test.name for test in tests] == ["t"]
    message = 'acme_kpis/deep/b.yaml:4:1: unknown key "sources" in a library file; it takes: metrics, tests'
    assert [str(p) for p in problems] == [message]


def test_a_package_that_is_not_there(plugins):
    _, _, problems = read_metrics_package("nowhere_at_all", "acme", plugins)
    assert [str(p) for p in problems] == ['plugin "acme": there is no package "nowhere_at_all"']


def test_a_project_read_twice_is_equal(tmp_path, plugins, monkeypatch):
    monkeypatch.setenv("KPI_TEST_TABLE", "x")
    shutil.copytree(GOOD, tmp_path, dirs_exist_ok=True)
    assert read_project(tmp_path, plugins) == read_project(tmp_path, plugins)
