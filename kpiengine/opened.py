"""A project as it was opened before, its metrics checked, as long as its files and the plugins stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from kpiengine.cache import cache, tree_stamp
from kpiengine.compiled import Asked
from kpiengine.records import dataclass
from kpiengine.spec import KnownPlugins, MetricSpec, ProjectSpec, read_library
from kpiengine.spec.stored import NotStored, Texts
from kpiengine.spec.unread import Unread, layered

_KIND = "project"


@dataclass(frozen=True)
class Opened:
    """A project without problems. `spec` has the sources of target files; `metrics` are all, the library's first.

    `indexed` are the packages of which a file is read when it is asked for (see `Library`), `code` are the folders of
    the plugins that had a part in it.
    """

    spec: ProjectSpec
    metrics: Mapping[str, MetricSpec]
    indexed: Mapping[str, str]
    code: tuple[Path, ...]


def question(root: Path) -> Asked | None:
    """What the opening of a project depends on; None where nothing is kept."""
    return Asked.of(root, {"open": True})


def find_opened(asked: Asked, plugins: KnownPlugins) -> Opened | None:
    """The project as it was opened before, its metrics unread until they are asked for."""
    kept = cache().get(_KIND, asked.key)
    if kept is None or any(tree_stamp(Path(place)) != stamp for place, stamp in kept["code"]):
        return None
    texts = Texts(kept["texts"])
    spec: ProjectSpec = texts.read(kept["spec"])

    def unread(stored: Mapping[str, Any]) -> Mapping[str, MetricSpec]:
        return Unread(dict.fromkeys(stored, lambda name: texts.read(stored[name])))

    own, others = unread(kept["own"]), unread(kept["others"])
    library = read_library(kept["indexed"], plugins).metrics
    every = layered(library, own, others)
    metrics = Unread(dict.fromkeys(kept["order"], every.__getitem__))
    spec = replace(spec, metrics=own, tests=tuple(texts.read(test) for test in kept["tests"]))
    return Opened(spec, metrics, kept["indexed"], tuple(Path(place) for place, _ in kept["code"]))


def keep_opened(asked: Asked, opened: Opened, plugins: KnownPlugins) -> None:
    """Keeps a project for the next process; nothing where a value of it came from the environment.

    It has to be what was asked for: see `Asked.is_current`.
    """
    spec, texts = opened.spec, Texts()
    if spec.secrets:
        return
    try:
        own = {name: texts.stored(metric) for name, metric in spec.metrics.items()}
        indexed = read_library(opened.indexed, plugins).metrics.keys() - own.keys()
        others = {n: opened.metrics[n] for n in opened.metrics if n not in indexed}
        changed = {n: texts.stored(metric) for n, metric in others.items() if spec.metrics.get(n) is not metric}
        value: dict[str, Any] = {
            "spec": texts.stored(replace(spec, metrics={}, tests=())),
            "own": own,
            "others": changed,
            "indexed": dict(opened.indexed),
            "order": list(opened.metrics),
            "tests": [texts.stored(test) for test in spec.tests],
            "texts": texts.texts,
            "code": [[str(place), tree_stamp(place)] for place in opened.code],
        }
    except NotStored:
        return
    cache().put(_KIND, asked.key, value)
