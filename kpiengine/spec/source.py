"""The reader of `sources:`."""

from __future__ import annotations

from typing import Any

from kpiengine.errors import Place, Problem, listing
from kpiengine.spec.fields import Field, Missing, Site, read_fields, texts, translated, value_places, word, words
from kpiengine.spec.known import KnownConnector, KnownPlugins
from kpiengine.spec.nodes import MappingNode, Node, ScalarNode, called
from kpiengine.spec.options import checked_options, mapping_options, option_of
from kpiengine.spec.specs import JoinSpec, Option, SourceSpec
from kpiengine.spec.text import Text


def _as_it_is(node: Node, site: Site) -> Node:
    return node


def _columns(node: Node, site: Site) -> dict[str, Text] | Missing:
    """`{customer_id: Customer ID, amount: Quantity * Price}`."""
    if not isinstance(node, MappingNode):
        return site.wrong(node, "a mapping of names to columns or SQL")
    columns: dict[str, Text] = {}
    for name, item in node.items.items():
        if not isinstance(item, ScalarNode) or item.empty:
            site.problem(item, f'gives "{name}" {called(item)}, and takes a column or SQL')
        else:
            columns[name] = item.as_text()
    return columns


def _joins(node: Node, site: Site) -> dict[str, JoinSpec] | Missing:
    """`{customers: customer_id}`, `{name: {to: source, on: column}}`; lists of columns for composite keys."""
    if not isinstance(node, MappingNode):
        return site.wrong(node, "a mapping of source to column")
    joins: dict[str, JoinSpec] = {}
    for name, item in node.items.items():
        place = node.keys[name].place
        if isinstance(item, MappingNode):
            values = read_fields(item, f'join "{name}" of {site.owner}', JOIN_FIELDS, site.problems)
            on = values.get("on", ())
            to = values.get("to") or name
        else:
            found = words(item, Site(f'"joins" of {site.owner}', name, site.problems))
            on, to = (() if isinstance(found, Missing) else found), name
            if found == ():
                site.problem(item, f'names no column for "{name}"')
        if on:
            joins[name] = JoinSpec(name, to, on, place)
    return joins


JOIN_FIELDS = {"to": Field(word), "on": Field(words, required=True)}
SOURCE_FIELDS = {
    "from": Field(_as_it_is, required=True),
    "key": Field(words),
    "time": Field(word),
    "columns": Field(_columns, may_be_empty=True),
    "filters": Field(texts, may_be_empty=True),
    "joins": Field(_joins, may_be_empty=True),
    "label": Field(translated),
    "description": Field(translated),
}


def read_source(
    name: str, place: Place, node: Node, plugins: KnownPlugins, problems: list[Problem]
) -> SourceSpec | None:
    """One source; None where it does not say, or not rightly, where its rows come from."""
    owner = f'source "{name}"'
    if isinstance(node, ScalarNode) and not node.null:
        problems.append(Problem(node.place, f"{owner} must be a mapping: {{from: {node.written}}}"))
        return None
    values: dict[str, Any] = read_fields(node, owner, SOURCE_FIELDS, problems)
    origin = values.pop("from", None)
    found = _read_from(origin, owner, plugins, problems) if isinstance(origin, Node) else None
    if found is None:
        return None
    connector, options = found
    given = {key: value for key, value in values.items() if value is not None}
    return SourceSpec(name, connector, options, place=place, places=value_places(node), **given)


def _read_from(
    node: Node, owner: str, plugins: KnownPlugins, problems: list[Problem]
) -> tuple[str, dict[str, Option]] | None:
    if isinstance(node, ScalarNode):
        return _from_path(node, owner, plugins, problems)
    if not isinstance(node, MappingNode) or not node.items:
        wanted = "a path, or {connector: its options}"
        problems.append(Problem(node.place, f'"from" of {owner} must be {wanted}, not {called(node)}'))
        return None
    name, *others = node.items
    if others:
        cure = f"write {{{name}: {{…, {others[0]}: …}}}}: options stand under the connector"
        problems.append(Problem(node.keys[others[0]].place, f'"from" of {owner} names one connector; {cure}'))
        return None
    connector = plugins.connector(name)
    if connector is None:
        message = f'{owner}: unknown connector "{name}"{plugins.why_missing(name, plugins.connectors())}'
        problems.append(Problem(node.keys[name].place, message))
        return None
    place = node.keys[name].place
    return name, _options(connector, node.items[name], place, owner, problems)


def _from_path(
    node: ScalarNode, owner: str, plugins: KnownPlugins, problems: list[Problem]
) -> tuple[str, dict[str, Option]] | None:
    connector = plugins.connector_for(node.text)
    if connector is None:
        endings = listing([ending for known in plugins.connectors().values() for ending in known.endings], 30)
        cure = f"known are {endings}; or name one, {{connector: path}}"
        problems.append(Problem(node.place, f'{owner}: no connector takes the ending of "{node.written}"; {cure}'))
        return None
    return connector.name, _options(connector, node, node.place, owner, problems)


def _options(
    connector: KnownConnector, node: Node, place: Place, owner: str, problems: list[Problem]
) -> dict[str, Option]:
    owner = f'connector "{connector.name}" of {owner}'
    if isinstance(node, MappingNode):
        options = mapping_options(node)
    elif isinstance(node, ScalarNode) and node.null:
        options = {}
    elif connector.options:
        first = next(iter(connector.options))  # a bare value sets the first option
        options = {first: option_of(node, place)}
    else:
        problems.append(Problem(node.place, f"{owner} takes no options, not {called(node)}"))
        return {}
    problems += [
        Problem(place, f'{owner} needs "{name}"')
        for name in connector.required
        if name not in options or options[name].value is None
    ]
    return checked_options(options, connector.options, owner, problems)
