"""Timing in one process: pairs that alternate, wall and CPU seconds, ratios with the interval that holds them."""

from __future__ import annotations

import gc
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Took:
    """Seconds on the clock, and seconds of all processors in this process."""

    wall: float
    cpu: float


def timed(call: Callable[..., Any], *given: Any) -> tuple[Took, Any]:
    """What a call took, and what it gave."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    found = call(*given)
    return Took(time.perf_counter() - wall, time.process_time() - cpu), found


@dataclass(frozen=True)
class Ratio:
    """Ratios of several pairs.

    `low` and `high` are order statistics: with five pairs the least and the greatest, between which the true median
    lies with a probability of 15/16 whatever the noise is like; with more pairs a narrower couple of at least 15/16.
    """

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        """The median is hardly below this."""
        return sorted(self.values)[self._cut]

    @property
    def high(self) -> float:
        """The median is hardly above this."""
        return sorted(self.values)[-1 - self._cut]

    @property
    def _cut(self) -> int:
        count, below, cut = len(self.values), 0.0, 0
        while cut < (count - 1) // 2:
            below += math.comb(count, cut) / 2**count
            if 2 * (below + math.comb(count, cut + 1) / 2**count) > 1 / 16:
                break
            cut += 1
        return cut

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"


def ratio(over: Sequence[float], under: Sequence[float]) -> Ratio:
    """Pair by pair."""
    return Ratio(tuple(one / other for one, other in zip(over, under, strict=True)))


def geometric_mean(values: Sequence[float]) -> float:
    """The mean of ratios."""
    return math.exp(statistics.fmean(math.log(value) for value in values))


@contextmanager
def environment(**values: str | None) -> Iterator[None]:
    """Variables of the environment, set while the block runs; None takes one away."""
    before = {name: os.environ.get(name) for name in values}
    try:
        for name, value in values.items():
            _put(name, value)
        yield
    finally:
        for name, value in before.items():
            _put(name, value)


def _put(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
