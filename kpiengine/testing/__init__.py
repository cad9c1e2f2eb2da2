"""Test tools for whoever writes metrics, connectors, kinds or engines: YAML cases, and engines that run them.

    from kpiengine.testing import DuckDb, load_cases, run_case

    @pytest.mark.parametrize("case", load_cases("tests/cases/refunds.yaml"), ids=str)
    def test_refunds(case, tmp_path):
        run_case(case, DuckDb(), tmp_path)

`kpiengine.testing.cases` says what a case file holds.
"""

from __future__ import annotations

from kpiengine.testing.cases import Case, CaseError, load_cases
from kpiengine.testing.compare import difference, same_value
from kpiengine.testing.engines import CaseEngine, DuckDb, OnEngine
from kpiengine.testing.golden import Golden
from kpiengine.testing.runner import run_case

__all__ = [
    "Case",
    "CaseEngine",
    "CaseError",
    "DuckDb",
    "Golden",
    "OnEngine",
    "difference",
    "load_cases",
    "run_case",
    "same_value",
]
