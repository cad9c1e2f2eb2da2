"""What tests set up at great cost is set up in one process."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import GROUPS, group_of


def test_groups_are_files_that_there_are() -> None:
    here = Path(__file__).parent
    assert [name for name in GROUPS if len(list(here.rglob(name))) != 1] == []


@pytest.mark.parametrize(
    ("nodeid", "group"),
    [
        ("tests/test_spark.py::test_spark[joins: a, b]", "spark"),
        ("tests/test_export_spark.py::test_the_example_on_spark", "spark"),
        ("tests/test_export_spark.py::test_partitions[spark]", "spark"),
        ("tests/test_export_spark.py::test_partitions[sail]", None),
        ("tests/test_bench.py::test_others_give_the_experts_answers[polars]", "bench"),
        ("tests/dialects/test_expressions.py::test_same_or_refused[spark]", None),
    ],
)
def test_real_spark_runs_in_one(nodeid: str, group: str | None) -> None:
    assert group_of(nodeid) == (group or nodeid)
