"""The KPI library: every promised name is there, says what it is in two languages, and has tests of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpiengine.plugins import installed
from kpiengine.spec.library import read_metrics_package
from kpiengine.spec.specs import TestSpec

FAMILIES = {
    "sales.yaml": "revenue orders buyers aov purchase_frequency",
    "customers.yaml": "new_customers repeat_rate churn_rate returning_revenue_share",
    "value.yaml": "clv customer_lifespan customer_clv clv_cac_ratio cac_payback_months",
    "acquisition.yaml": "cac acquisition_cost cac_fully_loaded cac_paid",
    "rfm.yaml": "rfm",
    "nps.yaml": "nps nps_promoters nps_passives nps_detractors nps_responses nps_low nps_high nps_invalid",
    "csat.yaml": "csat csat_mean csat_responses csat_low csat_high csat_invalid",
    "funnel.yaml": (
        "sales_funnel leads prospects win_rate proforma_to_invoice_rate lead_to_invoice_rate pipeline_velocity"
    ),
    "cohort.yaml": "cohort_retention",
}
PROMISED = {name: file for file, names in FAMILIES.items() for name in names.split()}

METRICS, TESTS, PROBLEMS = read_metrics_package("kpiengine_metrics", "metrics", installed())


def asked(test: TestSpec) -> tuple[str, ...]:
    metrics = test.query["metrics"]
    names = metrics.replace(" ", "").split(",") if isinstance(metrics, str) else metrics
    return tuple(name.partition(".")[0] for name in names)


def test_the_library_has_no_problems() -> None:
    assert [str(problem) for problem in PROBLEMS] == []


@pytest.mark.parametrize("name", PROMISED)
def test_promised_names_are_in_the_file_of_their_family(name: str) -> None:
    assert METRICS[name].place.path == f"kpiengine_metrics/{PROMISED[name]}"


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_says_what_it_is_in_english_and_persian(name: str) -> None:
    metric = METRICS[name]
    for texts in (metric.label, metric.description):
        assert set(texts) == {"en", "fa"}
        assert all(text.strip() for text in texts.values())
        assert any("\u0600" <= letter <= "\u06ff" for letter in texts["fa"])
    assert metric.kind or metric.unit


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_has_a_test_that_expects_a_value_of_it(name: str) -> None:
    tests = [test for test in TESTS if name in asked(test)]
    if METRICS[name].kind:
        assert any(test.expect for test in tests)
    else:
        assert any(row.get(name) is not None for test in tests for row in test.expect)


def test_library_metrics_have_no_grain() -> None:
    assert [name for name, metric in METRICS.items() if metric.grain] == []


@pytest.mark.parametrize("file", FAMILIES)
def test_a_family_names_the_source_of_its_definitions(file: str) -> None:
    text = (Path(__file__).parent.parent / "metrics" / "kpiengine_metrics" / file).read_text(encoding="utf-8")
    comment = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    assert "Definition" in comment
    assert any(str(year) in comment for year in range(1920, 2027))
