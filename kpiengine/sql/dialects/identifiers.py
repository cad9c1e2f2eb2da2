"""Names that are longer than an engine takes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable

from sqlglot import exp

_PLAIN = re.compile("[A-Za-z_][A-Za-z0-9_]*")


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


def names_ignoring_case(words: frozenset[str]) -> Callable[[exp.Expr], exp.Expr]:
    """A rewriting for an engine that gives names without quotes in upper case, and tells quoted ones by theirs.

    Plain names lose their quotes, as nothing here tells "Month" from month, and words of the engine's own stand in
    quotes and upper case.
    """

    def quotes_taken_off(tree: exp.Expr) -> exp.Expr:
        for node in tree.find_all(exp.Identifier):
            if node.this.lower() in words:
                node.set("this", node.this.upper())
                node.set("quoted", True)
            elif _PLAIN.fullmatch(node.this):
                node.set("quoted", False)
        return tree

    return quotes_taken_off
