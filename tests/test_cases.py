"""Every YAML case, on DuckDB with plans as they are made and as all passes leave them, and on Sail after all passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kpiengine.testing import Case, DuckDb, Golden, load_cases, run_case

if TYPE_CHECKING:
    from .servers.connect import SparkConnect

FOLDER = Path(__file__).parent / "cases"
CASES = [case for path in sorted(FOLDER.glob("*.yaml")) for case in load_cases(path)]


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """No case is asked twice; tests/test_compiled.py asks for what was kept."""
    monkeypatch.setenv("KPI_CACHE", "off")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_duckdb(case: Case, tmp_path: Path, golden: Golden) -> None:
    if "duckdb" in case.not_on:
        pytest.skip(case.not_on["duckdb"])
    run_case(case, DuckDb(), tmp_path, golden)


@pytest.mark.parametrize("case", [c for c in CASES if c.error is None], ids=str)
def test_duckdb_after_all_passes(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_PASSES", "always")
    run_case(replace(case, golden=False), DuckDb(), tmp_path)


# An error has nothing to do with the engine, unless it is one of the data.
@pytest.mark.engine
@pytest.mark.parametrize("case", [c for c in CASES if c.error is None], ids=str)
def test_sail(case: Case, tmp_path: Path, sail: SparkConnect, monkeypatch: pytest.MonkeyPatch) -> None:
    if "sail" in case.not_on:
        pytest.skip(case.not_on["sail"])
    # Sail refuses a step with two sums of one name, as `fold` makes them where it would not pay.
    monkeypatch.setenv("KPI_PASSES", "always -fold")
    run_case(case, sail, tmp_path)


def test_no_golden_file_is_left_over() -> None:
    wanted = {(case.topic, f"{case.slug}.sql") for case in CASES if case.golden}
    found = {(path.parent.name, path.name) for path in FOLDER.glob("golden/*/*.sql")}
    assert found == wanted
