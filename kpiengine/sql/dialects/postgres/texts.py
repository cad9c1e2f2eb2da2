"""Texts on PostgreSQL."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.patterns import extracted, full_match, matches, replaced
from kpiengine.sql.dialects.rewriting import Forms, call, number
from kpiengine.sql.dialects.slices import from_the_first


def contains(node: exp.Contains) -> exp.Expr:
    """contains(s, part)."""
    place = exp.StrPosition(this=node.this, substr=node.expression)
    return exp.paren(exp.GT(this=place, expression=number(0)))


def ends_with(node: exp.EndsWith) -> exp.Expr:
    """ends_with(s, part)."""
    end = exp.Right(this=node.this, expression=exp.Length(this=node.expression.copy()))
    return exp.paren(exp.EQ(this=end, expression=node.expression))


def _like(node: exp.RegexpLike) -> exp.Expr:
    whole, pattern = matches(node)
    return exp.RegexpLike(this=whole, expression=pattern)


def _full_match(node: exp.RegexpFullMatch) -> exp.Expr:
    whole, pattern = full_match(node)
    return exp.RegexpLike(this=whole, expression=pattern)


FORMS: Forms = {
    exp.Contains: contains,
    exp.EndsWith: ends_with,
    exp.RegexpLike: _like,
    exp.RegexpFullMatch: _full_match,
    exp.RegexpReplace: replaced,
    exp.RegexpExtract: extracted,
    exp.Substring: from_the_first,
    exp.StrPosition: lambda node: node,
    exp.Left: lambda node: node,
    exp.Right: lambda node: node,
    exp.Pad: lambda node: node,
    exp.Translate: lambda node: node,
    exp.Concat: lambda node: node,
    exp.ConcatWs: lambda node: node,
    exp.SplitPart: lambda node: node,
    exp.Reverse: lambda node: node,
    exp.Repeat: lambda node: node,
    exp.ByteLength: lambda node: call("OCTET_LENGTH", node.this),
    exp.MD5: lambda node: node,
}
