"""The YAML files of a package that a plugin brings (`register_metrics`).

A package may have an index (`kpiengine_index.json`): its files with their SHA-256, and the file of each metric. Where
it is true, a file is read when one of its metrics is asked for; else all are read at once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from weakref import WeakKeyDictionary

from kpiengine.errors import Place, Problem
from kpiengine.records import dataclass
from kpiengine.spec.fields import unknown_key
from kpiengine.spec.files import Definitions
from kpiengine.spec.known import KnownPlugins
from kpiengine.spec.nodes import MappingNode, called
from kpiengine.spec.specs import MetricSpec, TargetFile, TestSpec
from kpiengine.spec.unread import Unread
from kpiengine.spec.yaml import read_yaml

LIBRARY_KEYS = ("metrics", "tests")
INDEX = "kpiengine_index.json"

_Texts = list[tuple[str, bytes]]
_Found = tuple[dict[str, MetricSpec], tuple[TestSpec, ...], list[Problem]]
_READ: WeakKeyDictionary[KnownPlugins, dict[tuple[str, str], tuple[_Texts, _Found]]]
_READ = WeakKeyDictionary()
"""What a package's files were when they were last read, and what they said: for who opens many projects."""


@dataclass(frozen=True)
class Library:
    """The metrics of all packages; of two with one name the first package's.

    `whole` are those of packages that were read at once, `problems` what is wrong with these. `indexed` are the other
    packages, by plugin: they have no target files, and were right when their index was made.
    """

    metrics: Mapping[str, MetricSpec]
    whole: Mapping[str, MetricSpec]
    problems: list[Problem]
    indexed: Mapping[str, str]


def read_library(packages: Mapping[str, str], plugins: KnownPlugins) -> Library:
    """The metrics of packages (plugin → package). `extends` is not resolved yet."""
    makers: dict[str, Callable[[str], MetricSpec]] = {}
    whole: dict[str, MetricSpec] = {}
    problems: list[Problem] = []
    indexed = {}
    for plugin, package in packages.items():
        found = read_when_asked(package, plugin, plugins)
        if found is not None:
            indexed[plugin] = package
        else:
            found, _, wrong = read_metrics_package(package, plugin, plugins)
            problems += wrong
            whole |= {name: metric for name, metric in found.items() if name not in makers}
        for name in found:
            makers.setdefault(name, found.__getitem__)
    return Library(Unread(makers), whole, problems, indexed)


def read_when_asked(package: str, plugin: str, plugins: KnownPlugins) -> Mapping[str, MetricSpec] | None:
    """The metrics of a package, a file read when one of its own is asked for; None where no index tells which."""
    try:
        folder = files(package)
    except ModuleNotFoundError:
        return None
    if not (folder / INDEX).is_file():
        return None
    texts = dict(_texts(folder, package))
    index = json.loads((folder / INDEX).read_bytes())
    if index["files"] != {path: _hash(text) for path, text in texts.items()}:
        return None
    read = {path: _File(path, text, plugin, plugins) for path, text in texts.items()}
    return Unread({name: read[path].metric for name, path in index["metrics"].items()})


def index_of(package: str, plugin: str, plugins: KnownPlugins) -> str:
    """What the index of a package is to say. Raises ValueError where it is to have none."""
    metrics, _, problems = read_metrics_package(package, plugin, plugins)
    if problems or any(isinstance(metric.target, TargetFile) for metric in metrics.values()):
        raise ValueError(f"{package} has problems or target files, and so no index")
    index = {
        "files": {path: _hash(text) for path, text in _texts(files(package), package)},
        "metrics": {name: metric.place.path for name, metric in metrics.items()},
    }
    return json.dumps(index, indent=1) + "\n"


def read_metrics_package(package: str, plugin: str, plugins: KnownPlugins) -> _Found:
    """The metrics and tests of all *.yaml files of `package`, at any depth, and what is wrong with them.

    Paths in messages begin with the package's name. `extends` is not resolved yet.
    """
    try:
        folder = files(package)
    except ModuleNotFoundError:
        return {}, (), [Problem(Place(), f'plugin "{plugin}": there is no package "{package}"')]
    texts = _texts(folder, package)
    before = _READ.setdefault(plugins, {})
    known = before.get((package, plugin))
    if known is None or known[0] != texts:
        known = before[package, plugin] = texts, _read(texts, plugin, plugins)
    metrics, tests, problems = known[1]
    return dict(metrics), tests, list(problems)


class _File:
    """A file of metrics, read when the first of them is asked for."""

    def __init__(self, path: str, text: bytes, plugin: str, plugins: KnownPlugins) -> None:
        self._given = [(path, text)], plugin, plugins

    @cached_property
    def _metrics(self) -> Mapping[str, MetricSpec]:
        return _read(*self._given)[0]

    def metric(self, name: str) -> MetricSpec:
        """The metric of that name."""
        return self._metrics[name]


def _texts(folder: Traversable, package: str) -> _Texts:
    return [(path, file.read_bytes()) for path, file in _yaml_files(folder, package.replace(".", "/"))]


def _hash(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


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
