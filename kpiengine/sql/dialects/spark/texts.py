"""Texts on Spark. Its regular expressions are Java's."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.patterns import everywhere, full_match, group_number, matches, pattern, replacing
from kpiengine.sql.dialects.rewriting import Form, Forms, Unsayable, call, number, text
from kpiengine.sql.dialects.slices import from_the_first
from kpiengine.sql.dialects.strings import joined, left


def replaced(node: exp.RegexpReplace) -> exp.Expr:
    """regexp_replace(s, pattern, by, 'g')."""
    if not everywhere(node):
        raise Unsayable("every match or none: regexp_replace(s, pattern, by, 'g')")
    return call("REGEXP_REPLACE", *replacing(node))


def extracted(node: exp.RegexpExtract) -> exp.Expr:
    """regexp_extract(s, pattern, group)."""
    return call("REGEXP_EXTRACT", node.this, text(pattern(node.expression)), number(group_number(node)))


def _same(node: exp.Expr) -> exp.Expr:
    return node


_ALIKE: tuple[type[exp.Expr], ...] = (
    exp.Contains, exp.EndsWith, exp.StrPosition, exp.Right, exp.Pad, exp.Translate, exp.ConcatWs,
    exp.SplitPart, exp.Reverse, exp.Repeat, exp.MD5,
)  # fmt: skip
_SAME: dict[type[exp.Expr] | str, Form] = {kind: _same for kind in _ALIKE}

FORMS: Forms = {
    **_SAME,
    exp.RegexpLike: lambda node: call("REGEXP_LIKE", *matches(node)),
    exp.RegexpFullMatch: lambda node: call("REGEXP_LIKE", *full_match(node)),
    exp.RegexpReplace: replaced,
    exp.RegexpExtract: extracted,
    exp.Substring: from_the_first,
    exp.Left: left,
    exp.Concat: joined,
    exp.ByteLength: lambda node: call("OCTET_LENGTH", node.this),
}
