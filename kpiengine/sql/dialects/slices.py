"""Parts of a text by their place."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.rewriting import Unsayable, number


def from_the_first(node: exp.Substring) -> exp.Expr:
    """substring(s, start, length) with a start that is written out: engines count alike from 1 on, and alone there.

    A negative start without a length is the text's end.
    """
    start = node.args.get("start")
    sign, bare = (-1, start.this) if isinstance(start, exp.Neg) else (1, start)
    if not (isinstance(bare, exp.Literal) and bare.is_int):
        raise Unsayable("where it starts has to be written out as a number")
    place = sign * int(bare.this)
    if place > 0:
        return node
    if place < 0 and node.args.get("length") is None:
        return exp.Right(this=node.this, expression=number(-place))
    raise Unsayable("it has to start at 1 or later")
