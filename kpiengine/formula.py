"""A metric's formula: text → a checked tree of what is aggregated and how that is combined.

    formula "sum(amount) / prior(orders, 1, month)"
    tree    :0 / NULLIF(:1, 0)
    atoms   0: Aggregate(sum(amount))      1: Call(prior, Formula(:0; Reference(orders)), 1, "month")

Inside an aggregate call names are columns, outside they are metrics. The tree is a sqlglot tree in DuckDB's
dialect whose leaves are numbered placeholders; every division in it is NULL where the divisor is 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot import exp

from kpiengine.errors import DefinitionError, Problem, suggest
from kpiengine.functions import (
    KEYED_FUNCTIONS,
    METRIC_FUNCTIONS,
    OVERALL,
    PER,
    QUERY_PERIOD,
    TIME_UNITS,
    MetricFunction,
    function_name,
    is_aggregate,
)
from kpiengine.records import dataclass
from kpiengine.spec.text import Text
from kpiengine.sqltext import Sql, parse_sql


@dataclass(frozen=True)
class Reference:
    """Another metric, by name. `sql` is the node that names it."""

    name: str
    sql: Sql


@dataclass(frozen=True)
class Aggregate:
    """An aggregate call over columns of the metric's source, with its own FILTER."""

    sql: Sql


@dataclass(frozen=True)
class Parameter:
    """`$name`, filled from the metric's `parameters`."""

    name: str
    sql: Sql


@dataclass(frozen=True)
class Call:
    """A metric function over a formula: `prior(m, n, unit)` and so on. `dims` are the names that `total` drops.

    `n` may be a parameter (`prior(cost, $lag, month)`).
    """

    function: str
    inner: Formula
    sql: Sql
    n: int | Parameter = 0
    unit: str = ""
    dims: tuple[str, ...] = ()


Atom = Reference | Aggregate | Call | Parameter


@dataclass(frozen=True)
class Formula:
    """A tree with numbered placeholders (`:0`) and the atom that each stands for."""

    tree: exp.Expr
    atoms: tuple[Atom, ...]

    def aggregates(self) -> Iterator[Aggregate]:
        """Every aggregate call, at any depth."""
        for atom in self.atoms:
            if isinstance(atom, Aggregate):
                yield atom
            elif isinstance(atom, Call):
                yield from atom.inner.aggregates()

    def references(self) -> Iterator[Reference]:
        """Every metric named, at any depth."""
        for atom in self.atoms:
            if isinstance(atom, Reference):
                yield atom
            elif isinstance(atom, Call):
                yield from atom.inner.references()


def parse_formula(text: Text, metric: str) -> Formula:
    """The formula that `text` is. Raises DefinitionError with every problem of it."""
    sql = parse_sql(text, f'formula of "{metric}"', trailing_where=True)
    reader = _Reader(sql, metric)
    formula = reader.formula(sql.tree)
    if reader.problems:
        raise DefinitionError(*reader.problems)
    return formula


def safe_divisions(tree: exp.Expr) -> exp.Expr:
    """`tree` in which `a / b` is NULL where b is 0. Changes the tree in place and returns its root."""
    for node in list(tree.find_all(exp.Div)):
        divisor = node.expression
        bare = divisor.unnest()
        constant = isinstance(bare, exp.Literal) and not bare.is_string and float(bare.this) != 0
        if constant or isinstance(bare, exp.Nullif):
            continue
        node.set("expression", exp.Nullif(this=bare, expression=exp.Literal.number(0)))
    return tree


_WRAPPERS = (exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls)


