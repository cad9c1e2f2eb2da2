"""What is the same on every engine, once its dialect's forms are written: an explicit list.

An expression that stands neither here nor among a dialect's forms is refused on that dialect, however well sqlglot
could print it: that a text parses does not say that it means the same. Each entry is run on every engine that can be
had, against DuckDB, in the tests.
"""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.rewriting import Forms, Unsayable, key_of, told

STATEMENT: tuple[type[exp.Expr], ...] = (
    exp.Select, exp.From, exp.Join, exp.Where, exp.Group, exp.Having, exp.Order, exp.Ordered, exp.Limit, exp.Offset,
    exp.With, exp.CTE, exp.Table, exp.TableAlias, exp.Identifier, exp.Column, exp.Alias, exp.Star, exp.Subquery,
    exp.Union, exp.Distinct, exp.Tuple, exp.Values, exp.Exists, exp.Window, exp.WindowSpec, exp.Var, exp.DataType,
    exp.DataTypeParam, exp.Filter, exp.Paren, exp.Literal, exp.Null, exp.Boolean,
)  # fmt: skip
"""What statements are made of."""

OPERATORS: tuple[type[exp.Expr], ...] = (
    exp.And, exp.Or, exp.Not, exp.Is, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ,
    exp.NullSafeNEQ, exp.Between, exp.In, exp.Like, exp.ILike, exp.Escape, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod,
    exp.Neg, exp.DPipe, exp.Cast, exp.Case, exp.If, exp.Interval,
)  # fmt: skip
"""Operators, CASE and CAST."""

FUNCTIONS: tuple[type[exp.Expr], ...] = (
    exp.Abs, exp.Ceil, exp.Coalesce, exp.Exp, exp.Floor, exp.Greatest, exp.Least, exp.Length, exp.Ln, exp.Lower,
    exp.Nullif, exp.Pow, exp.Replace, exp.Sqrt, exp.StartsWith, exp.TimestampTrunc, exp.Trim, exp.Upper,
)  # fmt: skip
"""Functions of one row."""

AGGREGATES: tuple[type[exp.Expr], ...] = (
    exp.Avg, exp.Count, exp.Max, exp.Min, exp.StddevPop, exp.StddevSamp, exp.Stddev, exp.Sum, exp.Variance,
    exp.VariancePop,
)  # fmt: skip
"""Aggregates."""

WINDOWS: tuple[type[exp.Expr], ...] = (
    exp.DenseRank, exp.FirstValue, exp.Lag, exp.LastValue, exp.Lead, exp.Ntile, exp.Rank, exp.RowNumber,
)  # fmt: skip
"""Functions that stand before OVER."""

SAME = frozenset((*STATEMENT, *OPERATORS, *FUNCTIONS, *AGGREGATES, *WINDOWS))
"""All of these."""

# What sqlglot keeps inside other nodes, and no user writes by itself.
_INSIDE = (exp.IgnoreNulls, exp.WithinGroup)


def _is_read(node: exp.Expr) -> bool:
    in_from = isinstance(node.parent, exp.Table | exp.From | exp.Join) and node.arg_key == "this"
    return in_from and isinstance(node, exp.Func) and not isinstance(node, exp.GenerateSeries)


def refuse_unknown(tree: exp.Expr, forms: Forms) -> None:
    """Raises Unsayable for the first expression that is neither the same everywhere nor among `forms`.

    What a FROM reads by a function, files of the embedded engine, is left as it stands: no value is computed there.
    """
    for node in tree.walk(prune=_is_read):
        key = key_of(node)
        if _is_read(node):
            continue
        in_from = isinstance(node, exp.GenerateSeries) and not isinstance(node.parent, exp.Explode)
        if key in SAME or (key in forms and not in_from) or isinstance(node, _INSIDE):
            continue
        raise Unsayable(f"{told(node)}: nothing there is known to mean just the same")


def refuse_unnamed(tree: exp.Expr, forms: Forms) -> None:
    """Raises Unsayable for the first function of DuckDB's that sqlglot does not know, and so prints as it stands."""
    for node in tree.walk(prune=_is_read):
        if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc) and key_of(node) not in forms and not _is_read(node):
            raise Unsayable(f"{told(node)}: nothing there is known to mean just the same")
