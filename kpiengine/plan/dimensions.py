"""What a query is asked by: periods and columns, with the names that they have in the result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kpiengine.calendar import PERIODS
from kpiengine.errors import UsageError
from kpiengine.records import dataclass
from kpiengine.sqltext import parse_condition


@dataclass(frozen=True)
class Dimension:
    """A period (`unit` set) or a column (`parts`, as in customers.channel), and its name in the result."""

    name: str
    unit: str = ""
    parts: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """As a user writes it."""
        return self.unit or ".".join(self.parts)


def read_dimensions(names: Sequence[str]) -> tuple[Dimension, ...]:
    """The dimensions that `--by` names. Each bears its last part, or its whole path where two would clash."""
    parts = list({tuple(part.lower() for part in path): path for path in map(_parts, names)}.values())
    last = Counter(p[-1].lower() for p in parts)
    found: list[Dimension] = []
    for path in parts:
        if len(path) == 1 and path[0].lower() in PERIODS:
            found.append(Dimension(path[0].lower(), unit=path[0].lower()))
            continue
        clash = last[path[-1].lower()] > 1 or path[-1].lower() in PERIODS
        found.append(Dimension("_".join(path) if clash else path[-1], parts=path))
    return tuple(found)


def _parts(name: str) -> tuple[str, ...]:
    """`customers."Sales Channel"` → its parts."""
    from sqlglot import exp

    stripped = name.strip()
    if stripped.replace(".", "").replace("_", "").isalnum():
        return tuple(stripped.split("."))
    if not any(mark in stripped for mark in '"().'):
        return (stripped,)
    tree = parse_condition(stripped, "--by").tree
    if not isinstance(tree, exp.Column):
        raise UsageError(f"--by takes a period or a column, not the expression {stripped}: map it under columns: first")
    return tuple(part.name for part in tree.parts)


def finest_period(dimensions: Sequence[Dimension]) -> str | None:
    """The finest of the periods where all nest in each other, else None (a week lies in no month)."""
    units = {d.unit for d in dimensions if d.unit}
    if not units:
        return None
    finest = min(units, key=PERIODS.index)
    return None if finest == "week" and len(units) > 1 else finest
