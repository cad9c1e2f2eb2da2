"""Formats of dates: strftime's, written in another engine's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sqlglot import exp

from kpiengine.sql.dialects.rewriting import Unsayable

_PIECE = re.compile(r"%(-?[A-Za-z%])|([^%]+)")


def written(node: exp.Expr | None, words: Mapping[str, str], literally: Callable[[str], str]) -> str:
    """The format in the engine's words; `literally` writes what stands between them. Raises Unsayable."""
    if not (isinstance(node, exp.Literal) and node.is_string):
        raise Unsayable("a format has to be written out here")
    found = ""
    for word, between in _PIECE.findall(node.this):
        if between or word == "%":
            found += literally(between or "%")
        elif word in words:
            found += words[word]
        else:
            raise Unsayable(f"no %{word} in a format")
    return found
