"""The reader of a project: `kpi.yaml` and the files under `metrics/`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from kpiengine.errors import Place, Problem, listing, suggest
from kpiengine.spec.engines import read_engines
from kpiengine.spec.fields import (
    Field,
    Missing,
    Site,
    choice,
    entries,
    read_fields,
    translated,
    unknown_key,
    value_places,
    word,
)
from kpiengine.spec.files import Definitions
from kpiengine.spec.find import PROJECT_FILE
from kpiengine.spec.known import KnownPlugins
from kpiengine.spec.nodes import MappingNode, Node, ScalarNode, YamlFile, called
from kpiengine.spec.options import mapping_options
from kpiengine.spec.source import read_source
from kpiengine.spec.specs import CalendarSpec, Option, ProjectSpec, SourceSpec
from kpiengine.spec.yaml import read_yaml

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
SECTIONS = ("metrics", "tests", "exports")
Named = tuple[str, dict[str, Option]]


def _named(node: Node, site: Site) -> Named | Missing:
    """`gregorian`, or `{fiscal: {starts: april}}`: a name, and its options."""
    if isinstance(node, ScalarNode):
        return node.text, {}
    if isinstance(node, MappingNode) and len(node.items) == 1:
        [(name, options)] = node.items.items()
        if isinstance(options, MappingNode):
            return name, mapping_options(options)
        if isinstance(options, ScalarNode) and options.null:
            return name, {}
    return site.wrong(node, "a name, or {name: {option: value, …}}")


def _timezone(node: Node, site: Site) -> str | Missing:
    name = word(node, site)
    if isinstance(name, Missing):
        return name
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # KeyError: ZoneInfoNotFoundError
        known = available_timezones()
        if known:  # a machine without a time zone database knows none: the engine has its own
            message = f"must be a time zone such as Europe/Berlin, not {called(node)}{suggest(name, known)}"
            return site.problem(node, message)
    return name


def _anything(node: Node, site: Site) -> Node:
    return node


PROJECT_FIELDS = {
    "name": Field(word),
    "description": Field(translated),
    "timezone": Field(_timezone),
    "language": Field(word),
    "calendar": Field(_named),
    "week_starts": Field(choice(*WEEKDAYS)),
    "engine": Field(_named),
    "engines": Field(_anything, may_be_empty=True),
    "sources": Field(_anything, may_be_empty=True),
    "metrics": Field(_anything, may_be_empty=True),
    "exports": Field(_anything, may_be_empty=True),
    "tests": Field(_anything, may_be_empty=True),
}


def read_project(root: Path, plugins: KnownPlugins) -> tuple[ProjectSpec, list[Problem]]:
    """The project in the folder `root`, without the library's metrics, and all that is wrong with its files.

    What is wrong is left out of the spec as far as need be: a caller that finds problems reports them and goes no
    further, save to look for more.
    """
    problems: list[Problem] = []
    secrets: set[str] = set()
    found = Definitions(plugins, problems)
    root = root.resolve()
    main, file = _read_mapping(root / PROJECT_FILE, PROJECT_FILE, problems)
    secrets.update(file.secrets)
    values = read_fields(main, PROJECT_FILE, PROJECT_FIELDS, problems) if main else {}
    sources = _read_sources(main, plugins, problems, found.broken)
    if main:
        found.add(main)
    for path in _metric_files(root / "metrics"):
        node, file = _read_mapping(path, path.relative_to(root).as_posix(), problems)
        secrets.update(file.secrets)
        if node:
            problems += _misplaced(node)
            found.add(node)
    engine, engines = read_engines(main, values.get("engine"), plugins, problems)
    spec = ProjectSpec(
        root=str(root),
        engine=engine,
        engines=engines,
        sources=sources,
        metrics=found.metrics,
        exports=found.exports,
        tests=tuple(found.tests),
        places=value_places(main) if main else {},
        broken=frozenset(found.broken),
        secrets=frozenset(secrets),
        **_settings(values, main, root),
    )
    return spec, sorted(dict.fromkeys(problems))


def _settings(values: dict[str, Any], main: MappingNode | None, root: Path) -> dict[str, Any]:
    settings: dict[str, Any] = {"name": root.name}
    settings |= {key: values[key] for key in ("name", "timezone", "language", "week_starts") if values.get(key)}
    if main and values.get("calendar"):
        name, options = values["calendar"]
        settings["calendar"] = CalendarSpec(name.lower(), options, main.items["calendar"].place)
    return settings


def _read_sources(
    main: MappingNode | None, plugins: KnownPlugins, problems: list[Problem], broken: set[str]
) -> dict[str, SourceSpec]:
    sources: dict[str, SourceSpec] = {}
    for name, key, node in entries(main.items.get("sources") if main else None, "source", problems):
        source = read_source(name, key.place, node, plugins, problems)
        if source:
            sources[name] = source
        else:
            broken.add(name)
    return sources


def _read_mapping(path: Path, shown: str, problems: list[Problem]) -> tuple[MappingNode | None, YamlFile]:
    try:
        data = path.read_bytes()
    except OSError as error:
        problems.append(Problem(Place(shown), f"cannot be read: {error.strerror or error}"))
        return None, YamlFile(shown, "")
    root, file = read_yaml(data, shown, problems)
    if root is None or isinstance(root, MappingNode):
        return root, file
    if not (isinstance(root, ScalarNode) and root.null):
        problems.append(Problem(root.place, f"{shown} must be a mapping, not {called(root)}"))
    return None, file


def _misplaced(node: MappingNode) -> Iterator[Problem]:
    """Problems of keys that a file under metrics/ does not take."""
    for key in node.items:
        if key in SECTIONS:
            continue
        message = unknown_key(key, "a file of metrics", SECTIONS)
        if key in PROJECT_FIELDS:
            message = f'"{key}" belongs in {PROJECT_FILE}; a file under metrics/ holds {listing(SECTIONS)}'
        yield Problem(node.keys[key].place, message)


def _metric_files(folder: Path) -> Iterator[Path]:
    """All *.yaml under `folder`, at any depth, in the order of their names; nothing that begins with a dot."""
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.endswith((".yaml", ".yml")) and not name.startswith("."):
                yield Path(directory) / name
