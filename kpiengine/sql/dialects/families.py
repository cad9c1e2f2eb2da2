"""Which family of types an expression has, as far as a statement tells: what a dialect needs to choose between forms.

`families_noted` goes once through a statement before it is rewritten; `family` then tells of any node, of those too
that rewritings have made. Families are "text", "bool", "int", "decimal", "double", "date", "timestamp", "timestamptz",
"interval", and "" for what is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import TypeVar

from sqlglot import exp

Columns = Mapping[str, str]
Tables = Mapping[str, Columns]

MOMENTS = frozenset({exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.DATETIME})
"""sqlglot's types that are all DuckDB's TIMESTAMP."""

_MARK = "family"
_COLUMNS = "columns"

_Node = TypeVar("_Node", bound=exp.Expr)


def with_columns(relation: _Node, columns: Columns) -> _Node:
    """A copy of what stands in a FROM clause that knows its columns, with their DuckDB types."""
    found: _Node = relation.copy()
    found.meta[_COLUMNS] = dict(columns)
    return found


_STARTS = (
    ("TIMESTAMP WITH TIME ZONE", "timestamptz"), ("TIMESTAMPTZ", "timestamptz"), ("TIMESTAMP", "timestamp"),
    ("DATETIME", "timestamp"), ("DATE", "date"), ("VARCHAR", "text"), ("TEXT", "text"), ("CHAR", "text"),
    ("STRING", "text"), ("ENUM", "text"), ("BOOL", "bool"), ("DECIMAL", "decimal"), ("NUMERIC", "decimal"),
    ("DOUBLE", "double"), ("FLOAT", "double"), ("REAL", "double"), ("INTERVAL", "interval"), ("TINYINT", "int"),
    ("SMALLINT", "int"), ("INT", "int"), ("BIGINT", "int"), ("HUGEINT", "int"), ("UTINYINT", "int"),
    ("USMALLINT", "int"), ("UINT", "int"), ("UBIGINT", "int"), ("UHUGEINT", "int"),
)  # fmt: skip


def family_of_type(name: str) -> str:
    """The family of a DuckDB type: "DECIMAL(10,2)" is a "decimal"."""
    upper = name.upper()
    if upper.endswith("]"):
        return ""
    return next((found for start, found in _STARTS if upper.startswith(start)), "")


def family_of_cast(node: exp.Cast) -> str:
    """The family of what a value is cast to."""
    kind = node.to.this
    return _family_of_kind(kind) if isinstance(kind, exp.DType) else family_of_type(node.to.sql("duckdb"))


@cache
def _family_of_kind(kind: exp.DType) -> str:
    return family_of_type(exp.DataType(this=kind).sql("duckdb"))


def families_noted(tree: exp.Expr) -> exp.Expr:
    """Notes at each column of the statement what it is, from what relations know of theirs (`with_columns`)."""
    known: dict[str, Columns] = {}
    with_ = tree.args.get("with_")
    for cte in with_.expressions if with_ is not None else ():
        known[cte.alias] = _columns(cte.this, known)
    _columns(tree, known)
    return tree


def _columns(query: exp.Expr, known: Tables) -> Columns:
    """The families of a query's columns, by lower-case name. `known` has those of the steps before it."""
    if isinstance(query, exp.Subquery):
        return _columns(query.this, known)
    if isinstance(query, exp.SetOperation):
        left, right = _columns(query.this, known), _columns(query.expression, known)
        arms = zip(left.items(), right.values(), strict=False)
        return {name: kind or other for (name, kind), other in arms}
    if not isinstance(query, exp.Select):
        return {}
    sources = dict(_sources(query, known))
    for column in query.find_all(exp.Column):
        if column.parent_select is query:
            column.meta[_MARK] = _found(column, sources)
    found: dict[str, str] = {}
    for projection in query.expressions:
        if isinstance(projection, exp.Star):
            found |= {name: kind for columns in sources.values() for name, kind in columns.items()}
        else:
            found[projection.alias_or_name.lower()] = family(projection)
    return found


def _sources(query: exp.Select, known: Tables) -> Iterable[tuple[str, Columns]]:
    from_ = query.args.get("from_")
    relations = [from_.this] if from_ is not None else []
    relations += [join.this for join in query.args.get("joins") or ()]
    for source in relations:
        noted = source.meta.get(_COLUMNS) if source._meta else None
        if isinstance(source, exp.Subquery):
            inner = _columns(source.this, known)
            yield source.alias_or_name, _families(noted) if noted else inner
        elif isinstance(source, exp.Table):
            yield source.alias_or_name, _families(noted) if noted else known.get(source.name, {})
        elif noted:  # a function that reads files
            yield source.alias_or_name, _families(noted)


def _families(columns: Columns) -> Columns:
    return {name.lower(): family_of_type(kind) for name, kind in columns.items()}


