"""Expressions over rows, said over groups of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from sqlglot import exp

from kpiengine.functions import is_aggregate, is_plain_text


def core(tree: exp.Expr) -> exp.Expr:
    """What a key is computed of: the day in a month of a time, the column in an expression over one column.

    The key is a function of it. A key over several columns is its own core.
    """
    if isinstance(tree, exp.Column):
        return tree
    names = {c.sql() for c in tree.find_all(exp.Column)}
    if len(names) != 1:
        return tree
    for day in tree.find_all(exp.Cast):
        cut = day.this.this if isinstance(day.this, exp.AtTimeZone) else day.this
        if day.is_type("date") and isinstance(cut, exp.Column) and over(tree, {day: exp.column("x")}) is not None:
            return day
    return next(tree.find_all(exp.Column))


PLAIN_TEXT_SIZE = 100
"""About so many nodes stand for `plain_text(x)` in a statement."""


def size(tree: exp.Expr) -> int:
    """How many nodes a tree has; a plain text as many as it has where it is written out."""
    return sum(PLAIN_TEXT_SIZE if is_plain_text(node) else 1 for node in tree.walk())


def over(tree: exp.Expr, groups: Mapping[exp.Expr, exp.Expr]) -> exp.Expr | None:
    """`tree` with each expression that `groups` has replaced by what it gives; None where a column is left.

    A query inside of it is a value like any other: its columns are its own.
    """
    left = False

    def replaced(node: exp.Expr) -> exp.Expr:
        nonlocal left
        found = groups.get(node)
        if found is not None:
            return found.copy()
        left = left or isinstance(node, exp.Column)
        return node

    new = _from_above(tree.copy(), replaced)
    return None if left else new


def _from_above(tree: exp.Expr, replaced: Callable[[exp.Expr], exp.Expr]) -> exp.Expr:
    new = replaced(tree)
    if new is not tree or isinstance(tree, exp.Subquery):
        return new
    for child in list(tree.iter_expressions()):
        made = _from_above(child, replaced)
        if made is not child:
            child.replace(made)
    return tree


def own_columns(tree: exp.Expr) -> Iterator[exp.Column]:
    """The columns of a tree, those of queries inside of it aside."""
    for node in tree.walk(prune=lambda n: isinstance(n, exp.Subquery)):
        if isinstance(node, exp.Column):
            yield node


def conjuncts(condition: exp.Expr) -> list[exp.Expr]:
    """The conditions that hold together where `condition` does."""
    bare = condition.unnest()
    return (
        [part for side in (bare.left, bare.right) for part in conjuncts(side)] if isinstance(bare, exp.And) else [bare]
    )


def calls(tree: exp.Expr) -> Iterator[exp.Expr]:
    """The aggregate calls of a measure, with their FILTER."""
    if is_aggregate(tree):
        yield tree
        return
    for child in tree.iter_expressions():
        yield from calls(child)


def taken_apart(call: exp.Expr) -> tuple[exp.Expr, list[exp.Expr]]:
    """A call without its FILTER, and the conditions that it has there."""
    if isinstance(call, exp.Filter):
        return call.this, conjuncts(call.expression.this)
    return call, []
