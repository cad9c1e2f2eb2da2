"""Texts on DataFusion. Its regular expressions are RE2's but for what a replacement may say."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.patterns import extracted, full_match, matches, replaced
from kpiengine.sql.dialects.rewriting import Forms, Unsayable, call, text
from kpiengine.sql.dialects.slices import from_the_first


def escaped(node: exp.Escape) -> exp.Expr:
    """LIKE … ESCAPE: a backslash is the one mark that DataFusion has."""
    like, mark = node.this, node.expression
    pattern = like.expression
    if not (isinstance(mark, exp.Literal) and isinstance(pattern, exp.Literal)):
        raise Unsayable("ESCAPE with a pattern that is written out")
    if mark.this != "\\" and "\\" in pattern.this:
        raise Unsayable("no backslash beside another mark")
    like.set("expression", text(pattern.this.replace(mark.this, "\\")))
    return exp.Escape(this=like, expression=text("\\"))


FORMS: Forms = {
    exp.Escape: escaped,
    exp.RegexpLike: lambda node: call("REGEXP_LIKE", *matches(node)),
    exp.RegexpFullMatch: lambda node: call("REGEXP_LIKE", *full_match(node)),
    exp.RegexpReplace: replaced,
    exp.RegexpExtract: extracted,
    exp.Substring: from_the_first,
    exp.Contains: lambda node: node,
    exp.EndsWith: lambda node: node,
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
