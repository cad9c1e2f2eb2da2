"""The readers of `exports:` and `tests:`: what a query may say, in a file."""

from __future__ import annotations

from typing import Any

from kpiengine.errors import Place, Problem
from kpiengine.spec.fields import (
    Field,
    Missing,
    Site,
    count,
    flag,
    names,
    read_fields,
    scalars,
    translated,
    value_places,
    word,
    words,
)
from kpiengine.spec.nodes import MappingNode, Node, ScalarNode, SequenceNode, called, plain
from kpiengine.spec.specs import ExportSpec, TestSpec

Rows = tuple[dict[str, Any], ...]


def _by(node: Node, site: Site) -> tuple[str, ...] | Missing:
    """Periods and dimensions; `none` asks for the grand total."""
    found = names(node, site)
    if isinstance(node, SequenceNode) and not node.items:
        return ()
    return () if not isinstance(found, Missing) and [n.lower() for n in found] == ["none"] else found


def _rows(node: Node, site: Site) -> Rows | Missing:
    """A list of rows, each a mapping of column to value; unquoted dates are dates."""
    if not isinstance(node, SequenceNode):
        return site.wrong(node, "a list of rows, [{column: value, …}, …]")
    rows: list[dict[str, Any]] = []
    for item in node.items:
        if not isinstance(item, MappingNode):
            site.problem(item, f"holds {called(item)}, and a row is a mapping of column to value")
            continue
        rows.append(plain(item, dates=True))
    return tuple(rows)


def _given(node: Node, site: Site) -> dict[str, Rows] | Missing:
    if not isinstance(node, MappingNode):
        return site.wrong(node, "a mapping of source to rows")
    given: dict[str, Rows] = {}
    for source, item in node.items.items():
        empty = isinstance(item, ScalarNode) and item.null
        rows = () if empty else _rows(item, Site(f'"given" of {site.owner}', source, site.problems))
        if not isinstance(rows, Missing):
            given[source] = rows
    return given


def _query(node: Node, site: Site) -> dict[str, Any]:
    return read_fields(node, f"the query of {site.owner}", QUERY_FIELDS, site.problems)


QUERY_FIELDS = {
    "metrics": Field(names, required=True),
    "by": Field(_by),
    "where": Field(words),
    "having": Field(words),
    "since": Field(word),
    "until": Field(word),
    "order": Field(names),
    "limit": Field(count),
    "per": Field(names),
    "totals": Field(flag),
    "fill": Field(flag),
    "complete": Field(flag),
    "targets": Field(flag),
    "compare": Field(word),
    "as_of": Field(word),
    "timezone": Field(word),
    "language": Field(word),
    "set": Field(scalars),
}
"""What a query may say in a file. Dates stay texts, since they may be `-90d` or `jalali:1405-01-01`."""
EXPORT_FIELDS = QUERY_FIELDS | {"partition_by": Field(names), "path": Field(word), "label": Field(translated)}
TEST_FIELDS = {
    "name": Field(word, required=True),
    "description": Field(word),
    "given": Field(_given, required=True, may_be_empty=True),
    "query": Field(_query, required=True),
    "expect": Field(_rows, required=True, may_be_empty=True),
}


def read_export(name: str, place: Place, node: Node, problems: list[Problem]) -> ExportSpec | None:
    """One export; None without metrics."""
    owner = f'export "{name}"'
    values = read_fields(node, owner, EXPORT_FIELDS, problems)
    values.pop("label", None)
    metrics = values.pop("metrics", None)
    by = values.pop("by", None)
    partition_by = values.pop("partition_by", None) or ()
    places = value_places(node)
    if by is not None:
        for column in partition_by:
            if column.lower() not in {dimension.lower() for dimension in by}:
                message = f'"partition_by" of {owner} names "{column}", which is not in "by"'
                problems.append(Problem(places["partition_by"], message))
    if not metrics:
        return None
    path = values.pop("path", None)
    options = {key: value for key, value in values.items() if value is not None}
    return ExportSpec(name, metrics, by, partition_by, path, options, place, places)


def read_tests(node: Node | None, problems: list[Problem]) -> tuple[TestSpec, ...]:
    """The list under `tests:`."""
    if node is None or (isinstance(node, ScalarNode) and node.null):
        return ()
    if not isinstance(node, SequenceNode):
        problems.append(Problem(node.place, f'"tests" must be a list, not {called(node)}'))
        return ()
    found = (_read_test(item, problems) for item in node.items)
    return tuple(test for test in found if test)


def _read_test(node: Node, problems: list[Problem]) -> TestSpec | None:
    named = node.items.get("name") if isinstance(node, MappingNode) else None
    owner = f'test "{named.text}"' if isinstance(named, ScalarNode) and not named.null else "a test"
    values = read_fields(node, owner, TEST_FIELDS, problems)
    if not values.get("name") or not values.get("query", {}).get("metrics"):
        return None
    query = {key: value for key, value in values["query"].items() if value is not None}
    return TestSpec(values["name"], values.get("given", {}), query, values.get("expect", ()), node.place)
