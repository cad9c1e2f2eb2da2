"""Every test that the KPI library brings holds, over sources of the standard names."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpiengine.metrictest import TestResult
from kpiengine.plugins import installed
from kpiengine.project import Project
from kpiengine.spec import ProjectSpec, TestSpec, read_metrics_package

_, TESTS, _ = read_metrics_package("kpiengine_metrics", "metrics", installed())


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TestResult]:
    """The results by place. The project has no sources, no metrics, and an empty folder."""
    with Project(ProjectSpec(str(tmp_path_factory.mktemp("empty"))), installed()) as project:
        return {str(result.place): result for result in project.test(library=True)}


@pytest.mark.parametrize("test", TESTS, ids=lambda test: f"{Path(test.place.path).stem}: {test.name}")
def test_library(test: TestSpec, results: dict[str, TestResult]) -> None:
    result = results[str(test.place)]
    assert result.passed, result.message


def test_all_tests_ran(results: dict[str, TestResult]) -> None:
    assert len(results) == len(TESTS) > 20
