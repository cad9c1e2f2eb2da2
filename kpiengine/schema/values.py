"""How the value of a key looks, as JSON Schema: for each reader of `kpiengine.spec.fields` and each type of option."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from kpiengine.spec import fields
from kpiengine.spec.fields import Choice, Field
from kpiengine.spec.known import KnownOption

Schema = dict[str, Any]

NAMED = r'^[^\s.,:"]([^.,:"\n]*[^\s.,:"])?$'
"""What a source, a metric or an export may be called."""
_FILLED = {"type": "string", "pattern": r"\$\{"}
"""`${NAME}`: a number or a word that comes from the environment."""


def text() -> Schema:
    """A text; a number or true is the text that it is written as."""
    return {"type": ["string", "number", "boolean"]}


def one_or_many() -> Schema:
    """A text, or a list of texts."""
    return {"anyOf": [text(), {"type": "array", "items": text()}]}


def number() -> Schema:
    """A number."""
    return {"anyOf": [{"type": "number"}, _FILLED]}


def count() -> Schema:
    """A whole number from 0."""
    return {"anyOf": [{"type": "integer", "minimum": 0}, _FILLED]}


def flag() -> Schema:
    """true or false."""
    return {"anyOf": [{"type": "boolean"}, _FILLED]}


def translated() -> Schema:
    """A text, or language → text."""
    return {"anyOf": [text(), {"type": "object", "additionalProperties": text()}]}


def scalars() -> Schema:
    """Name → single value."""
    return {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean", "null"]}}


def parameters() -> Schema:
    """Name → single value, or a list of them."""
    single: Schema = {"type": ["string", "number", "boolean", "null"]}
    return {"type": "object", "additionalProperties": {"anyOf": [single, {"type": "array", "items": single}]}}


_BY_READER: Mapping[object, Callable[[], Schema]] = {
    fields.text: text,
    fields.word: text,
    fields.texts: one_or_many,
    fields.words: one_or_many,
    fields.names: one_or_many,
    fields.number: number,
    fields.count: count,
    fields.flag: flag,
    fields.translated: translated,
    fields.scalars: scalars,
    fields.parameters: parameters,
}


def by_reader(read: object) -> Schema:
    """The schema of what a reader takes. KeyError for a reader that is known only where it stands."""
    if isinstance(read, Choice):
        return {
            "anyOf": [{"enum": list(read.choices)}, _FILLED, {"pattern": _any_case(read.choices), "type": "string"}]
        }
    return _BY_READER[read]()


def _any_case(words: tuple[str, ...]) -> str:
    letters = ("".join(f"[{c.lower()}{c.upper()}]" for c in word) for word in words)
    return f"^({'|'.join(letters)})$"


def or_nothing(schema: Schema, field: Field) -> Schema:
    """With null, where a key may be left empty or `~` stands for its default."""
    if field.required and not field.may_be_empty:
        return schema
    kind = schema.get("type")
    if kind is not None and "enum" not in schema and "const" not in schema:
        return {**schema, "type": [*([kind] if isinstance(kind, str) else kind), "null"]}
    if set(schema) == {"anyOf"}:
        return {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    return {"anyOf": [schema, {"type": "null"}]}


# -- options of plugins

_TYPES: Mapping[type, Callable[[], Schema]] = {
    str: text,
    int: lambda: {"anyOf": [{"type": "integer"}, _FILLED]},
    float: number,
    bool: flag,
    list: lambda: {"type": "array"},
    dict: lambda: {"type": "object"},
    dt.date: lambda: {"type": "string"},
}


def of_types(types: type | tuple[type, ...]) -> Schema:
    """The schema of a connector's option."""
    wanted = types if isinstance(types, tuple) else (types,)
    found = [_TYPES[kind]() if kind in _TYPES else {} for kind in wanted]
    return found[0] if len(found) == 1 else {"anyOf": found}


def of_option(option: KnownOption) -> Schema:
    """The schema of a kind's option, its default and description with it."""
    schema = {"enum": list(option.choices)} if option.choices else of_types(option.type)
    if option.choices and isinstance(option.type, tuple):  # words, or else a list or a mapping
        others = [kind for kind in option.type if kind is not str]
        schema = {"anyOf": [schema, *(_TYPES[kind]() for kind in others if kind in _TYPES)]}
    schema = {"anyOf": [schema, {"type": "null"}]}
    description = getattr(option, "description", "")
    if option.default is not None:
        description = f"{description} Default: {option.default}.".strip()
    return {**schema, "description": description} if description else schema
