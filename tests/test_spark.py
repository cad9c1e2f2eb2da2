"""A sample of the cases on real Spark: one for each metric function, kind and hard form. Sail runs them all.

The cluster takes half a minute to start and a query a second or two, so not every case is run here.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kpiengine.testing import Case, load_cases, run_case

if TYPE_CHECKING:
    from .servers.connect import SparkConnect

pytestmark = [pytest.mark.slow, pytest.mark.engine]

FOLDER = Path(__file__).parent / "cases"
SAMPLE = {
    "aggregates": ["quantiles are exact and lie between values", "per aggregates twice", "sum of distinct values and count of a condition"],
    "calendars": [
        "ISO weeks across New Year",
        "Jalali months with a look back, a window and a year so far",
        "days are cut in the project's zone, on both sides of the change of clocks",
        "hours on the day that has 23, and on the one that has 25",
    ],
    "formulas": ["first_time looks at all rows, whatever period is shown", "ever holds for all rows of the key", "where in case, and in lists"],
    "joins": ["orphans and NULL keys stay in the NULL group", "composite keys"],
    "keyed": ["texts are compared whatever their case, blanks and keyboard"],
    "kinds": ["the kind's table itself", "members of a funnel as a table, with a condition, an order and a limit", "a cohort of a table with limit per cohort"],
    "multi_source": ["no group is lost on either side, and NULL meets NULL"],
    "names": ["a reserved word and another script"],
    "nulls_and_empty": ["groups of nothing", "a row of nothing but NULL"],
    "query_options": ["totals of each level, and a NULL group beside a dropped dimension", "the best channel of each year"],
    "ratios": ["integers are not divided as integers", "arithmetic and functions outside aggregates"],
    "stock": ["the last day and the first day on which there are rows"],
    "targets": ["fill and targets in periods without rows"],
    "time_functions": [
        "prior month over an empty month",
        "trailing of a sum, a distinct count, a median and a ratio",
        "to date of a month, a quarter and a year",
        "running within groups",
        "total of one dimension",
    ],
    "traps": ["leap days - a year before 29 February is 28 February", "zero denominators - a ratio over nothing is NULL, never infinite"],
    "types": ["dates, times, texts and truths stay what they are", "types of what is made of sums"],
}  # fmt: skip


def sample() -> list[Case]:
    found = [case for topic in SAMPLE for case in load_cases(FOLDER / f"{topic}.yaml") if case.name in SAMPLE[topic]]
    assert len(found) == sum(map(len, SAMPLE.values())), "a case was renamed"
    return found


@pytest.mark.parametrize("case", sample(), ids=str)
def test_spark(case: Case, tmp_path: Path, spark: SparkConnect) -> None:
    run_case(case, spark, tmp_path)
