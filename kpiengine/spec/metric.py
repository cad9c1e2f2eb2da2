"""The reader of `metrics:`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kpiengine.errors import Place, Problem
from kpiengine.spec.fields import (
    Field,
    Missing,
    Site,
    choice,
    names,
    number,
    parameters,
    read_fields,
    text,
    texts,
    translated,
    unknown_key,
    value_places,
    word,
    words,
)
from kpiengine.spec.known import KnownPlugins
from kpiengine.spec.nodes import MappingNode, Node, ScalarNode
from kpiengine.spec.options import checked_kind, option_of
from kpiengine.spec.specs import MetricSpec, Option, TargetFile

TARGET_PERIODS = ("hour", "day", "week", "month", "quarter", "year")


def _near(node: Node, site: Site) -> float | int | Missing:
    share = number(node, site)
    if not isinstance(share, Missing) and not 0 < share <= 1:
        return site.wrong(node, "a share of the target between 0 and 1")
    return share


def _target(node: Node, site: Site) -> float | dict[str, float] | TargetFile | Missing:
    """A number, `{month: 120000, year: 1500000}`, or `{from: targets.csv}`."""
    if isinstance(node, ScalarNode):
        return number(node, site)
    if not isinstance(node, MappingNode) or not node.items:
        return site.wrong(node, "a number, {period: number, …} or {from: file}")
    owner = f'"target" of {site.owner}'
    if "from" in node.items:
        values = read_fields(node, owner, {"from": Field(word, required=True)}, site.problems)
        return TargetFile(values["from"], node.items["from"].place) if "from" in values else Missing.WRONG
    return read_fields(node, owner, dict.fromkeys(TARGET_PERIODS, Field(number)), site.problems)


def _otherwise(node: Node, site: Site) -> MetricSpec | Missing:
    """What stands in where the metric's own source is not mapped."""
    values = read_fields(node, f'"otherwise" of {site.owner}', OTHERWISE_FIELDS, site.problems)
    if not {"source", "formula"} <= values.keys():
        return Missing.WRONG
    return MetricSpec("", given=frozenset(values), place=node.place, places=value_places(node), **values)


OTHERWISE_FIELDS = {
    "source": Field(word, required=True),
    "formula": Field(text, required=True),
    "filters": Field(texts, may_be_empty=True),
    "time": Field(word),
}
SHARED_FIELDS = {
    "source": Field(word),
    "filters": Field(texts, may_be_empty=True),
    "label": Field(translated),
    "description": Field(translated),
    "unit": Field(word),
    "better": Field(choice("up", "down")),
    "owner": Field(word),
    "tags": Field(words, may_be_empty=True),
    "kind": Field(word),
    "extends": Field(word),
    "parameters": Field(parameters, may_be_empty=True),
}
"""Keys that every metric takes."""
KIND_MAY_TAKE = {"unit"}
"""Those of them that are the kind's where it has an option of that name."""
FORMULA_FIELDS = {
    "formula": Field(text),
    "grain": Field(names),
    "time": Field(word),
    "fill": Field(number),
    "target": Field(_target),
    "near": Field(_near),
    "otherwise": Field(_otherwise),
}
"""Keys of a metric that has a formula. A kind may have options of the same names (`time`)."""
METRIC_FIELDS = {
    key: (SHARED_FIELDS | FORMULA_FIELDS)[key]
    for key in dict.fromkeys(("source", "formula", *SHARED_FIELDS, *FORMULA_FIELDS))
}


def read_metric(name: str, place: Place, node: Node, library: str | None, problems: list[Problem]) -> MetricSpec | None:
    """One metric; None where nothing can be made of it.

    Which options a kind takes is checked afterwards (`check_kind`), when it is known of which kind an extension is.
    """
    owner = f'metric "{name}"'
    before = len(problems)
    if isinstance(node, ScalarNode) and not node.null:
        problems.append(Problem(node.place, f"{owner} must be a mapping: {{formula: {node.written}}}"))
        return None
    if not isinstance(node, MappingNode) or not node.items:
        problems.append(Problem(place, f"{owner} is empty; it needs a formula, a kind, or extends"))
        return None
    kept, options = _split(node)
    values = read_fields(kept, owner, METRIC_FIELDS, problems)
    has_own = any(values.get(key) is not None for key in ("formula", "kind", "extends"))
    if not has_own:
        if len(problems) == before:
            problems.append(Problem(place, f"{owner} needs a formula, a kind, or extends"))
        return None
    if values.get("formula") and values.get("kind"):
        message = f"{owner} has a kind and a formula; it can have one of them"
        problems.append(Problem(node.keys["formula"].place, message))
        return None
    if values.get("otherwise"):
        values["otherwise"] = replace(values["otherwise"], name=name, library=library)
    stated = {key: value for key, value in values.items() if value is not None}
    places = value_places(node)
    return MetricSpec(
        name, options=options, given=frozenset(node.items), place=place, places=places, library=library, **stated
    )


def _split(node: MappingNode) -> tuple[MappingNode, dict[str, Option]]:
    """The keys that are read as a metric's, and those that may be options of a kind.

    With `kind:` the latter are all but the shared ones (`unit` is both). An extension may turn out to be of a kind: its
    unknown keys may be options, and so may keys such as `time`, which are then both.
    """
    if "kind" in node.items:
        maybe = set(node.items) - (SHARED_FIELDS.keys() - KIND_MAY_TAKE) - {"formula"}
        read = set(node.items) - (maybe - KIND_MAY_TAKE)
    elif "extends" in node.items and "formula" not in node.items:
        maybe = set(node.items) - (SHARED_FIELDS.keys() - KIND_MAY_TAKE)
        read = set(node.items) & METRIC_FIELDS.keys()
    else:
        return node, {}
    options = {key: option_of(item, node.keys[key].place) for key, item in node.items.items() if key in maybe}
    kept = {key: item for key, item in node.items.items() if key in read}
    return MappingNode(node.file, node.line, node.column, kept, node.keys), options


def check_kind(spec: MetricSpec, plugins: KnownPlugins, problems: list[Problem]) -> MetricSpec:
    """A metric with nothing left to extend, its options checked against its kind; with a formula it has none."""
    if spec.kind is None:
        for name, option in spec.options.items():
            if name not in METRIC_FIELDS:
                problems.append(Problem(option.key, unknown_key(name, f'metric "{spec.name}"', METRIC_FIELDS)))
        return replace(spec, options={}) if spec.options else spec
    kind = plugins.kind(spec.kind)
    if kind is None:
        message = f'metric "{spec.name}": unknown kind "{spec.kind}"{plugins.why_missing(spec.kind, plugins.kinds())}'
        problems.append(Problem(spec.places.get("kind", spec.place), message))
        return spec
    return checked_kind(spec, kind, SHARED_FIELDS, problems)


def without_formula_keys(spec: MetricSpec) -> dict[str, Any]:
    """The defaults of those fields that a metric of a kind does not have."""
    blank = MetricSpec(spec.name)
    return {key: getattr(blank, key) for key in FORMULA_FIELDS}
