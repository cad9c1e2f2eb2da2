"""Texts on PostgreSQL: parts of them, and regular expressions as far as both engines read them alike."""

from __future__ import annotations

import re

from sqlglot import exp

from kpiengine.sql.dialects.rewriting import Forms, Unsayable, call, not_null, number, text
from kpiengine.sql.dialects.slices import from_the_first

# What RE2 and PostgreSQL read differently: word ends, \p{…}, \Q…\E, lazy repeats, groups of other sorts.
_UNLIKE = re.compile(r"\\[bBpPQEAzZCG]|[*+?}]\?|\(\?(?!:)|\[\[\.|\[\[=|\\x\{")


def contains(node: exp.Contains) -> exp.Expr:
    """contains(s, part)."""
    place = exp.StrPosition(this=node.this, substr=node.expression)
    return exp.paren(exp.GT(this=place, expression=number(0)))


def ends_with(node: exp.EndsWith) -> exp.Expr:
    """ends_with(s, part)."""
    end = exp.Right(this=node.this, expression=exp.Length(this=node.expression.copy()))
    return exp.paren(exp.EQ(this=end, expression=node.expression))


def pattern(node: exp.Expr | None) -> str:
    """A regular expression that both read alike. Raises Unsayable for another, or where it is not written out."""
    if not (isinstance(node, exp.Literal) and node.is_string):
        raise Unsayable("a regular expression has to be written out here")
    if _UNLIKE.search(node.this):
        raise Unsayable("this regular expression is read differently")
    return str(node.this)


def matches(node: exp.RegexpLike) -> exp.Expr:
    """regexp_matches(s, pattern)."""
    pattern(node.expression)
    if node.args.get("flag"):
        raise Unsayable("no options of regular expressions")
    return node


def full_match(node: exp.RegexpFullMatch) -> exp.Expr:
    """regexp_full_match(s, pattern)."""
    if node.args.get("options"):
        raise Unsayable("no options of regular expressions")
    return exp.RegexpLike(this=node.this, expression=text(f"^(?:{pattern(node.expression)})$"))


def replaced(node: exp.RegexpReplace) -> exp.Expr:
    """regexp_replace(s, pattern, by), of the first match or with 'g' of all."""
    modifiers = node.args.get("modifiers")
    if modifiers is not None and modifiers.name != "g":
        raise Unsayable("no options of regular expressions but g")
    flags = [modifiers] if modifiers is not None else []
    return call("REGEXP_REPLACE", node.this, text(pattern(node.expression)), node.args["replacement"], *flags)


def extracted(node: exp.RegexpExtract) -> exp.Expr:
    """regexp_extract(s, pattern, group): '' where nothing matches."""
    group = node.args.get("group") or number(0)
    if not (isinstance(group, exp.Literal) and not group.is_string):
        raise Unsayable("the group has to be a number")
    found = call("REGEXP_MATCH", node.this, text(f"({pattern(node.expression)})"))
    part = exp.Bracket(this=exp.paren(found), expressions=[number(group.this)])
    told = exp.Coalesce(this=part, expressions=[text("")])
    return exp.Case(ifs=[exp.If(this=not_null(node.this), true=told)])


def trimmed(node: exp.Trim) -> exp.Expr:
    """trim(s), trim(s, letters)."""
    return node


FORMS: Forms = {
    exp.Contains: contains,
    exp.EndsWith: ends_with,
    exp.RegexpLike: matches,
    exp.RegexpFullMatch: full_match,
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