class _Reader:
    """Walks one parsed formula from its root down, cutting it at aggregates, metrics and metric functions."""

    def __init__(self, sql: Sql, metric: str) -> None:
        self.sql = sql
        self.metric = metric
        self.problems: list[Problem] = []

    def formula(self, tree: exp.Expr) -> Formula:
        atoms: list[Atom] = []

        def cut(node: exp.Expr) -> exp.Expr:
            atom = self.atom(node)
            if atom is None:
                return node
            atoms.append(atom)
            return exp.Placeholder(this=str(len(atoms) - 1))

        return Formula(safe_divisions(_replaced(tree, cut)), tuple(atoms))

    def atom(self, node: exp.Expr) -> Atom | None:
        """What `node` is cut out as, or None for a node that stays, whose children are looked at."""
        if is_aggregate(node):
            return self.aggregate(node)
        name = function_name(node)
        if name in METRIC_FUNCTIONS and isinstance(node, exp.Func):
            return self.call(node, METRIC_FUNCTIONS[name])
        if isinstance(node, exp.Parameter | exp.Placeholder):
            return Parameter(node.name, Sql(node, self.sql.text))
        if isinstance(node, exp.Column):
            return self.reference(node)
        if isinstance(node, exp.Window):
            self.problem(
                "no OVER in a formula: running(), trailing(), prior() and total() say what a window would", node
            )
        elif name == PER or name in KEYED_FUNCTIONS:
            self.problem(
                f"{name}() stands inside an aggregate call only, as in avg(per(customer_id, sum(amount)))", node
            )
        elif isinstance(node, exp.Star):
            self.problem('"*" stands inside count(*) only', node)
        return None

    def aggregate(self, node: exp.Expr) -> Aggregate:
        call = node.copy()
        for window in call.find_all(exp.Window):
            self.problem("no OVER inside an aggregate", window)
        nested = [n for n in call.find_all(exp.Func) if is_aggregate(n) and _nested(n, call)]
        if nested:
            inner = nested[0]
            self.problem(
                "an aggregate inside an aggregate: say what the inner one is taken per,"
                f" as in per(customer_id, {inner.sql('duckdb').lower()})",
                inner,
            )
        return Aggregate(Sql(safe_divisions(call), self.sql.text))

    def reference(self, node: exp.Column) -> Reference | None:
        if node.table:
            path = node.sql("duckdb")
            self.problem(f'"{path}" is a column, and columns stand inside an aggregate call, as in sum({path})', node)
            return None
        return Reference(node.name, Sql(node, self.sql.text))

    def call(self, node: exp.Expr, function: MetricFunction) -> Call | None:
        arguments = _arguments(node)
        if not arguments:
            self.problem(f"{function.name}() needs a metric: {function.usage}", node)
            return None
        inner, rest = self.formula(arguments[0]), arguments[1:]
        sql = Sql(node.copy(), self.sql.text)
        if function.arguments == ("dims",):
            dims = tuple(a.sql("duckdb").replace('"', "") if isinstance(a, exp.Column) else a.name for a in rest)
            return Call(function.name, inner, sql, dims=dims)
        if len(rest) != len(function.arguments):
            self.problem(f"{function.name}() is written {function.usage}", node)
            return None
        n: int | Parameter = 0
        unit = ""
        for kind, argument in zip(function.arguments, rest, strict=True):
            if kind == "int":
                n = self.whole_number(argument, function)
            else:
                unit = self.unit(argument)
        return Call(function.name, inner, sql, n=n, unit=unit)

    def whole_number(self, node: exp.Expr, function: MetricFunction) -> int | Parameter:
        if isinstance(node, exp.Parameter | exp.Placeholder):
            return Parameter(node.name, Sql(node, self.sql.text))
        sign, bare = (-1, node.this) if isinstance(node, exp.Neg) else (1, node)
        if isinstance(bare, exp.Literal) and not bare.is_string and str(bare.this).isdigit():
            n = sign * int(bare.this)
            if function.name != "trailing" or n > 0:
                return n
        self.problem(
            f"{function.usage}: n is to be a whole number" + (" above 0" if function.name == "trailing" else ""), node
        )
        return 1

    def unit(self, node: exp.Expr) -> str:
        name = node.name.lower() if isinstance(node, exp.Column | exp.Literal | exp.Var) else ""
        if not name and isinstance(node, exp.Func):
            name = function_name(node)
        name = name.removesuffix("s") if name.removesuffix("s") in TIME_UNITS else name
        if name not in (*TIME_UNITS, QUERY_PERIOD):
            found = node.sql("duckdb")
            self.problem(
                f'"{found}" is no unit of time; there are {", ".join(TIME_UNITS)}{suggest(found, TIME_UNITS)}', node
            )
            return "day"
        return name

    def problem(self, message: str, node: exp.Expr) -> None:
        self.problems.append(self.sql.problem(f'formula of "{self.metric}": {message}', node))


def _arguments(node: exp.Expr) -> list[exp.Expr]:
    """The arguments of a call, whether sqlglot knows the function (`to_date`) or not."""
    if isinstance(node, exp.Anonymous):
        return list(node.expressions)
    found: list[exp.Expr] = []
    for value in node.args.values():
        found += [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, exp.Expr)]
    return found


def _nested(inner: exp.Expr, root: exp.Expr) -> bool:
    """Whether the aggregate `inner` stands inside the call `root` without a per() between them."""
    core = root
    while isinstance(core, _WRAPPERS):
        if inner is core:
            return False
        core = core.this
    if inner is core:
        return False
    parent = inner.parent
    while parent is not None and parent is not root:
        if function_name(parent) in (PER, OVERALL):
            return False
        parent = parent.parent
    return True


def _replaced(tree: exp.Expr, cut: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    """A copy of `tree` in which `cut` has replaced nodes, from the root down; what it replaced is not entered."""
    root = tree.copy()
    replaced = cut(root)
    if replaced is not root:
        return replaced
    waiting = [root]
    while waiting:
        node = waiting.pop()
        for child in reversed(list(node.iter_expressions())):
            new = cut(child)
            if new is child:
                waiting.append(child)
            else:
                child.replace(new)
    return root
