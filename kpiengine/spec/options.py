"""Options of plugins: read as plain values with places, checked against what the plugin declares."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from kpiengine.errors import Place, Problem, listing, suggest
from kpiengine.spec.fields import unknown_key
from kpiengine.spec.known import KnownKind, KnownOption
from kpiengine.spec.nodes import MappingNode, Node, ScalarNode, SequenceNode, plain, typed
from kpiengine.spec.specs import MetricSpec, Option
from kpiengine.spec.text import Text

TYPE_NAMES: dict[type, str] = {
    str: "a text", int: "a whole number", float: "a number", bool: "true or false", list: "a list",
    dict: "a mapping", dt.date: "a date",
}  # fmt: skip


def option_of(node: Node, key: Place) -> Option:
    """A node as an option, not yet checked. Dates are texts."""
    if isinstance(node, ScalarNode):
        written = node.shown() if node.fills else None
        return Option(node.typed(), node.place, key, node.as_text(), {}, written)
    parts: dict[Any, Option] = {}
    if isinstance(node, SequenceNode):
        parts = {number: option_of(item, item.place) for number, item in enumerate(node.items)}
    elif isinstance(node, MappingNode):
        parts = {name: option_of(item, node.keys[name].place) for name, item in node.items.items()}
    filled = any(part.written is not None for part in parts.values())
    return Option(plain(node), node.place, key, None, parts, plain(node, written=True) if filled else None)


def mapping_options(node: MappingNode) -> dict[str, Option]:
    """The entries of a mapping as options."""
    return {name: option_of(item, node.keys[name].place) for name, item in node.items.items()}


def checked_option(
    name: str, option: Option, types: type | tuple[type, ...], owner: str, problems: list[Problem]
) -> Option | None:
    """The option with its value in one of `types`, or None after a problem."""
    wanted = types if isinstance(types, tuple) else (types,)
    if option.text is None:
        if type(option.value) in wanted:
            return option
    else:
        for kind in wanted:
            value = _converted(option.value, option.text, kind, wanted)
            if value is not None:
                return replace(option, value=value)
    names = " or ".join(TYPE_NAMES.get(kind, kind.__name__) for kind in wanted)
    problems.append(Problem(option.place, f'"{name}" of {owner} must be {names}, not {_shown(option)}'))
    return None


def _converted(value: Any, text: Text, kind: type, wanted: tuple[type, ...]) -> Any:
    """A scalar as `kind`, or None. A number is a text only where no type of numbers is wanted."""
    if value is None and not text.value:
        return None
    if kind is str:
        return text.value if isinstance(value, str) or type(value) not in wanted else None
    if kind is float and type(value) is int:
        return float(value)
    if kind is dt.date:
        date = typed(text.value, dates=True)
        return date if isinstance(date, dt.date) else None
    return value if type(value) is kind else None


def _shown(option: Option) -> str:
    if option.text is None:
        return "a list" if isinstance(option.value, list) else "a mapping"
    if option.value is None:
        return "nothing"
    return f'"{option.shown}"' if isinstance(option.shown, str) else str(option.shown).lower()


def checked_kind(
    spec: MetricSpec, kind: KnownKind, shared: Mapping[str, object], problems: list[Problem]
) -> MetricSpec:
    """A metric of a kind with its options checked, alone and against each other. `shared` are keys that metrics of
    all kinds take, told where an unknown key is near one."""
    owner = f'metric "{spec.name}" of kind "{kind.name}"'
    declared = {name: option for name, option in kind.options.items() if name != "source"}
    options: dict[str, Option] = {}
    before = len(problems)
    for name, option in spec.options.items():
        if name in shared and name not in declared:
            continue  # `unit: EUR` is the metric's, unless its kind has a unit of its own
        if name not in declared:
            cure = suggest(name, [*declared, *shared]) or f"; its options: {listing(declared, 30)}"
            problems.append(Problem(option.key, f'unknown key "{name}" in {owner}{cure}'))
        elif option.value is None:
            continue  # `order: ~`: the default
        elif checked := checked_option(name, option, declared[name].type, owner, problems):
            _check_choice(name, checked, declared[name], owner, problems)
            options[name] = checked
    for name, declaration in kind.options.items():
        given = bool(spec.source) if name == "source" else name in spec.options
        if declaration.required and not given:
            problems.append(Problem(spec.place, f'{owner} needs "{name}"'))
    if len(problems) == before:
        values = values_with_defaults(options, declared) | ({"source": spec.source} if "source" in kind.options else {})
        for name, message in kind.check(values).items():
            place = options[name].place if name in options else spec.places.get(name, spec.place)
            problems.append(Problem(place, f'"{name}" of {owner}: {message}'))
    kinds_own: dict[str, Any] = {name: None for name in spec.options if name in shared and name in declared}
    return replace(spec, options=options, **kinds_own)


def _check_choice(name: str, option: Option, declared: KnownOption, owner: str, problems: list[Problem]) -> None:
    if declared.choices and isinstance(option.value, str) and option.value not in declared.choices:
        near = suggest(option.value, declared.choices)
        wanted = f"one of {listing(declared.choices, 20)}, not {_shown(option)}{near}"
        problems.append(Problem(option.place, f'"{name}" of {owner} must be {wanted}'))


def values_with_defaults(options: Mapping[str, Option], declared: Mapping[str, KnownOption]) -> dict[str, Any]:
    """The plain values of all declared options, defaults where nothing is given."""
    return {name: options[name].value if name in options else known.default for name, known in declared.items()}


def checked_options(
    options: Mapping[str, Option], declared: Mapping[str, type | tuple[type, ...]], owner: str, problems: list[Problem]
) -> dict[str, Option]:
    """A connector's or an engine's options, checked for their names and types; `~` is the default."""
    done: dict[str, Option] = {}
    for name, option in options.items():
        if name not in declared:
            problems.append(Problem(option.key, unknown_key(name, owner, declared)))
        elif option.value is not None and (checked := checked_option(name, option, declared[name], owner, problems)):
            done[name] = checked
    return done
