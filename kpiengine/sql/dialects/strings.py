"""Texts put together and taken apart: forms that several dialects share."""

from __future__ import annotations

import re

from sqlglot import exp

from kpiengine.sql.dialects.families import family
from kpiengine.sql.dialects.patterns import group_number, pattern
from kpiengine.sql.dialects.rewriting import Unsayable, call, number, text

_UNLIKE = ("double", "timestamp", "timestamptz")


def joined(node: exp.Concat) -> exp.Expr:
    """concat(a, b, …), which leaves out NULL and takes what is no text."""
    return call("CONCAT", *(as_text(part, or_nothing=True) for part in node.expressions))


def as_text(part: exp.Expr, *, or_nothing: bool = False) -> exp.Expr:
    """A value as text; `or_nothing` gives '' for NULL. Raises Unsayable for what is written differently."""
    if family(part) in _UNLIKE:
        raise Unsayable("of a number with a fraction or a point in time: cast it, or strftime says how")
    if isinstance(part, exp.Literal) and part.is_string:
        return part
    told = part if family(part) == "text" and not or_nothing else exp.cast(part, "TEXT")
    return exp.Coalesce(this=told, expressions=[text("")]) if or_nothing else told


def left(node: exp.Left) -> exp.Expr:
    """left(s, n), of which a negative n leaves out the end."""
    if not _is_count(node.expression):
        raise Unsayable("how many has to be written out as a number, and not be negative")
    return node


def right(node: exp.Right) -> exp.Expr:
    """right(s, n), of which a negative n leaves out the beginning."""
    if not _is_count(node.expression):
        raise Unsayable("how many has to be written out as a number, and not be negative")
    return node


def _is_count(node: exp.Expr) -> bool:
    return isinstance(node, exp.Literal) and node.is_int


def tail(value: exp.Expr, length: exp.Expr) -> exp.Expr:
    """The last `length` characters of a text, or all where it is shorter."""
    start = exp.Add(this=exp.Sub(this=exp.Length(this=value.copy()), expression=length), expression=number(1))
    return call("SUBSTR", value.copy(), exp.Greatest(this=start, expressions=[number(1)], ignore_nulls=False))


def ends_with(node: exp.EndsWith) -> exp.Expr:
    """ends_with(s, part)."""
    end = tail(node.this, exp.Length(this=node.expression.copy()))
    return exp.paren(exp.EQ(this=end, expression=node.expression))


def contains(node: exp.Contains) -> exp.Expr:
    """contains(s, part), by where it is."""
    place = exp.StrPosition(this=node.this, substr=node.expression)
    return exp.paren(exp.GT(this=place, expression=number(0)))


def trimmed(node: exp.Trim) -> exp.Expr:
    """trim(s): blanks, where an engine's own takes off tabs and ends of lines, too."""
    if node.expression is None:
        node.set("expression", text(" "))
    return node


def part_number(node: exp.SplitPart) -> int:
    """Which part split_part(s, by, n) gives, from 1 on."""
    place, by = node.args["part_index"], node.args["delimiter"]
    if not (isinstance(place, exp.Literal) and place.is_int and int(place.this) > 0):
        raise Unsayable("which part has to be written out as a number, from 1 on")
    if not (isinstance(by, exp.Literal) and by.is_string and by.this):
        raise Unsayable("what stands between parts has to be written out")
    return int(place.this)


def known_or_empty(value: exp.Expr, found: exp.Expr) -> exp.Expr:
    """What was found in a text, '' where nothing was; NULL where the text is."""
    told = exp.Coalesce(this=found, expressions=[text("")])
    return exp.case().when(exp.Not(this=exp.Is(this=value.copy(), expression=exp.null())), told)


_PARENTHESES = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]])*\]|\((?!\?)")


def only_group(node: exp.RegexpExtract) -> str:
    """The pattern of regexp_extract(s, pattern, group) in which the wanted group alone is one; 0 is the whole."""
    wanted, seen = group_number(node), 0

    def kept(found: re.Match[str]) -> str:
        nonlocal seen
        if found[0] != "(":
            return found[0]
        seen += 1
        return "(" if seen == wanted else "(?:"

    told = _PARENTHESES.sub(kept, pattern(node.expression))
    if wanted > seen:
        raise Unsayable("the pattern has no such group")
    return told
