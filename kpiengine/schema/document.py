"""The schema of a whole file: its sections, and what stands in each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kpiengine.schema.texts import text_of
from kpiengine.schema.values import (
    NAMED,
    Schema,
    by_reader,
    number,
    of_option,
    of_types,
    one_or_many,
    or_nothing,
    scalars,
    text,
)
from kpiengine.spec.entries import EXPORT_FIELDS, QUERY_FIELDS, TEST_FIELDS
from kpiengine.spec.fields import Field
from kpiengine.spec.metric import FORMULA_FIELDS, METRIC_FIELDS, OTHERWISE_FIELDS, SHARED_FIELDS, TARGET_PERIODS
from kpiengine.spec.project import PROJECT_FIELDS, SECTIONS
from kpiengine.spec.source import JOIN_FIELDS, SOURCE_FIELDS

if TYPE_CHECKING:
    from kpiengine.plugins import Plugins
    from kpiengine.spec.known import KnownConnector, KnownKind

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def project_schema(plugins: Plugins) -> Schema:
    """The JSON Schema of kpi.yaml, with the connectors, kinds and calendars of the plugins installed."""
    root = _object("project", PROJECT_FIELDS, _special_values(plugins))
    return {"$schema": DRAFT, "title": "kpi.yaml", **root, "$defs": _definitions(plugins)}


def metrics_schema(plugins: Plugins) -> Schema:
    """The JSON Schema of a file under metrics/."""
    sections = {key: PROJECT_FIELDS[key] for key in SECTIONS}
    root = _object("project", sections, _special_values(plugins))
    definitions = _definitions(plugins)
    kept = {name: schema for name, schema in definitions.items() if name not in ("source", "join")}
    return {"$schema": DRAFT, "title": "A file of metrics", **root, "$defs": kept}


def _object(owner: str, fields: Mapping[str, Field], special: Mapping[tuple[str, str], Schema]) -> Schema:
    """A mapping with these keys and no others. A value is as its reader takes it, or as `special` says."""
    properties: Schema = {}
    for key, field in fields.items():
        known = special.get((owner, key))
        if known is None and owner == "export":
            known = special.get(("query", key))
        schema = or_nothing(known if known is not None else by_reader(field.read), field)
        description = text_of(owner, key)
        properties[key] = {**schema, "description": description} if description else schema
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    required = [key for key, field in fields.items() if field.required]
    return {**found, "required": required} if required else found


def _named(what: str) -> Schema:
    return {
        "type": "object",
        "propertyNames": {"pattern": NAMED},
        "additionalProperties": {"$ref": f"#/$defs/{what}"},
    }


def _special_values(plugins: Plugins) -> Mapping[tuple[str, str], Schema]:
    """Values that are more than what a reader of `spec.fields` takes."""
    rows = {"type": "array", "items": {"type": "object"}}
    columns = {"type": "object", "additionalProperties": text()}
    periods = {period: number() for period in TARGET_PERIODS}
    engines = _engines(plugins)
    return {
        ("project", "timezone"): {"type": "string"},
        ("project", "calendar"): _calendar(plugins),
        ("project", "engine"): _named_or_options(engines),
        ("project", "engines"): {"type": "object", "properties": engines, "additionalProperties": False},
        ("project", "sources"): _named("source"),
        ("project", "metrics"): _named("metric"),
        ("project", "exports"): _named("export"),
        ("project", "tests"): {"type": "array", "items": {"$ref": "#/$defs/test"}},
        ("source", "from"): _from(plugins),
        ("source", "columns"): columns,
        ("source", "joins"): {
            "type": "object",
            "additionalProperties": {"anyOf": [one_or_many(), {"$ref": "#/$defs/join"}]},
        },
        ("metric", "target"): {
            "anyOf": [
                number(),
                {"type": "object", "required": ["from"], "properties": {"from": text()}, "additionalProperties": False},
                {"type": "object", "minProperties": 1, "properties": periods, "additionalProperties": False},
            ]
        },
        ("metric", "near"): {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        ("metric", "otherwise"): {"$ref": "#/$defs/otherwise"},
        ("query", "by"): one_or_many(),
        ("query", "set"): scalars(),
        ("test", "given"): {"type": "object", "additionalProperties": {**rows, "type": ["array", "null"]}},
        ("test", "query"): {"$ref": "#/$defs/query"},
        ("test", "expect"): rows,
    }


def _definitions(plugins: Plugins) -> Schema:
    special = _special_values(plugins)
    kinds = plugins.kinds()
    return {
        "source": _object("source", SOURCE_FIELDS, special),
        "join": _object("join", JOIN_FIELDS, special),
        "metric": _metric(kinds),
        "formula_metric": _object("metric", METRIC_FIELDS, special),
        "extension": _extension(kinds, special),
        **{f"kind_{name}": _kind(kind, special) for name, kind in kinds.items()},
        "otherwise": _object("metric", OTHERWISE_FIELDS, special),
        "query": _object("query", QUERY_FIELDS, special),
        "export": _object("export", EXPORT_FIELDS, special),
        "test": _object("test", TEST_FIELDS, special),
    }


# -- metrics: which keys one takes depends on its kind


def _metric(kinds: Mapping[str, KnownKind]) -> Schema:
    of_kind = [
        {
            "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
            "then": {"$ref": f"#/$defs/kind_{name}"},
        }
        for name in kinds
    ]
    by_formula = {
        "if": {"required": ["extends"], "not": {"required": ["formula"]}},
        "then": {"$ref": "#/$defs/extension"},
        "else": {"$ref": "#/$defs/formula_metric", "anyOf": [{"required": ["formula"]}, {"required": ["extends"]}]},
    }
    whole = {
        "if": {"required": ["kind"]},
        "then": {"properties": {"kind": {"enum": sorted(kinds)}}, "allOf": of_kind},
        "else": by_formula,
    }
    return {"type": "object", "if": {"type": "object"}, "then": whole}  # what is no mapping is told once


def _kind(kind: KnownKind, special: Mapping[tuple[str, str], Schema]) -> Schema:
    """A metric of a kind: what every metric takes, and the kind's options. One that extends may leave some out."""
    found = _object("metric", SHARED_FIELDS, special)
    options = {name: of_option(option) for name, option in kind.options.items() if name != "source"}
    found["properties"] = {**found["properties"], **options}
    required = [name for name, option in kind.options.items() if option.required]
    if required:
        found |= {"if": {"not": {"required": ["extends"]}}, "then": {"required": required}}
    return found


