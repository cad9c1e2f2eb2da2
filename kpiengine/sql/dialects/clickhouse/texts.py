"""Texts on ClickHouse: its own functions count bytes unless they are called by their UTF8 names."""

from __future__ import annotations

from sqlglot import exp

from kpiengine.sql.dialects.clickhouse.numbers import both, named
from kpiengine.sql.dialects.patterns import everywhere, full_match, group_number, matches, pattern, replacing
from kpiengine.sql.dialects.rewriting import Forms, Unsayable, call, not_null, number, text
from kpiengine.sql.dialects.slices import from_the_first


def part(node: exp.Substring) -> exp.Expr:
    """substring(s, start, length)."""
    found = from_the_first(node)
    if isinstance(found, exp.Right):
        return call("rightUTF8", found.this, found.expression)
    length = node.args.get("length")
    return call("substringUTF8", node.this, node.args["start"], *([length] if length is not None else []))


def padded(node: exp.Pad) -> exp.Expr:
    """lpad(s, length, letters), rpad."""
    name = "leftPadUTF8" if node.args.get("is_left") else "rightPadUTF8"
    return call(name, node.this, node.expression, node.args["fill_pattern"])


def translated(node: exp.Translate) -> exp.Expr:
    """translate(s, from, to), a letter for each letter."""
    source, target = node.args["from_"], node.args["to"]
    if not all(isinstance(t, exp.Literal) for t in (source, target)) or len(source.this) != len(target.this):
        raise Unsayable("it takes as many letters as it gives, both written out")
    return call("translateUTF8", node.this, source, target)


def split(node: exp.SplitPart) -> exp.Expr:
    """split_part(s, delimiter, n): '' where there are fewer parts."""
    place = node.args["part_index"]
    parts = call("splitByString", node.args["delimiter"], _known(node.this))
    return _or_null(node.this, call("arrayElement", parts, place))


def extracted(node: exp.RegexpExtract) -> exp.Expr:
    """regexp_extract(s, pattern, group): '' where nothing matches."""
    groups = call("extractGroups", _known(node.this), text(f"({pattern(node.expression)})"))
    return _or_null(node.this, call("arrayElement", groups, number(group_number(node) + 1)))


def replaced(node: exp.RegexpReplace) -> exp.Expr:
    """regexp_replace(s, pattern, by), of the first match or with 'g' of all."""
    return call("replaceRegexpAll" if everywhere(node) else "replaceRegexpOne", *replacing(node))


def joined(node: exp.ConcatWs) -> exp.Expr:
    """concat_ws(separator, …), without those that are NULL."""
    separator, *parts = node.expressions
    given = exp.Lambda(this=call("isNotNull", exp.column("x")), expressions=[exp.to_identifier("x")])
    return call("arrayStringConcat", call("arrayFilter", given, exp.Array(expressions=parts)), separator)


def _known(node: exp.Expr) -> exp.Expr:
    return call("assumeNotNull", node.copy())


def _or_null(node: exp.Expr, told: exp.Expr) -> exp.Expr:
    return exp.Case(ifs=[exp.If(this=not_null(node), true=told)])


FORMS: Forms = {
    exp.Lower: named("lowerUTF8"),
    exp.Upper: named("upperUTF8"),
    exp.Length: named("lengthUTF8"),
    exp.ByteLength: named("length"),
    exp.Reverse: named("reverseUTF8"),
    exp.Left: both("leftUTF8"),
    exp.Right: both("rightUTF8"),
    exp.StartsWith: both("startsWith"),
    exp.EndsWith: both("endsWith"),
    exp.Contains: lambda node: exp.paren(
        exp.GT(this=call("position", node.this, node.expression), expression=number(0))
    ),
    exp.StrPosition: lambda node: call("positionUTF8", node.this, node.args["substr"]),
    exp.Substring: part,
    exp.Pad: padded,
    exp.Translate: translated,
    exp.SplitPart: split,
    exp.RegexpLike: lambda node: call("match", *matches(node)),
    exp.RegexpFullMatch: lambda node: call("match", *full_match(node)),
    exp.RegexpReplace: replaced,
    exp.RegexpExtract: extracted,
    exp.ConcatWs: joined,
    exp.Concat: lambda node: node,
    exp.Repeat: lambda node: node,
    "file": lambda node: node,  # in a FROM clause: the engine's own reading of a path
}
