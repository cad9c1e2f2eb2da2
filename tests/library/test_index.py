"""docs/library/index.md: every KPI of the library, made from the definitions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from sqlglot import exp

from kpiengine.formula import parse_formula
from kpiengine.plugins import installed
from kpiengine.spec import MetricSpec, read_metrics_package
from kpiengine.spec.text import Text
from kpiengine.sqltext import parse_sql

PAGE = Path(__file__).resolve().parents[2] / "docs" / "library" / "index.md"
METRICS, _, _ = read_metrics_package("kpiengine_metrics", "metrics", installed())
TITLES = {
    "sales": "Sales",
    "customers": "Customers",
    "acquisition": "Acquisition cost",
    "value": "Customer value",
    "rfm": "RFM",
    "nps": "NPS",
    "csat": "CSAT",
    "funnel": "Sales funnel and pipeline",
    "cohort": "Cohorts",
}
TOP = """\
# The KPI library

KPIs that are there as soon as your columns are mapped onto the sources that they need
([the sources and their columns](../../metrics/kpiengine_metrics/README.md)). `kpi list` says what each still lacks in a project, `kpi show`
prints its definition and its SQL. This page is made from the definitions; each family has a page with examples.
"""

Needs = dict[str, set[str]]


def needs(metric: MetricSpec) -> Needs:
    """Source → columns that the metric reads, with those of the metrics that it is made of."""
    found: Needs = defaultdict(set)
    if metric.source:
        found[metric.source] |= columns(own_texts(metric)) | ({metric.time} if metric.time else set())
    if metric.formula:
        for reference in parse_formula(metric.formula, metric.name).references():
            for source, names in needs(METRICS[reference.name]).items():
                found[source] |= names
    return found


def own_texts(metric: MetricSpec) -> list[exp.Expr]:
    trees = [parse_sql(text, "filter").tree for text in metric.filters]
    if metric.kind:
        kind = installed().kinds()[metric.kind]
        options = {name: option.default for name, option in kind.options.items()}
        options |= {name: option.value for name, option in metric.options.items()}
        trees += [parse_sql(Text(text), "option").tree for text in kind.inputs(options).values()]
    elif metric.formula:
        trees += [aggregate.sql.tree for aggregate in parse_formula(metric.formula, metric.name).aggregates()]
    return trees


def columns(trees: Iterable[exp.Expr]) -> set[str]:
    return {c.name for tree in trees for c in tree.find_all(exp.Column) if not isinstance(c.this, exp.Star)}


def told(found: Mapping[str, set[str]]) -> str:
    return "; ".join(
        f"`{source}`" + (f" ({', '.join(sorted(names))})" if names else "") for source, names in sorted(found.items())
    )


def index_page() -> str:
    parts = [TOP]
    for family, title in TITLES.items():
        rows = [m for m in METRICS.values() if Path(m.place.path).stem == family]
        parts.append(
            f"## [{title}]({family}.md)\n\n| KPI | English | فارسی | unit | needs |\n| --- | --- | --- | --- | --- |\n"
        )
        parts[-1] += "".join(
            f"| `{m.name}` | {m.label['en']} | {m.label['fa']} | {m.unit or 'a table'} | {told(needs(m))} |\n"
            for m in rows
        )
    return "\n".join(parts)


def test_every_kpi_is_in_the_index(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        PAGE.write_text(index_page(), encoding="utf-8")
    assert PAGE.read_text("utf-8") == index_page()


def test_every_family_has_a_page_that_names_its_kpis() -> None:
    assert {Path(m.place.path).stem for m in METRICS.values()} == set(TITLES)
    for metric in METRICS.values():
        page = PAGE.with_name(f"{Path(metric.place.path).stem}.md")
        assert f"`{metric.name}`" in page.read_text("utf-8"), f"{page.name} says nothing of {metric.name}"
