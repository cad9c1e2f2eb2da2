"""Aggregate calls bound to rows: typed, conditions counted as 0 or 1, taken in two levels where they say per().

Types follow one rule on every engine: sums of integers are BIGINT, averages and quantiles DOUBLE.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from kpiengine.errors import Problem
from kpiengine.functions import PER, function_name
from kpiengine.model import TypeFault
from kpiengine.plan.expressions import all_of, column, with_filter
from kpiengine.plan.frames import Measure
from kpiengine.plan.rows import Rows
from kpiengine.records import dataclass
from kpiengine.sqltext import Sql

VALUE = "value"
_TRUTH = (exp.Predicate, exp.Connector, exp.Not, exp.Boolean)
_NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
            "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL")  # fmt: skip
_IN_DOUBLE = (
    exp.Avg,
    exp.Median,
    exp.PercentileCont,
    exp.Quantile,
    exp.Stddev,
    exp.StddevPop,
    exp.StddevSamp,
    exp.Variance,
    exp.VariancePop,
)


@dataclass(frozen=True)
class Per:
    """The inner level of an aggregate: rows grouped by `keys` too, with the calls whose values the outer level sees
    as columns `value_1`, …. The inner calls may be of two levels themselves."""

    keys: tuple[exp.Expr, ...]
    calls: tuple[BoundCall, ...]


@dataclass(frozen=True)
class BoundCall:
    """An aggregate call over a step's columns, of the given DuckDB type. `filters` are all that its rows have to pass.

    With `per`, `tree` is over the values of the inner level.
    """

    tree: exp.Expr
    type: str
    filters: tuple[exp.Expr, ...] = ()
    per: Per | None = None


def bind_call(measure: Measure, rows: Rows, filters: Sequence[exp.Expr], problems: list[Problem]) -> BoundCall:
    """The measure's call over `rows`. What is wrong with it goes to `problems`."""
    return _Binder(measure, rows, problems).call(measure.call.tree, tuple(filters))


