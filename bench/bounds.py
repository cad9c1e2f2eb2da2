"""What may not be exceeded: a ratio is beyond its bound where all that the noise of its run allows is beyond it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.measure import Ratio, geometric_mean
from bench.run import Measured

EACH, ALL = 1.05, 1.0
"""One workload, and the geometric mean of all, to the expert's."""


def beyond(name: str, found: Ratio, bound: float) -> list[str]:
    """A complaint, if `found` is beyond `bound` by more than its noise."""
    if found.low <= bound:
        return []
    return [f"{name}: {found.median:.2f} (at least {found.low:.2f}), bound {bound:g}"]


def beyond_expert(measured: Sequence[Measured], what: str = "") -> list[str]:
    """Complaints about workloads, each and together."""
    told = [line for one in measured for line in beyond(one.workload.name + what, one.wall, EACH)]
    return told + _together([one.wall for one in measured], what)


def _together(ratios: Iterable[Ratio], what: str) -> list[str]:
    ratios = list(ratios)
    # The mean of many is as sure as its pairs are many: a mean for each turn, of whatever ran in that turn.
    turns = min(len(one.values) for one in ratios)
    means = Ratio(tuple(geometric_mean([one.values[turn] for one in ratios]) for turn in range(turns)))
    return beyond(f"geometric mean{what}", means, ALL)