def _found(column: exp.Column, sources: Tables) -> str:
    name = column.name.lower()
    if column.table:
        return sources.get(column.table, {}).get(name, "")
    return next((columns[name] for columns in sources.values() if name in columns), "")


# -- one expression


def family(node: exp.Expr | None) -> str:
    """The family of an expression; "" where it is not known."""
    if node is None or isinstance(node, exp.Null):
        return ""
    if isinstance(node, exp.Column):
        return str(node.meta.get(_MARK, "")) if node._meta else ""
    if isinstance(node, exp.Literal):
        if node.is_string:
            return "text"
        return "double" if "e" in node.this.lower() else "decimal" if "." in node.this else "int"
    if isinstance(node, exp.Cast):
        return family_of_cast(node)
    if isinstance(node, exp.Div) and node.args.get("typed"):
        return family(node.this)
    if isinstance(node, exp.Anonymous):
        return "text" if node.name.upper() in _TEXT_CALLS else ""
    for kinds, told in _ALWAYS:
        if isinstance(node, kinds):
            return told
    if isinstance(node, _SAME_AS_FIRST):
        return family(node.this)
    return _of_several(node)


_ALWAYS: tuple[tuple[tuple[type[exp.Expr], ...], str], ...] = (
    ((exp.Predicate, exp.Connector, exp.Not, exp.Boolean, exp.LogicalAnd, exp.LogicalOr, exp.Escape,
      exp.StartsWith), "bool"),
    ((exp.Count, exp.CountIf, exp.RowNumber, exp.Ntile, exp.Rank, exp.DenseRank, exp.DateDiff, exp.Extract, exp.Length,
      exp.StrPosition, exp.IntDiv, exp.Year, exp.Month, exp.Day, exp.Quarter, exp.UnixMicros), "int"),
    ((exp.Div, exp.Avg, exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop, exp.Sqrt, exp.Exp,
      exp.Ln, exp.Log, exp.Pow), "double"),
    ((exp.Lower, exp.Upper, exp.Trim, exp.Concat, exp.ConcatWs, exp.DPipe, exp.Substring, exp.Replace, exp.Left,
      exp.Right, exp.Pad, exp.Translate, exp.TimeToStr, exp.RegexpReplace, exp.RegexpExtract, exp.SplitPart,
      exp.Reverse, exp.Repeat, exp.GroupConcat, exp.MD5, exp.Initcap, exp.Chr), "text"),
    ((exp.Interval,), "interval"),
)  # fmt: skip

_TEXT_CALLS = frozenset({"REGEXP_REPLACE", "REPLACE", "TO_CHAR"})
"""Calls that dialects' own forms write."""

_SAME_AS_FIRST = (
    exp.Alias, exp.Paren, exp.Neg, exp.Abs, exp.Min, exp.Max, exp.Filter, exp.Window, exp.Lead, exp.Lag, exp.FirstValue,
    exp.LastValue, exp.Nullif, exp.AnyValue, exp.First, exp.Last, exp.ArgMax, exp.ArgMin, exp.Round, exp.IgnoreNulls,
    exp.WithinGroup, exp.Distinct, exp.Order, exp.Sum, exp.Mode, exp.DateAdd,
)  # fmt: skip

_WIDER = ("int", "decimal", "double")


def _of_several(node: exp.Expr) -> str:
    if isinstance(node, exp.Case):
        return _first([*(branch.args.get("true") for branch in node.args["ifs"]), node.args.get("default")])
    if isinstance(node, exp.If):
        return _first([node.args.get("true"), node.args.get("false")])
    if isinstance(node, exp.Coalesce | exp.Greatest | exp.Least):
        return _first([node.this, *node.expressions])
    if isinstance(node, exp.Add | exp.Sub):
        return _sum(family(node.this), family(node.expression), minus=isinstance(node, exp.Sub))
    if isinstance(node, exp.Mul | exp.Mod):
        return _sum(family(node.this), family(node.expression), minus=False)
    if isinstance(node, exp.Median | exp.PercentileCont | exp.Quantile):
        inner = family(node.this)
        return "double" if inner in _WIDER else inner
    if isinstance(node, exp.TimestampTrunc | exp.DateTrunc):
        inner = family(node.this)
        return "timestamp" if inner == "date" else inner
    return ""


def _first(nodes: Iterable[exp.Expr | None]) -> str:
    found = [kind for kind in map(family, nodes) if kind]
    if found and all(kind in _WIDER for kind in found):
        return max(found, key=_WIDER.index)
    return found[0] if found else ""


def _sum(left: str, right: str, *, minus: bool) -> str:
    if left in _WIDER and right in _WIDER:
        return max(left, right, key=_WIDER.index)
    if minus and left == right == "date":
        return "int"
    if left == "interval":
        left, right = right, left
    if left == "date":
        return "timestamp" if right == "interval" else "date"
    return left if right in ("interval", "") and left.startswith("timestamp") else ""
