"""Which rows a measure sees: the query's period moved, widened, narrowed, its dimensions dropped."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field

from sqlglot import exp

from kpiengine.functions import function_name
from kpiengine.records import dataclass
from kpiengine.spec import MetricSpec
from kpiengine.sqltext import Sql

KIND_SOURCE = "kind:"
"""In front of the name of a kind's table, where that is what a measure aggregates."""


@dataclass(frozen=True)
class Window:
    """Days around a period: `trailing` n units up to its last day, `to_date` from a unit's start, or `running`."""

    function: str
    n: int = 0
    unit: str = ""

    @property
    def name(self) -> str:
        """`trailing_28_day`, `to_date_year`, `running`."""
        return "_".join(str(part) for part in (self.function, self.n, self.unit) if part)

    @property
    def told(self) -> str:
        """`trailing(…, 28, day)`, as a user writes it."""
        return f"{self.function}({', '.join(['…', *([str(self.n)] if self.n else []), self.unit])})"


@dataclass(frozen=True)
class Frame:
    """Which rows a measure sees, relative to a period and a group.

    `shifts` move the period back, first to last; `window` widens it; `edge` keeps its last ("closing") or first
    ("opening") day with rows; `dropped` are names of dimensions that are left out, () for all but the period.
    """

    shifts: tuple[tuple[int, str], ...] = ()
    window: Window | None = None
    edge: str = ""
    dropped: tuple[str, ...] | None = None

    def kept(self, dims: Iterable[str]) -> list[str]:
        """Those of the dimensions, the period aside, that are not dropped."""
        if self.dropped is None:
            return list(dims)
        dropped = {d.lower() for d in self.dropped} | {d.rsplit(".", 1)[-1].lower() for d in self.dropped}
        return [d for d in dims if dropped and d.lower() not in dropped]

    @property
    def looks_around(self) -> bool:
        """Whether it sees days outside the period, so that every period between the first and the last is needed."""
        return bool(self.shifts) or self.window is not None

    @property
    def is_plain(self) -> bool:
        """Whether it sees the period's own rows of the group, wherever the period was moved."""
        return self.window is None and not self.edge and self.dropped is None


PLAIN = Frame()


@dataclass(frozen=True)
class Measure:
    """An aggregate call over the rows of a source that pass `filters`, in a frame. It stands in metric `owner`."""

    source: str
    time: str | None
    filters: tuple[Sql, ...]
    call: Sql
    frame: Frame
    owner: MetricSpec = field(compare=False)
    name: str = field(compare=False, default="")
    is_target: bool = False
    """Whether it sums the rows of the owner's target file, which stands beside the result and adds no row to it."""

    of_library: bool = False
    """Whether a library's metric says it: its distinct count of a source's key is one of rows."""

    @property
    def is_count(self) -> bool:
        """Whether it is 0, and not NULL, where there are no rows."""
        return counts(self.call.tree)


def counts(tree: exp.Expr) -> bool:
    """Whether an aggregate call counts."""
    while isinstance(tree, exp.Filter):
        tree = tree.this
    return isinstance(tree, exp.Count | exp.CountIf | exp.ApproxDistinct) or function_name(tree) == "regr_count"
