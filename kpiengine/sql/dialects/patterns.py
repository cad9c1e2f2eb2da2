"""Regular expressions, as far as engines read them alike: DuckDB's are RE2's."""

from __future__ import annotations

import re

from sqlglot import exp

from kpiengine.sql.dialects.rewriting import Unsayable, call, not_null, number, text

# Read differently somewhere: word ends, \p{…}, \Q…\E, lazy repeats, groups of other sorts.
_UNLIKE = re.compile(r"\\[bBpPQEAzZCG]|[*+?}]\?|\(\?(?!:)|\[\[\.|\[\[=|\\x\{")


def pattern(node: exp.Expr | None) -> str:
    """A regular expression that all read alike. Raises Unsayable for another, or where it is not written out."""
    if not (isinstance(node, exp.Literal) and node.is_string):
        raise Unsayable("a regular expression has to be written out here")
    if _UNLIKE.search(node.this):
        raise Unsayable("this regular expression is read differently")
    return str(node.this)


def matches(node: exp.RegexpLike) -> tuple[exp.Expr, exp.Expr]:
    """The text and the pattern of regexp_matches(s, pattern)."""
    if node.args.get("flag"):
        raise Unsayable("no options of regular expressions")
    return node.this, text(pattern(node.expression))


def full_match(node: exp.RegexpFullMatch) -> tuple[exp.Expr, exp.Expr]:
    """The text and the pattern, from end to end, of regexp_full_match(s, pattern)."""
    if node.args.get("options"):
        raise Unsayable("no options of regular expressions")
    return node.this, text(f"^(?:{pattern(node.expression)})$")


def replaced(node: exp.RegexpReplace) -> exp.Expr:
    """regexp_replace(s, pattern, by), of the first match or with 'g' of all."""
    return call("REGEXP_REPLACE", *replacing(node), *([text("g")] if everywhere(node) else []))


def everywhere(node: exp.RegexpReplace) -> bool:
    """Whether every match is replaced, and not the first alone."""
    modifiers = node.args.get("modifiers")
    if modifiers is not None and modifiers.name != "g":
        raise Unsayable("no options of regular expressions but g")
    return modifiers is not None


def replacing(node: exp.RegexpReplace) -> tuple[exp.Expr, exp.Expr, exp.Expr]:
    """The text, the pattern and what stands in a match's place, which is plain text."""
    by = node.args["replacement"]
    if not (isinstance(by, exp.Literal) and by.is_string) or any(mark in by.this for mark in "\\$"):
        raise Unsayable("what a match is replaced by has to be a plain text")
    return node.this, text(pattern(node.expression)), by


def group_number(node: exp.RegexpExtract) -> int:
    """Which group regexp_extract(s, pattern, group) gives; 0 is the whole match."""
    group = node.args.get("group")
    if group is None:
        return 0
    if not (isinstance(group, exp.Literal) and group.is_int):
        raise Unsayable("the group has to be a number")
    return int(group.this)


def extracted(node: exp.RegexpExtract) -> exp.Expr:
    """regexp_extract(s, pattern, group): '' where nothing matches."""
    found = call("REGEXP_MATCH", node.this, text(f"({pattern(node.expression)})"))
    part = exp.Bracket(this=exp.paren(found), expressions=[number(group_number(node))])
    told = exp.Coalesce(this=part, expressions=[text("")])
    return exp.Case(ifs=[exp.If(this=not_null(node.this), true=told)])
