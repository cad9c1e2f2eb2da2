"""Texts in the order of their code points, as DuckDB has them, where an engine follows a language's order instead."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.families import family

_COMPARISONS = (exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Between)
_EXTREMES = (exp.Min, exp.Max, exp.Greatest, exp.Least)


def in_code_point_order(tree: exp.Expr) -> exp.Expr:
    """COLLATE "C" wherever the order of texts matters: sorting, comparing, smallest and largest."""
    # The innermost first: what stands around it takes a copy.
    for node in reversed(list(tree.find_all(exp.Ordered, *_COMPARISONS, *_EXTREMES))):
        if isinstance(node, exp.Ordered):
            key = _ordered_by(node)
            for same in _distinct(node):
                if same == key:
                    same.replace(_collated(same))
            node.set("this", _collated(key))
        elif isinstance(node, _COMPARISONS):
            sides = [v for v in node.args.values() if isinstance(v, exp.Expr)]
            if any(family(side) == "text" and not isinstance(side, exp.Literal) for side in sides):
                node.set("this", _by_code_point(node.this))
        else:
            node.set("this", _collated(node.this))
    return tree


def _distinct(node: exp.Ordered) -> list[exp.Expr]:
    """What an aggregate takes once each, sorted by `node`: it has to be the same expression, collation and all."""
    order = node.parent
    inner = order.this if isinstance(order, exp.Order) else None
    return list(inner.expressions) if isinstance(inner, exp.Distinct) else []


def _ordered_by(node: exp.Ordered) -> exp.Expr:
    """What is sorted by: where that is a name that the query itself gives, the expression that it names.

    Inside an expression, as COLLATE makes one, PostgreSQL looks for columns of the query's inputs alone.
    """
    key: exp.Expr = node.this
    query = node.parent.parent if node.parent is not None else None
    if not (isinstance(key, exp.Column) and not key.table and isinstance(query, exp.Select)):
        return key
    own = next((p.this for p in query.expressions if isinstance(p, exp.Alias) and p.alias == key.name), None)
    return own.copy() if own is not None and family(own) == "text" else key


def _collated(node: exp.Expr) -> exp.Expr:
    return _by_code_point(node) if family(node) == "text" else node


def _by_code_point(node: exp.Expr) -> exp.Expr:
    bare = node.copy()
    wrapped = exp.paren(bare) if isinstance(bare, exp.Binary) else bare
    return exp.Collate(this=wrapped, expression=exp.to_identifier("C", quoted=True))