class _Binder:
    def __init__(self, measure: Measure, rows: Rows, problems: list[Problem]) -> None:
        self.measure = measure
        self.rows = rows
        self.problems = problems
        self.what = f'formula of "{measure.owner.name}"'

    def call(self, tree: exp.Expr, filters: tuple[exp.Expr, ...]) -> BoundCall:
        pers = [n for n in tree.find_all(exp.Anonymous) if function_name(n) == PER]
        pers = [n for n in pers if not _inside(n, pers)]
        if pers:
            return self.two_levels(tree, pers, filters)
        bound = self.keys_counted(self.bind(tree))
        return self.typed(bound, self.rows.types, filters, None)

    def bind(self, tree: exp.Expr) -> exp.Expr:
        return self.rows.bind(Sql(tree, self.measure.call.text), self.what, self.measure.time, self.problems)

    def keys_counted(self, tree: exp.Expr) -> exp.Expr:
        """A library metric's count(distinct key) → count(*) where it is the source's own key, as `orders` promises.

        In a project's own formula `distinct` is meant as it is written.
        """
        if not self.measure.of_library:
            return tree
        for node in list(tree.find_all(exp.Count)):
            told = node.this.expressions if isinstance(node.this, exp.Distinct) else []
            if len(told) == 1 and isinstance(told[0], exp.Column) and self.rows.is_key(told[0].name):
                node.set("this", exp.Star())
        return tree

    def two_levels(self, tree: exp.Expr, pers: list[exp.Anonymous], filters: tuple[exp.Expr, ...]) -> BoundCall:
        outer = tree.copy()
        own: tuple[exp.Expr, ...] = ()
        if isinstance(outer, exp.Filter):  # rows that the call itself leaves out are left out below
            own = (self.bind(outer.expression.this),)
            self.check_conditions(own, self.rows.types)
            outer = outer.this
        inside = [n for n in outer.find_all(exp.Anonymous) if function_name(n) == PER]
        inside = [n for n in inside if not _inside(n, inside)]
        keys = inside[0].expressions[:-1]
        calls: list[BoundCall] = []
        for number, node in enumerate(inside, 1):
            if len(node.expressions) < 2:
                self.problem("per() is written per(key, …, aggregate)", node)
                return BoundCall(exp.null(), "NULL")
            if node.expressions[:-1] != keys:
                self.problem("several per() in one aggregate are to have the same keys", node)
            calls.append(self.inner(node.expressions[-1], (*filters, *own)))
            node.replace(column(f"{VALUE}_{number}"))
        values = {f"{VALUE}_{n}": call.type for n, call in enumerate(calls, 1)}
        for beside in outer.find_all(exp.Column):
            if beside.name not in values:
                self.problem(f'"{beside.sql("duckdb")}" stands beside per(), where there are no rows any more', beside)
        per = Per(tuple(self.bind(k) for k in keys), tuple(calls))
        return self.typed(outer, values, (*filters, *own), per)

    def inner(self, tree: exp.Expr, filters: tuple[exp.Expr, ...]) -> BoundCall:
        """The last argument of per(): an expression over aggregates, of which one may be of two levels itself."""
        return self.call(tree, filters)

    def typed(self, tree: exp.Expr, types: dict[str, str], filters: tuple[exp.Expr, ...], per: Per | None) -> BoundCall:
        self.check_conditions([call.expression.this for call in tree.find_all(exp.Filter)], types)
        if self.problems:
            return BoundCall(exp.null(), "NULL")
        try:
            tree = _counted_rows(tree)
            tree = self._conditions_as_numbers(tree, types)
            tree = self._in_double(tree, types)
            kind = self._type(tree, types)
        except TypeFault as fault:
            self.problems.append(self.measure.call.problem(f"{self.what}: {fault.reason}"))
            return BoundCall(exp.null(), "NULL")
        if kind in ("HUGEINT", "UHUGEINT", "UBIGINT"):
            tree, kind = exp.cast(tree, "BIGINT"), "BIGINT"
        return BoundCall(tree, kind, filters, per)

    def check_conditions(self, trees: Sequence[exp.Expr], types: dict[str, str]) -> None:
        """Notes a call's own condition that is neither true or false nor a number, which DuckDB takes for true where
        it is not 0: a time behind `where` would else be found out by rows alone, in words of the engine."""
        for tree in trees:
            if self.problems or isinstance(tree, _TRUTH):
                continue
            try:
                kind = self._type(tree, types)
            except TypeFault as fault:
                self.problems.append(self.measure.call.problem(f"{self.what}: {fault.reason}"))
                return
            if kind not in ("BOOLEAN", "NULL") and not kind.startswith(_NUMBERS):
                message = f"{self.what}: what stands behind where is to be true or false, and this is {kind}"
                self.problems.append(self.measure.call.problem(message))

    def _type(self, tree: exp.Expr, types: dict[str, str]) -> str:
        return self.rows.space.model.catalog.types(types, [tree])[0]

    def _conditions_as_numbers(self, tree: exp.Expr, types: dict[str, str]) -> exp.Expr:
        """A condition under sum or avg counts as 0 or 1."""
        for node in list(tree.find_all(exp.Sum, exp.Avg)):
            argument = node.this.unnest() if isinstance(node.this, exp.Expr) else node.this
            if isinstance(argument, exp.Distinct | exp.Literal | exp.Binary) and not isinstance(argument, _TRUTH):
                continue
            if isinstance(argument, _TRUTH) or self._type(argument, types) == "BOOLEAN":
                node.set("this", exp.cast(argument.copy(), "INT"))
        return tree

    def _in_double(self, tree: exp.Expr, types: dict[str, str]) -> exp.Expr:
        """Averages and quantiles of decimals are taken in DOUBLE: engines round them differently otherwise."""
        for node in list(tree.find_all(*_IN_DOUBLE)):
            argument = node.this
            if isinstance(argument, exp.Distinct) or not isinstance(argument, exp.Expr):
                continue
            if self._type(argument, types).startswith("DECIMAL"):
                node.set("this", exp.cast(argument.copy(), "DOUBLE"))
        return tree

    def problem(self, message: str, node: exp.Expr) -> None:
        self.problems.append(self.measure.call.problem(f"{self.what}: {message}", node))


def _counted_rows(tree: exp.Expr) -> exp.Expr:
    """count_if(c) → count(*) filter (where c), which is 0 and not NULL where there is no row, on every engine."""
    if tree.find(exp.CountIf) is None:
        return tree

    def counted(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.CountIf):
            return node
        return with_filter(exp.Count(this=exp.Star()), [node.this])

    def flat(node: exp.Expr) -> exp.Expr:
        twice = isinstance(node, exp.Filter) and isinstance(node.this, exp.Filter)
        return with_filter(node.this, [node.expression.this]) if twice else node

    return tree.transform(counted).transform(flat, copy=False)


def _inside(node: exp.Expr, others: list[exp.Anonymous]) -> bool:
    parent = node.parent
    while parent is not None:
        if any(parent is other for other in others):
            return True
        parent = parent.parent
    return False


__all__ = ["VALUE", "BoundCall", "Per", "all_of", "bind_call"]
