"""Names that are longer than an engine takes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from sqlglot import exp


def names_within(most: int) -> Callable[[exp.Expr], exp.Expr]:
    """A rewriting that shortens names of more than `most` bytes, each to another name, the same wherever it stands.

    PostgreSQL cuts them by itself, and then takes two for one.
    """

    def names_shortened(tree: exp.Expr) -> exp.Expr:
        for node in tree.find_all(exp.Identifier):
            raw = node.this.encode()
            if len(raw) > most:
                mark = hashlib.sha256(raw).hexdigest()[:8]
                node.set("this", f"{raw[: most - 9].decode(errors='ignore')}_{mark}")
        return tree

    return names_shortened


def names_quoted(words: frozenset[str]) -> Callable[[exp.Expr], exp.Expr]:
    """A rewriting that quotes names which are words of an engine's own."""

    def own_words_quoted(tree: exp.Expr) -> exp.Expr:
        for node in tree.find_all(exp.Identifier):
            if node.this.lower() in words:
                node.set("quoted", True)
        return tree

    return own_words_quoted
