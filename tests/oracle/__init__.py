"""An engine in plain Python loops, told from the language alone: what the real one has to agree with."""

from __future__ import annotations

from .answer import Question, answer
from .formulas import (
    Aggregate,
    Closing,
    Metric,
    Number,
    Opening,
    Operation,
    Per,
    Prior,
    Reference,
    Running,
    ToDate,
    Total,
    Trailing,
)
from .tables import All, Compare, Either, IsNull, Not, Table

__all__ = [
    "Aggregate",
    "All",
    "Closing",
    "Compare",
    "Either",
    "IsNull",
    "Metric",
    "Not",
    "Number",
    "Opening",
    "Operation",
    "Per",
    "Prior",
    "Question",
    "Reference",
    "Running",
    "Table",
    "ToDate",
    "Total",
    "Trailing",
    "answer",
]
