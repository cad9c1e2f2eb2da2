"""What the steps of one plan share: scans (one per source, whoever reads it), names, checks, kinds' tables."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Protocol

from sqlglot import exp

from kpiengine.calendar import Calendar
from kpiengine.errors import DataError, listing, suggest
from kpiengine.model import Column, Model, OutOfReach, Source
from kpiengine.plan.frames import KIND_SOURCE
from kpiengine.plan.steps import KeyCheck, Named, Scan, Step
from kpiengine.records import dataclass
from kpiengine.spec import JoinSpec, SourceSpec
from kpiengine.statistics import Statistics


@dataclass(frozen=True)
class KindTableStep:
    """A kind's table as a step: its name, its entity's column, and its columns with their types."""

    step: str
    entity: str
    columns: tuple[Column, ...]

    def find(self, name: str) -> Column:
        """The column of that name. Raises OutOfReach."""
        for column in self.columns:
            if column.name.lower() == name.lower():
                return column
        names = [c.name for c in self.columns]
        raise OutOfReach(f'unknown column "{name}"', f'"{self.step}" has: {listing(names)}{suggest(name, names)}')


class KindPlanner(Protocol):
    """Plans a kind's table as steps of the workspace; None where the name is no kind's."""

    known: Statistics
    """What is known of the sources."""

    def __call__(self, space: Workspace, name: str) -> KindTableStep | None:
        """The step with the table of that name."""


class Workspace:
    """The steps of one plan in the making.

    Binding runs first and calls `need`, `check`, `later`; `scans` and the deferred steps are made when it is over,
    so that a scan reads just what somebody asked for.
    """

    def __init__(self, model: Model, timezone: str, as_of: dt.date | None, kinds: KindPlanner) -> None:
        self.model = model
        self.known = kinds.known
        self.timezone = timezone
        self.as_of = as_of
        self._kinds = kinds
        self._needed: dict[str, dict[str, Column]] = {}
        self._checks: dict[KeyCheck, None] = {}
        self._names: set[str] = set()
        self._later: list[Callable[[], list[Step]]] = []
        self._tables: dict[str, str] = {}
        self._kind_tables: dict[str, KindTableStep | None] = {}

    @property
    def calendar(self) -> Calendar:
        """The project's calendar."""
        return self.model.calendar

    def scan_name(self, source: str) -> str:
        """The name of the step that reads a source."""
        return self._tables.get(source, f"{source}_rows")

    def source(self, name: str) -> Source:
        """A source of the project, or (`kind:rfm`) a kind's table in the place of one."""
        if not name.startswith(KIND_SOURCE):
            found = self.model.source(name)
            self._needed.setdefault(found.name, {})
            return found
        told = name.removeprefix(KIND_SOURCE)
        table = self.kind_table(told)
        kind = self.model.kind_table(told)
        assert table is not None and kind is not None
        base = self.model.source_of(self.model.metric(kind.metric))
        joins = {n: j for n, j in base.spec.joins.items() if j.on == (table.entity,)}
        spec = SourceSpec(told, "", {}, key=(table.entity,), joins=joins, place=base.spec.place)
        self._tables[told] = table.step
        return Source(spec, {c.name.lower(): c for c in table.columns})

    def is_kind(self, source: Source) -> bool:
        """Whether it is a kind's table in the place of a source."""
        return source.name in self._tables

    def need(self, source: Source, column: Column) -> None:
        """Says that the scan of `source` has to give `column`. A kind's table has all its columns."""
        if self.is_kind(source):
            return
        self._needed.setdefault(source.name, {}).setdefault(column.name, column)

    def check(self, check: KeyCheck) -> None:
        """Says that a joined key has to be unique."""
        self._checks.setdefault(check)

    def checks(self) -> tuple[KeyCheck, ...]:
        """What has to hold before the result is believed."""
        return tuple(self._checks)

    def later(self, make: Callable[[], list[Step]]) -> None:
        """Adds steps that stand between the scans and the aggregates, made when binding is over."""
        self._later.append(make)

    def unique(self, name: str, *derived: str) -> str:
        """`name`, with a number behind it where a step of that name is there already, or of it with an ending that
        steps `derived` from it have (`_days`). Those names are taken with it."""
        plain = re.sub(r"\W+", "_", name).lower()
        found, n = plain, 2
        while any(found + ending in self._names for ending in ("", *derived)):
            found, n = f"{plain}_{n}", n + 1
        self._names.update(found + ending for ending in ("", *derived))
        return found

    def join_key(self, join: JoinSpec, here: Source, target: Source) -> list[tuple[Column, Column]]:
        """The columns that meet: of `here`, and of the key of `target`. Raises OutOfReach."""
        head = f'join "{join.name}" of source "{here.name}"'
        if not target.spec.key:
            raise OutOfReach(head, f'source "{target.name}" has no key: add key: to it')
        if len(join.on) != len(target.spec.key):
            raise OutOfReach(
                head, f'it names {len(join.on)} columns, and the key of "{target.name}" has {len(target.spec.key)}'
            )
        pairs: list[tuple[Column, Column]] = []
        for left_name, right_name in zip(join.on, target.spec.key, strict=True):
            left, right = here.find(left_name), target.find(right_name)
            if left is None or right is None:
                missing = here.lacks(left_name) if left is None else target.lacks(right_name)
                raise OutOfReach(head, missing)
            if family(left.type) != family(right.type):
                raise DataError(
                    f'{head} compares "{left.name}" ({left.type}) with "{target.name}.{right.name}" ({right.type}):'
                    f" cast one of them under columns, as in {left.name}: cast({left.name} as {right.type.lower()})"
                )
            pairs.append((left, right))
        return pairs

    def kind_table(self, name: str) -> KindTableStep | None:
        """The step with the table of a kind (`rfm`, `sales_funnel.members`), planned once; None for no kind."""
        key = name.lower()
        if key not in self._kind_tables:
            self._kind_tables[key] = self._kinds(self, name)
        return self._kind_tables[key]

    def shared_steps(self) -> list[Step]:
        """The scans, and all that was added with `later`, in an order in which each reads earlier steps only."""
        deferred: list[Step] = []
        for make in self._later:
            deferred += make()
        scans: list[Step] = [self._scan(name) for name in self._needed]
        return [*scans, *deferred]

    def _scan(self, name: str) -> Scan:
        source = self.model.source(name)
        columns = self._needed[name] or {c.name: c for c in list(source.columns.values())[:1]}
        named = tuple(Named(c.name, c.expression.copy()) for c in columns.values())
        return Scan(self.scan_name(name), name, named, tuple(self._over_raw(source, f.tree) for f in source.filters))

    def _over_raw(self, source: Source, tree: exp.Expr) -> exp.Expr:
        """A source's filter, which names its columns, over the raw columns that a scan reads."""

        def raw(node: exp.Expr) -> exp.Expr:
            column = source.find(node.name) if isinstance(node, exp.Column) else None
            if column is None or column.is_raw:
                return node
            whole = column.expression.copy()
            return exp.paren(whole, copy=False) if isinstance(whole, exp.Binary | exp.Unary) else whole

        return tree.transform(raw)

    def sources(self) -> tuple[str, ...]:
        """The names of the sources that are read."""
        return tuple(self._needed)


_FAMILIES = (
    (("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT",
      "FLOAT", "DOUBLE", "DECIMAL"), "number"),
    (("VARCHAR", "ENUM", "UUID"), "text"),
    (("DATE", "TIMESTAMP"), "time"),
)  # fmt: skip


def family(kind: str) -> str:
    """Types of one family can be compared: "number", "text", "time", or the type itself."""
    for starts, name in _FAMILIES:
        if kind.startswith(starts):
            return name
    return kind
