"""The YAML files of a package that a plugin brings (`register_metrics`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from weakref import WeakKeyDictionary

from kpiengine.errors import Place, Problem
from kpiengine.spec.fields import unknown_key
from kpiengine.spec.files import Definitions
from kpiengine.spec.known import KnownPlugins
from kpiengine.spec.nodes import MappingNode, called
from kpiengine.spec.specs import MetricSpec, TestSpec
from kpiengine.spec.yaml import read_yaml

LIBRARY_KEYS = ("metrics", "tests")

_Found = tuple[dict[str, MetricSpec], tuple[TestSpec, ...], list[Problem]]
_READ: WeakKeyDictionary[KnownPlugins, dict[tuple[str, str], tuple[list[tuple[str, bytes]], _Found]]]
_READ = WeakKeyDictionary()
"""What a package's files were when they were last read, and what they said: for who opens many projects."""


def read_metrics_package(package: str, plugin: str, plugins: KnownPlugins) -> _Found:
    """The metrics and tests of all *.yaml files of `package`, at any depth, and what is wrong with them.

    Paths in messages begin with the package's name. `extends` is not resolved yet.
    """
    try:
        folder = files(package)
    except ModuleNotFoundError:
        return {}, (), [Problem(Place(), f'plugin "{plugin}": there is no package "{package}"')]
    texts = [(path, file.read_bytes()) for path, file in _yaml_files(folder, package.replace(".", "/"))]
    before = _READ.setdefault(plugins, {})
    known = before.get((package, plugin))
    if known is None or known[0] != texts:
        known = before[package, plugin] = texts, _read(texts, plugin, plugins)
    metrics, tests, problems = known[1]
    return dict(metrics), tests, list(problems)


def _read(texts: Iterable[tuple[str, bytes]], plugin: str, plugins: KnownPlugins) -> _Found:
    problems: list[Problem] = []
    found = Definitions(plugins, problems, library=plugin)
    for path, text in texts:
        root, _ = read_yaml(text, path, problems)
        if isinstance(root, MappingNode):
            problems += [
                Problem(root.keys[key].place, unknown_key(key, "a library file", LIBRARY_KEYS))
                for key in root.items
                if key not in LIBRARY_KEYS
            ]
            found.add(root)
        elif root is not None:
            problems.append(Problem(root.place, f"a file of metrics must be a mapping, not {called(root)}"))
    return found.metrics, tuple(found.tests), sorted(dict.fromkeys(problems))


def _yaml_files(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if entry.name.startswith((".", "__")):
            continue
        if entry.is_dir():
            yield from _yaml_files(entry, f"{path}/{entry.name}")
        elif entry.name.endswith((".yaml", ".yml")):
            yield f"{path}/{entry.name}", entry
