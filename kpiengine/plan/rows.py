"""The rows of one source with all that a query looks at: own columns, columns along joins, kinds, keyed values.

Binding comes first: each name is asked for once and gets a column of these rows. What was asked for decides which
steps there are: the scan alone, or the scan joined with what it needs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, replace
from typing import TYPE_CHECKING

from sqlglot import exp

from kpiengine.calendar import PERIODS
from kpiengine.errors import Problem
from kpiengine.formula import safe_divisions
from kpiengine.functions import KEYED_FUNCTIONS, OVERALL, function_name, is_aggregate
from kpiengine.model.paths import OutOfReach
from kpiengine.model.source import Column, Source, identifier, quoted
from kpiengine.plan.expressions import both_equal, day_of, period_of, renamed
from kpiengine.plan.simpler import computed, of_numbers
from kpiengine.plan.steps import Aggregate, KeyCheck, Link, Named, Select, Step
from kpiengine.records import dataclass
from kpiengine.spec import JoinSpec
from kpiengine.sqltext import Sql
from kpiengine.statistics import Bounds

if TYPE_CHECKING:
    from kpiengine.plan.scans import Workspace


@dataclass
class _Linked:
    link: Link
    columns: dict[str, str] = field(default_factory=dict)  # column of the link → column of the rows


class Rows:
    """The rows of `source`. `name` is the step that joins, where one is needed."""

    def __init__(self, space: Workspace, source: Source, name: str | None = None) -> None:
        self.space = space
        self.source = source
        self.types: dict[str, str] = {}
        self.origins: dict[str, tuple[str, str]] = {}
        """Column of these rows → the source and the column that it is, for those that are one."""
        self._name = name or f"{source.name}_joined"
        self._own: dict[str, str] = {}
        self._links: dict[str, _Linked] = {}
        self._keyed: dict[tuple[str, ...], str] = {}

    @property
    def step(self) -> str:
        """The name of the step that holds these rows. Final once all binding is done."""
        return self._name if self._links else self.space.scan_name(self.source.name)

    def steps(self) -> list[Step]:
        """The joining step, where one is needed; the scans are the workspace's."""
        if not self._links:
            return []
        scan = self.space.scan_name(self.source.name)
        columns = [Named(name, exp.column(identifier(name), table=scan, copy=False)) for name in self._own.values()]
        for alias, linked in self._links.items():
            columns += [Named(n, exp.column(identifier(c), table=alias, copy=False)) for c, n in linked.columns.items()]
        return [Select(self._name, scan, tuple(columns), tuple(x.link for x in self._links.values()))]

    # -- names -> columns

    def own(self, column: Column) -> exp.Column:
        """A column of the source itself."""
        if column.name not in self._own:
            self.space.need(self.source, column)
            self._own[column.name] = column.name
            self.types[column.name] = column.type
            if not self.space.is_kind(self.source):
                self.origins[column.name] = (self.source.name, column.name)
        return quoted(column.name)

    def find(self, parts: tuple[str, ...]) -> exp.Column:
        """The column that `parts` name: own, along joins, or a kind's. Raises OutOfReach."""
        kind = self._kind_column(parts)
        if kind is not None:
            return kind
        path = self.space.model.path(self.source, parts)
        if not path.hops:
            return self.own(path.column)
        alias = self._join(path.hops)
        self.space.need(path.source, path.column)
        found = self._linked(alias, path.column.name, path.column.type)
        self.origins[found.name] = (path.source.name, path.column.name)
        return found

    def is_key(self, name: str) -> bool:
        """Whether a column of these rows is the source's own key, all of it: no two rows have one value of it."""
        key = self.source.spec.key
        found = self.source.find(key[0]) if len(key) == 1 else None
        return found is not None and name in self._own and self.origins.get(name) == (self.source.name, found.name)

    def bounds(self, name: str) -> Bounds | None:
        """What is proven of the values of a column of these rows."""
        if name not in self.origins:
            return None
        found = self.space.known.bounds(*self.origins[name])
        return found if found is None or name in self._own else replace(found, nulls=True)

    def _linked(self, alias: str, column: str, kind: str) -> exp.Column:
        columns = self._links[alias].columns
        if column not in columns:
            taken = {*self._own.values(), *(c.name for c in self.source.columns.values()), *self.types}
            name = f"{alias}_{column}"
            while name in taken:
                name += "_"
            columns[column] = name
            self.types[name] = kind
        return quoted(columns[column])

    def _join(self, hops: tuple[JoinSpec, ...]) -> str:
        """The alias of the source at the end of these joins, linking each on the way once."""
        here, alias = self.source, ""
        for hop in hops:
            before, alias = alias, f"{alias}_{hop.name}" if alias else hop.name
            target = self.space.model.source(hop.to)
            if alias not in self._links:
                self._links[alias] = _Linked(self._link(hop, here, before, target, alias))
            here = target
        return alias

    def _link(self, hop: JoinSpec, here: Source, before: str, target: Source, alias: str) -> Link:
        keys = self.space.join_key(hop, here, target)
        scan = self.space.scan_name(target.name)
        left_table = before or self.space.scan_name(here.name)
        on: list[exp.Expr] = []
        for left, right in keys:
            if before:
                self.space.need(here, left)
            else:
                self.own(left)
            self.space.need(target, right)
            on.append(
                exp.EQ(
                    this=exp.column(identifier(left.name), table=left_table, copy=False),
                    expression=exp.column(identifier(right.name), table=alias, copy=False),
                )
            )
        self.space.check(KeyCheck(scan, target.name, tuple(right.name for _, right in keys), here.name))
        return Link(scan, alias, tuple(on))

    def _kind_column(self, parts: tuple[str, ...]) -> exp.Column | None:
        """The column of a kind's table, which is linked by its entity; None where `parts` name no kind."""
        ways = (self.source.name.lower(), *(j.lower() for j in self.source.spec.joins))
        if len(parts) < 2 or parts[0].lower() in ways:
            return None
        table = self.space.kind_table(".".join(parts[:-1]))
        if table is None:
            return None
        own = self.source.find(table.entity)
        told = ".".join(parts[:-1])
        if own is None:
            why = f'"{told}" has one row per {table.entity}; {self.source.lacks(table.entity)}'
            raise OutOfReach(f'"{".".join(parts)}" is out of reach of source "{self.source.name}"', why)
        column = table.find(parts[-1])
        alias = told.replace(".", "_").lower()
        if alias not in self._links:
            left = exp.column(identifier(self.own(own).name), table=self.space.scan_name(self.source.name), copy=False)
            right = exp.column(identifier(table.entity), table=alias, copy=False)
            self._links[alias] = _Linked(Link(table.step, alias, (exp.EQ(this=left, expression=right),)))
        return self._linked(alias, column.name, column.type)

    def time(self, name: str | None) -> tuple[exp.Expr, str] | None:
        """The time axis (the source's, or the column `name`) and its type, or None where there is none."""
        wanted = name or self.source.spec.time
        if wanted is None:
            return None
        column = self.source.find(wanted)
        if column is None:
            raise OutOfReach(f'unknown column "{wanted}"', self.source.lacks(wanted))
        return self.own(column), column.type

    def day(self, time: str | None) -> exp.Expr | None:
        """The day (DATE, in the project's time zone) of the time axis."""
        found = self.time(time)
        return None if found is None else day_of(*found, self.space.timezone)

    def period(self, unit: str, time: str | None) -> exp.Expr | None:
        """The first day (or hour) of the period that a row lies in."""
        found = self.time(time)
        return None if found is None else period_of(*found, unit, self.space.timezone, self.space.calendar)

    # -- trees -> trees over these rows

    def bind(self, sql: Sql, what: str, time: str | None, problems: list[Problem]) -> exp.Expr:
        """`sql` with its names replaced by columns of these rows. What cannot be reached goes to `problems`."""

        def named(node: exp.Column) -> exp.Expr:
            parts = tuple(p.name for p in node.parts)
            try:
                if len(parts) == 1 and self.source.find(parts[0]) is None and parts[0].lower() in PERIODS:
                    period = self.period(parts[0].lower(), time)
                    if period is not None:
                        return period
                return self.find(parts)
            except OutOfReach as out:
                problems.append(sql.problem(out.within(what), node))
                return exp.null()

        def keyed(node: exp.Expr) -> exp.Expr:
            return self._keyed_value(node, sql, what, time, problems)

        return of_numbers(computed(safe_divisions(_bound(sql.tree, named, keyed))), self.types)

    filters_of_keyed: tuple[Sql, ...] = ()
    """Filters of the metric being bound: what a keyed function's rows have to pass."""

    def _keyed_value(self, node: exp.Expr, sql: Sql, what: str, time: str | None, problems: list[Problem]) -> exp.Expr:
        """A keyed function, as `ever(key, condition)`: grouped by key over all rows, and linked by it."""
        function = function_name(node)
        arguments = list(node.expressions)
        wrong = len(arguments) not in ((1, 2) if function == "first_time" else (2,))
        wrong = wrong or (function == OVERALL and not is_aggregate(arguments[1]))
        if wrong or not isinstance(arguments[0], exp.Column):
            problems.append(sql.problem(f"{what}: {function}() is written {KEYED_FUNCTIONS[function]}", node))
            return exp.null()
        marks = (function, str(time), node.sql(), *(f.tree.sql() for f in self.filters_of_keyed))
        if marks not in self._keyed:
            self._keyed[marks] = self._link_keyed(node, Sql(sql.tree, sql.text), what, time, problems)
        return quoted(self._keyed[marks])

    def _link_keyed(self, node: exp.Expr, sql: Sql, what: str, time: str | None, problems: list[Problem]) -> str:
        function, arguments = function_name(node), list(node.expressions)
        name = self.space.unique(f"{self.source.name}_{function}_by_{arguments[0].name}".lower())
        inner = Rows(self.space, self.source, self.space.unique(f"{name}_rows"))
        filters = [inner.bind(f, what, time, problems) for f in self.filters_of_keyed]
        filters += inner.as_of_filters(time)
        key = inner.bind(Sql(arguments[0], sql.text), what, time, problems)
        condition = inner.bind(Sql(arguments[1], sql.text), what, time, problems) if len(arguments) > 1 else None
        value, kind = inner.keyed_measure(function, condition, time)
        if problems:
            return "missing"
        if value is None:
            problems.append(
                sql.problem(f'{what}: {function}() needs a time, and source "{self.source.name}" has none', node)
            )
            return "missing"
        filters.append(exp.Not(this=exp.Is(this=key.copy(), expression=exp.null())))
        self.space.later(
            lambda: [
                *inner.steps(),
                Aggregate(name, inner.step, (Named("key", key),), (Named(function, value),), tuple(filters)),
            ]
        )
        left = self.bind(Sql(arguments[0], sql.text), what, time, problems)
        scan = self.space.scan_name(self.source.name)
        on = exp.EQ(
            this=renamed(left, lambda c: exp.column(c.this.copy(), table=scan)),
            expression=exp.column("key", table=name),
        )
        self._links[name] = _Linked(Link(name, name, (on,)))
        return self._linked(name, function, kind).name

    def keyed_measure(self, function: str, condition: exp.Expr | None, time: str | None) -> tuple[exp.Expr | None, str]:
        """The aggregate behind a keyed function, and its type."""
        if function == "ever":
            held = exp.Case(ifs=[exp.If(this=condition, true=exp.Literal.number(1))], default=exp.Literal.number(0))
            return exp.EQ(this=exp.Max(this=held), expression=exp.Literal.number(1)), "BOOLEAN"
        if function == OVERALL:
            return self._typed(condition)
        found = self.time(time)
        if found is None:
            return None, ""
        earliest: exp.Expr = exp.Min(this=found[0])
        if condition is not None:
            earliest = exp.Filter(this=earliest, expression=exp.Where(this=condition))
        return earliest, found[1]

    def _typed(self, tree: exp.Expr | None) -> tuple[exp.Expr, str]:
        """An aggregate call and its type: sums of integers are BIGINT."""
        assert tree is not None
        kind = self.space.model.catalog.types(self.types, [tree])[0]
        return (exp.cast(tree, "BIGINT"), "BIGINT") if kind == "HUGEINT" else (tree, kind)

    def as_of_filters(self, time: str | None) -> list[exp.Expr]:
        """Conditions that leave out rows later than the query's `as_of`; rows without a time stay."""
        as_of = self.space.as_of
        day = self.day(time) if as_of is not None else None
        if as_of is None or day is None:
            return []
        late = exp.LTE(this=day, expression=exp.cast(exp.Literal.string(as_of.isoformat()), "DATE"))
        return [exp.paren(exp.or_(late, exp.Is(this=day.copy(), expression=exp.null())), copy=False)]


def _bound(
    tree: exp.Expr,
    named: Callable[[exp.Column], exp.Expr],
    keyed: Callable[[exp.Expr], exp.Expr],
) -> exp.Expr:
    """A copy of `tree` with columns replaced by `named` and calls of keyed functions by `keyed`, from the root down.

    It does not know where it stands in a file: what is wrong with its names is told by now, and whatever is made of it
    would carry its places along.
    """

    def replacement(node: exp.Expr) -> exp.Expr | None:
        if isinstance(node, exp.Column) and not isinstance(node.this, exp.Star):
            return named(node)
        if function_name(node) in KEYED_FUNCTIONS:
            return keyed(node)
        return None

    root = tree.copy()
    new = replacement(root)
    if new is not None:
        return new
    waiting = [root]
    while waiting:
        for child in list(waiting.pop().iter_expressions()):
            new = replacement(child)
            if new is None:
                waiting.append(child)
            else:
                child.replace(new.copy())
    for node in root.walk():
        node._meta = None
    return root


__all__ = ["Rows", "both_equal"]
