"""What a dialect is made of: the rewritings of a tree, in order, and the sqlglot dialect that then writes the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from sqlglot import exp

from kpiengine.errors import UsageError
from kpiengine.records import dataclass

Rewriting = Callable[[exp.Expr], exp.Expr]
"""A statement's tree → the same meaning in other nodes. It may change the tree in place, and returns its root."""

Form = Callable[[Any], exp.Expr]
"""A node whose children have been rewritten → what stands in its place (the node itself where it may stay).
Raises `Unsayable` where the dialect has nothing that means exactly this."""

Forms = Mapping["type[exp.Expr] | str", Form]
"""A dialect's own forms, by the class of node, or by the lower-case name of a function that sqlglot does not know."""


class Unsayable(UsageError):
    """A dialect cannot say this exactly. The message is the end of a sentence, told with the dialect's name in front
    by whoever catches it."""


@dataclass(frozen=True)
class Dialect:
    """A dialect by the name that `--dialect` takes. `writer` is the name of the sqlglot dialect that its text is in.

    `forms` are what its expressions are written as, before `rewritings` see the tree. With `checked`, what stands
    neither in `forms` nor in `kpiengine.sql.dialects.known` is refused; with `named`, functions that sqlglot does not
    know are.
    """

    name: str
    writer: str
    rewritings: tuple[Rewriting, ...] = ()
    forms: Forms = field(default_factory=dict)
    checked: bool = False
    named: bool = False


def key_of(node: exp.Expr) -> type[exp.Expr] | str:
    """What a node's form is found by."""
    if isinstance(node, exp.Anonymous | exp.AnonymousAggFunc):
        return str(node.this).lower()
    return type(node)


def told(node: exp.Expr) -> str:
    """A node as a user wrote it, cut where it is long."""
    text = node.sql("duckdb").lower()
    return text if len(text) <= 60 else text[:57] + "…"


def in_forms(tree: exp.Expr, forms: Forms) -> exp.Expr:
    """The tree with each node that has a form written so, the innermost first."""
    for node in reversed([n for n in tree.walk() if key_of(n) in forms]):
        slot = exp.Null()  # keeps the place while the form takes the node apart
        if node is not tree:
            node.replace(slot)
        try:
            new = forms[key_of(node)](node)
        except Unsayable as error:
            raise Unsayable(f"{told(node)}: {error.problems[0].message}") from None
        if node is tree:
            tree = new
        else:
            slot.replace(new)
    return tree


def refused(reason: str) -> Form:
    """A form for what the dialect cannot say, and why."""

    def refuse(node: exp.Expr) -> exp.Expr:
        raise Unsayable(reason)

    return refuse


def call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    """A call of the dialect's own function `name`, written as it is."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def text(value: str) -> exp.Literal:
    """A literal text."""
    return exp.Literal.string(value)


def number(value: float | str) -> exp.Expr:
    """A literal number."""
    return exp.Literal.number(value)


_OPERANDS = (exp.Binary, exp.Neg, exp.Not, exp.Between, exp.In)


def wrapped(node: exp.Expr) -> exp.Expr:
    """The expression as an operand: in parentheses where it is one of several parts itself."""
    return exp.paren(node, copy=False) if isinstance(node, _OPERANDS) else node


def not_null(node: exp.Expr) -> exp.Expr:
    """NOT node IS NULL, of a copy."""
    return exp.Not(this=exp.Is(this=wrapped(node.copy()), expression=exp.null()))
