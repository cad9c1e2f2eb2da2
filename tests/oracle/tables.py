"""Tables as lists of dicts, joins as a search through them, conditions with three values."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
Path = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """`joins` maps a join's name to the table it leads to (by that table's key) and the own column it starts from."""

    name: str
    rows: list[Row]
    key: str | None = None
    time: str | None = None
    joins: Mapping[str, tuple[str, str]] = field(default_factory=dict)


World = Mapping[str, Table]


def value(world: World, table: Table, row: Row | None, path: Path) -> Any:
    """The value that `path` leads to from a row; NULL where a join finds nothing."""
    if path[0] == table.name and len(path) > 1 and path[0] not in table.joins:
        path = path[1:]
    if row is None:
        return None
    if len(path) == 1:
        return row[path[0]]
    target_name, column = table.joins[path[0]]
    target = world[target_name]
    assert target.key is not None
    found = None
    for other in target.rows:
        if row[column] is not None and other[target.key] == row[column]:
            found = other
    return value(world, target, found, path[1:])


def day_of(table: Table, row: Row) -> dt.date | None:
    """The day of a row's time."""
    at = row[table.time] if table.time else None
    return at.date() if isinstance(at, dt.datetime) else at


@dataclass(frozen=True)
class Compare:
    """path = <> < <= > >= constant."""

    path: Path
    operator: str
    constant: Any

    def holds(self, world: World, table: Table, row: Row) -> bool | None:
        left = value(world, table, row, self.path)
        if left is None:
            return None
        return {
            "=": left == self.constant,
            "<>": left != self.constant,
            "<": left < self.constant,
            "<=": left <= self.constant,
            ">": left > self.constant,
            ">=": left >= self.constant,
        }[self.operator]


@dataclass(frozen=True)
class IsNull:
    """path IS NULL."""

    path: Path

    def holds(self, world: World, table: Table, row: Row) -> bool | None:
        return value(world, table, row, self.path) is None


@dataclass(frozen=True)
class Not:
    """NOT condition."""

    inner: Condition

    def holds(self, world: World, table: Table, row: Row) -> bool | None:
        held = self.inner.holds(world, table, row)
        return None if held is None else not held


@dataclass(frozen=True)
class All:
    """a AND b."""

    left: Condition
    right: Condition

    def holds(self, world: World, table: Table, row: Row) -> bool | None:
        both = (self.left.holds(world, table, row), self.right.holds(world, table, row))
        return False if False in both else None if None in both else True


@dataclass(frozen=True)
class Either:
    """a OR b."""

    left: Condition
    right: Condition

    def holds(self, world: World, table: Table, row: Row) -> bool | None:
        both = (self.left.holds(world, table, row), self.right.holds(world, table, row))
        return True if True in both else None if None in both else False


Condition = Compare | IsNull | Not | All | Either
