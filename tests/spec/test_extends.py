"""`extends`: chains, what is replaced and what is added, the library's metrics, kinds."""

from __future__ import annotations

import pytest

from kpiengine.spec import read_metrics_package, resolve_extends

LIBRARY = """
metrics:
  revenue: {source: orders, formula: sum(amount), filters: [amount > 0], unit: EUR, label: Revenue, grain: month}
  new_customers:
    source: customers
    formula: count(*)
    otherwise: {source: orders, formula: count(distinct customer_id), filters: [first]}
  rfm: {kind: segments, source: orders, customer: customer_id, scale: 4}
  revenue_web: {extends: revenue, filters: [channel = 'web']}
"""


@pytest.fixture
def resolve(read, plugins, tmp_path, monkeypatch):
    package = tmp_path / "lib_for_extends"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "lib.yaml").write_text(LIBRARY)
    monkeypatch.syspath_prepend(tmp_path)
    library, _, problems = read_metrics_package("lib_for_extends", "lib", plugins)
    assert problems == []

    def resolve(kpi: str):
        spec, problems = read(kpi)
        assert problems == []
        metrics, found = resolve_extends(spec.metrics, library, plugins)
        return metrics, [str(problem) for problem in found]

    return resolve


def filters(metric):
    return [text.value for text in metric.filters]


def test_keys_replace_and_filters_add(resolve):
    metrics, problems = resolve("metrics:\n  eu: {extends: Revenue, unit: USD, filters: [region = 'eu'], grain: ~}\n")
    eu = metrics["eu"]
    assert problems == []
    assert (eu.formula.value, eu.source, eu.unit, eu.grain) == ("sum(amount)", "orders", "USD", ())
    assert filters(eu) == ["amount > 0", "region = 'eu'"]
    assert (eu.name, eu.library, eu.extends, eu.bases) == ("eu", None, None, ("revenue",))
    assert str(eu.place) == "kpi.yaml:2:3"
    assert str(eu.formula.place) == "lib_for_extends/lib.yaml:3:38"


def test_a_chain_whatever_the_order(resolve):
    metrics, problems = resolve(
        "metrics:\n  c: {extends: b, filters: [c]}\n  b: {extends: a, filters: [b], parameters: {y: 2}}\n"
        "  a: {formula: x, filters: [a], parameters: {x: 1, y: 1}}\n  d: {extends: revenue_web, filters: d}\n"
    )
    assert problems == []
    assert filters(metrics["c"]) == ["a", "b", "c"]
    assert metrics["c"].bases == ("b", "a")
    assert metrics["c"].parameters == {"x": 1, "y": 2}
    assert filters(metrics["d"]) == ["amount > 0", "channel = 'web'", "d"]


def test_a_thousand_links(resolve):
    links = "".join(f"  m{n}: {{extends: m{n + 1}}}\n" for n in range(1000))
    metrics, problems = resolve(f"metrics:\n{links}  m1000: {{formula: x}}\n")
    assert problems == []
    assert metrics["m0"].formula.value == "x"


def test_a_metric_extends_the_librarys_of_its_own_name(resolve):
    metrics, problems = resolve(
        "metrics:\n  revenue: {extends: revenue, filters: [paid]}\n  more: {extends: revenue}\n"
    )
    assert problems == []
    assert filters(metrics["revenue"]) == filters(metrics["more"]) == ["amount > 0", "paid"]


def test_resolving_again_changes_nothing(resolve, plugins):
    metrics, _ = resolve("metrics:\n  eu: {extends: revenue, filters: [eu]}\n")
    assert resolve_extends(metrics, {}, plugins) == (metrics, [])


def test_otherwise(resolve):
    metrics, _ = resolve(
        "metrics:\n  a: {extends: new_customers, filters: [web]}\n  b: {extends: new_customers, formula: sum(x)}\n"
    )
    assert filters(metrics["a"].otherwise) == ["first", "web"]
    assert metrics["a"].otherwise.name == "a"
    assert metrics["b"].otherwise is None


def test_kinds(resolve):
    metrics, problems = resolve(
        "metrics:\n  mine: {extends: rfm, scale: 3, time: paid_at, filters: [paid]}\n  other: {extends: rfm, formula: a / b}\n"
    )
    assert problems == []
    mine = metrics["mine"]
    assert (mine.kind, mine.source, mine.time) == ("segments", "orders", None)
    assert {k: o.value for k, o in mine.options.items()} == {"customer": "customer_id", "scale": 3, "time": "paid_at"}
    assert (metrics["other"].kind, metrics["other"].options) == (None, {})


def test_every_problem(resolve):
    metrics, problems = resolve("""metrics:
  a: {extends: revenu}
  b: {extends: b, formula: x}
  c: {extends: d}
  d: {extends: e}
  e: {extends: c}
  f: {extends: rfm, scael: 3, scale: x}
  g: {extends: revenue, wibble: 3}
  h: {extends: a, wibble: 3}
  i: {extends: rfm, formla: x}
  j: {extends: rfm, grain: month}
""")
    assert problems == [
        'kpi.yaml:2:16: metric "a" extends "revenu", and no metric bears that name  (did you mean "revenue"?)',
        'kpi.yaml:3:16: metric "b" extends itself, and the library has no metric of that name',
        'kpi.yaml:4:16: metric "c" extends itself: c → d → e → c',
        'kpi.yaml:7:21: unknown key "scael" in metric "f" of kind "segments"  (did you mean "scale"?)',
        'kpi.yaml:7:38: "scale" of metric "f" of kind "segments" must be a whole number, not "x"',
        'kpi.yaml:8:25: unknown key "wibble" in metric "g"; it takes: source, formula, filters, label, description, '
        "unit, better, owner, tags, kind, extends, parameters, grain, time, fill, target, near, otherwise",
        'kpi.yaml:10:21: unknown key "formla" in metric "i" of kind "segments"; '
        "its options: customer, time, scale, method, bins, steps, as_of",
        'kpi.yaml:11:21: unknown key "grain" in metric "j" of kind "segments"; '
        "its options: customer, time, scale, method, bins, steps, as_of",
    ]
    assert "a" not in metrics
    assert metrics["b"].formula.value == "x"