def _extension(kinds: Mapping[str, KnownKind], special: Mapping[tuple[str, str], Schema]) -> Schema:
    """A metric that may turn out to have a formula, or be of any kind."""
    found = _object("metric", METRIC_FIELDS, special)
    for kind in kinds.values():
        for name, option in kind.options.items():
            if name in FORMULA_FIELDS or name in found["properties"]:
                found["properties"][name] = {} if name not in SHARED_FIELDS else found["properties"][name]
            else:
                found["properties"][name] = of_option(option)
    return found


# -- names with options


def _from(plugins: Plugins) -> Schema:
    connectors = plugins.connectors()
    options = {name: _connector(connector) for name, connector in connectors.items()}
    by_name = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": options,
        "additionalProperties": False,
    }
    return {"anyOf": [{"type": "string"}, by_name]}


def _connector(connector: KnownConnector) -> Schema:
    """Options of a connector, or the value of the first one alone."""
    options = {name: {"anyOf": [of_types(types), {"type": "null"}]} for name, types in connector.options.items()}
    whole: Schema = {"type": "object", "properties": options, "additionalProperties": False}
    if connector.required:
        whole["required"] = list(connector.required)
    first = next(iter(connector.options.values()), None)
    others = [of_types(first)] if first is not None else []
    if not connector.required:
        others.append({"type": "null"})
    return {"anyOf": [whole, *others]}


def _engines(plugins: Plugins) -> Schema:
    engines: Schema = {"duckdb": {"type": ["object", "null"]}}
    for name, engine in plugins.engines().items():
        options = {key: {"anyOf": [of_types(types), {"type": "null"}]} for key, types in engine.options.items()}
        engines[name] = {"type": ["object", "null"], "properties": options, "additionalProperties": False}
    return engines


def _calendar(plugins: Plugins) -> Schema:
    calendars: Schema = {}
    for name, calendar in plugins.calendars().items():
        options = {key: of_types(types) for key, types in calendar.options.items()}
        calendars[name] = {"type": ["object", "null"], "properties": options, "additionalProperties": False}
    return _named_or_options(calendars)


def _named_or_options(options: Mapping[str, Schema]) -> Schema:
    """`name`, or `{name: {option: value}}`."""
    by_name = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": dict(options),
        "additionalProperties": False,
    }
    return {"anyOf": [{"enum": list(options)}, by_name]}
