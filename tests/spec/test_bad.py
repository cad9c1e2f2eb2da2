"""One bad file (or project) per case, and beside it every problem that has to be told."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kpiengine.spec import read_project

BAD = Path(__file__).parent / "bad"
CASES = sorted({path.stem for path in BAD.iterdir()})


@pytest.mark.parametrize("case", CASES)
def test_every_problem_is_told(case, tmp_path, plugins, monkeypatch, request):
    monkeypatch.delenv("KPI_TEST_UNSET", raising=False)
    if (BAD / case).is_dir():
        shutil.copytree(BAD / case, tmp_path, dirs_exist_ok=True)
    else:
        shutil.copy(BAD / f"{case}.yaml", tmp_path / "kpi.yaml")
    _, problems = read_project(tmp_path, plugins)
    told = "".join(f"{problem}\n" for problem in problems)
    expected = BAD / f"{case}.txt"
    if request.config.getoption("--update-golden"):
        expected.write_text(told, encoding="utf-8")
    assert told == expected.read_text(encoding="utf-8")
    assert told, "a bad file has a problem"


def test_a_missing_kpi_yaml_is_a_problem(tmp_path, plugins):
    _, problems = read_project(tmp_path, plugins)
    assert [str(p) for p in problems] == ["kpi.yaml: cannot be read: No such file or directory"]


def test_a_deeply_nested_file_is_refused(read):
    _, problems = read("name: " + "[" * 50_000 + "]" * 50_000)
    assert problems == ["kpi.yaml:1:106: nested deeper than 100 levels"]
