"""The reader of `engine:`, which chooses, and `engines:`, which holds the settings of several."""

from __future__ import annotations

from collections.abc import Mapping

from kpiengine.errors import Place, Problem
from kpiengine.spec.fields import entries
from kpiengine.spec.known import KnownPlugins
from kpiengine.spec.nodes import MappingNode, ScalarNode, called
from kpiengine.spec.options import checked_options, mapping_options
from kpiengine.spec.specs import EngineSpec, Option

EMBEDDED = "duckdb"
"""The engine that is no plugin; its settings are checked by DuckDB itself."""

Chosen = tuple[str, Mapping[str, Option]]


def read_engines(
    main: MappingNode | None, chosen: Chosen | None, plugins: KnownPlugins, problems: list[Problem]
) -> tuple[str | None, dict[str, EngineSpec]]:
    """The engine that the project names, and the settings of all that have some, checked against their plugins.

    `chosen` is what `engine:` says. Settings under `engines:` and under `engine:` for one engine are a problem.
    """
    engines: dict[str, EngineSpec] = {}
    for name, key, node in entries(main.items.get("engines") if main else None, "engine", problems):
        if isinstance(node, MappingNode):
            engines[name.lower()] = EngineSpec(name.lower(), mapping_options(node), key.place)
        elif isinstance(node, ScalarNode) and node.null:
            engines[name.lower()] = EngineSpec(name.lower(), {}, key.place)
        else:
            wanted = f"a mapping of its settings, not {called(node)}"
            problems.append(Problem(node.place, f'"{name}" of engines must be {wanted}'))
    if main is None or chosen is None:
        return None, _checked(engines, None, plugins, problems)
    name, options, place = chosen[0].lower(), chosen[1], main.items["engine"].place
    if options and engines.get(name, EngineSpec(name)).options:
        problems.append(Problem(place, f'engine "{name}" has settings here and under engines: give them once'))
    if options or name not in engines:
        engines[name] = EngineSpec(name, options, place)
    return name, _checked(engines, name, plugins, problems)


def _checked(
    engines: Mapping[str, EngineSpec], chosen: str | None, plugins: KnownPlugins, problems: list[Problem]
) -> dict[str, EngineSpec]:
    found: dict[str, EngineSpec] = {}
    for name, spec in engines.items():
        engine = None if name == EMBEDDED else plugins.engine(name)
        if name == EMBEDDED:
            found[name] = spec
        elif engine is None:
            known = [EMBEDDED, *plugins.engines()]
            problems.append(Problem(spec.place, f'there is no engine "{name}"{plugins.why_missing(name, known)}'))
        else:
            owner = f'engine "{name}"'
            options = checked_options(spec.options, engine.options, owner, problems)
            problems += missing_settings(owner, engine.required, spec.options, spec.place) if name == chosen else []
            found[name] = EngineSpec(name, options, spec.place)
    return found


def missing_settings(
    owner: str, required: tuple[str, ...], options: Mapping[str, Option], place: Place
) -> list[Problem]:
    """Problems of settings that an engine needs and does not have."""
    absent = [name for name in required if name not in options or options[name].value is None]
    return [Problem(place, f'{owner} needs "{name}"') for name in absent]
