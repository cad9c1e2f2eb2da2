"""What is known of a source's rows before any is read, for choosing among forms that give the same answer.

A bound is proven: it is what the files said of themselves when the plan was made. Files may change between then and
the query, or lie, so a form that stands on a bound has to fail loudly on a value outside of it, and never be wrong.
A number of distinct values is an estimate, good for telling what pays and for nothing else.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Protocol

from kpiengine.records import dataclass

Value = int | Decimal | dt.date | dt.datetime


@dataclass(frozen=True)
class Bounds:
    """Every value of a column lies from `low` to `high`, both included; `nulls` says whether it may be NULL too.

    Integers are `int`, DECIMAL is `Decimal`, DATE `date`, TIMESTAMP `datetime`, with UTC where it has a time zone.
    Both are None where there is no value at all.
    """

    low: Value | None
    high: Value | None
    nulls: bool = True

    def whole_numbers(self) -> tuple[int, int] | None:
        """The bounds of a column of integers; None for any other column, or one without values."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return self.low, self.high
        return None


class Statistics(Protocol):
    """Answers by the names of a project's sources and of their columns as metrics name them; None: not known."""

    def rows(self, source: str) -> int | None:
        """How many rows the source has; its filters may leave fewer."""

    def bounds(self, source: str, column: str) -> Bounds | None:
        """The bounds of a column. Proven."""

    def distinct(self, source: str, column: str) -> int | None:
        """About how many values a column has."""


class NothingKnown:
    """The statistics of sources that tell nothing."""

    def rows(self, source: str) -> int | None:
        """None."""
        return None

    def bounds(self, source: str, column: str) -> Bounds | None:
        """None."""
        return None

    def distinct(self, source: str, column: str) -> int | None:
        """None."""
        return None
