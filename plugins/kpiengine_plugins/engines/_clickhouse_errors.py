"""What ClickHouse says, in a user's words."""

from __future__ import annotations

import re

from kpiengine.errors import DataError, EngineError, KpiError

_CODE = re.compile(r"Code: (\d+)\.\s+DB::Exception: (.*)", re.DOTALL)
# Values that a type has no room for, that cannot be parsed, divisions by zero; no such table.
_OF_VALUES = frozenset({6, 27, 38, 41, 53, 69, 70, 72, 153, 321, 349, 407, 439})
_NO_TABLE = frozenset({60, 81})


def failure(message: str, what: str) -> KpiError:
    """The error of a statement: DataError where a value or a table's name is at fault. `what` is told before."""
    found = _CODE.search(message)
    code = int(found[1]) if found else 0
    before = f"ClickHouse: {what}: " if what else "ClickHouse: "
    return (DataError if code in _OF_VALUES | _NO_TABLE else EngineError)(before + reason(message))


def reason(message: str) -> str:
    """The sentence that tells what is wrong, without where in ClickHouse's own pipeline."""
    found = _CODE.search(message)
    told = found[2] if found else message
    return re.split(r":? (?=In scope )|: while executing|\. \([A-Z_]+\)|\n| \(for url ", told)[0].strip().rstrip(".")


def parameter(value: str) -> str:
    """A text as the value of a statement's parameter is written."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
