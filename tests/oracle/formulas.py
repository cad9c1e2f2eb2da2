"""Metrics as trees, and how an aggregate is taken over rows."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from .tables import Condition, Path, Row, Table, World, value


@dataclass(frozen=True)
class Per:
    """per(key, aggregate), compared with `more_than` where that is given."""

    key: Path
    inner: Aggregate
    more_than: int | None = None


@dataclass(frozen=True)
class Aggregate:
    """function(path) where condition. A path of None is count(*); a condition as `what` counts as 0 or 1."""

    function: str
    what: Path | Per | Condition | None = None
    where: Condition | None = None


@dataclass(frozen=True)
class Reference:
    name: str


@dataclass(frozen=True)
class Number:
    value: int


@dataclass(frozen=True)
class Operation:
    """left + - / right."""

    operator: str
    left: Formula
    right: Formula


@dataclass(frozen=True)
class Prior:
    inner: Formula
    n: int
    unit: str


@dataclass(frozen=True)
class Trailing:
    inner: Formula
    n: int
    unit: str


@dataclass(frozen=True)
class ToDate:
    inner: Formula
    unit: str


@dataclass(frozen=True)
class Running:
    inner: Formula


@dataclass(frozen=True)
class Total:
    inner: Formula


@dataclass(frozen=True)
class Closing:
    inner: Formula


@dataclass(frozen=True)
class Opening:
    inner: Formula


LooksAround = Prior | Trailing | ToDate | Running
OfTime = LooksAround | Closing | Opening
Formula = Aggregate | Reference | Number | Operation | OfTime | Total


@dataclass(frozen=True)
class Metric:
    name: str
    formula: Formula
    source: str | None = None
    filters: tuple[Condition, ...] = ()


def taken(call: Aggregate, world: World, table: Table, rows: Sequence[Row]) -> Any:
    """The aggregate over these rows."""
    if call.where is not None:
        rows = [row for row in rows if call.where.holds(world, table, row) is True]
    if call.what is None:
        return len(rows)
    if isinstance(call.what, Per):
        return _folded(call.function, _values_per(call.what, world, table, rows))
    if isinstance(call.what, tuple):
        return _folded(call.function, [value(world, table, row, call.what) for row in rows])
    held = [call.what.holds(world, table, row) for row in rows]
    return _folded(call.function, [None if h is None else int(h) for h in held])


def _values_per(per: Per, world: World, table: Table, rows: Sequence[Row]) -> list[Any]:
    by_key: dict[Any, list[Row]] = {}
    for row in rows:
        key = value(world, table, row, per.key)
        if key is not None:
            by_key.setdefault(key, []).append(row)
    values = [taken(per.inner, world, table, group) for group in by_key.values()]
    if per.more_than is None:
        return values
    return [None if v is None else int(v > per.more_than) for v in values]


def _folded(function: str, values: Sequence[Any]) -> Any:
    known = [v for v in values if v is not None]
    if function == "count":
        return len(known)
    if function == "count distinct":
        return len(set(known))
    if not known:
        return None
    match function:
        case "sum":
            return sum(known[1:], known[0])
        case "avg":
            return float(sum(Decimal(v) for v in known) / len(known))
        case "min":
            return min(known)
        case "max":
            return max(known)
    assert function == "median"
    return float(statistics.median(Decimal(v) for v in known))


def operated(operator: str, left: Any, right: Any) -> Any:
    """left operator right: NULL where one is, a division by 0 included; never integer division."""
    if left is None or right is None:
        return None
    if isinstance(left, float) != isinstance(right, float):
        left, right = float(left), float(right)
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
    return None if right == 0 else float(left) / float(right)
