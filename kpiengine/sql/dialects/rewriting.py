"""What a dialect is made of: the rewritings of a tree, in order, and the sqlglot dialect that then writes the text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

Rewriting = Callable[[exp.Expr], exp.Expr]
"""A statement's tree → the same meaning in other nodes. It may change the tree in place, and returns its root."""


@dataclass(frozen=True)
class Dialect:
    """A dialect by the name that `--dialect` takes. `writer` is the name of the sqlglot dialect that its text is in."""

    name: str
    writer: str
    rewritings: tuple[Rewriting, ...] = ()
