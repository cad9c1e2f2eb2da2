"""A query compiled by an earlier process: its statement, and all that has to be as it was for it to be the same.

Looked for before anything of the engine is loaded, so that a query that was asked before costs what DuckDB costs. It is
found by its options, the content of the project's YAML, the environment that the project names, and what is installed;
it is believed where its files, patterns and plugins, and the day, are as they were. An export is kept like a query.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kpiengine.cache import Cache, Identity, cache, code_stamp, identity, key_of, tree_stamp
from kpiengine.records import dataclass

KIND = "query"
_PROJECT_FILE = "kpi.yaml"
_VARIABLE = re.compile(rb"\$\{([A-Za-z_][A-Za-z0-9_]*)")
_SETTINGS = "KPI_"
_OWN_SETTING = "KPI_CACHE"


@dataclass(frozen=True)
class Column:
    """A column of the answer, as it is shown. `role` is that of the plan's output column."""

    name: str
    role: str
    unit: str | None


@dataclass(frozen=True)
class CompiledQuery:
    """What runs, and what it stands on.

    `before` are statements that make the session (settings, attached files). `files` are the identities of all files
    that it reads; `patterns` what each pattern of a source matched; `code` folders of plugins with their stamps;
    `today` a time zone and the day there, where the question has a date that moves. `rows` is how many it gave.
    `definitions` are the hashes of its metrics' definitions, which an export's footer tells.
    """

    statement: str
    columns: tuple[Column, ...]
    before: tuple[str, ...]
    files: tuple[Identity, ...]
    patterns: tuple[tuple[str, tuple[str, ...]], ...] = ()
    code: tuple[tuple[str, str], ...] = ()
    today: tuple[str, str] | None = None
    rows: int = 0
    definitions: tuple[tuple[str, str], ...] = ()

    def holds(self) -> bool:
        """Whether everything it stands on is as it was."""
        now = sys.maxsize
        return (
            all(identity(Path(known[0]), now) == known for known in self.files)
            and all(matching(pattern) == found for pattern, found in self.patterns)
            and all(tree_stamp(Path(place)) == stamp for place, stamp in self.code)
            and (self.today is None or today_in(self.today[0]) == self.today[1])
        )


@dataclass(frozen=True)
class Asked:
    """A question with all that its compilation depends on, beside data, as it was at `since` (nanoseconds).

    `project` is a hash of what any question to this project depends on.
    """

    root: Path
    options: Mapping[str, Any]
    project: str
    since: int

    @property
    def key(self) -> str:
        """What the answer is kept under."""
        return key_of(self.options, self.project)

    @classmethod
    def of(cls, start: Path, options: Mapping[str, Any]) -> Asked | None:
        """A query's options in the project at or above `start`; None where there is no project, or nothing is kept."""
        since, root = time.time_ns(), _project(start)
        if root is None or cache().folder is None:
            return None
        try:
            return cls(root, options, _hash_of(root), since)
        except OSError:  # a file that cannot be read: compiling tells which
            return None

    def further(self, options: Mapping[str, Any]) -> Asked:
        """Another question to the project as it was then."""
        return replace(self, options=options)

    def is_current(self) -> bool:
        """Whether the project and the installation are still what they were."""
        try:
            return _hash_of(self.root) == self.project
        except OSError:
            return False

    def find(self, store: Cache | None = None) -> CompiledQuery | None:
        """The query as it was compiled, where all that it stands on is as it was."""
        kept = (store or cache()).get(KIND, self.key)
        found = None if kept is None else _read(kept)
        return found if found is not None and found.holds() else None

    def keep(self, query: CompiledQuery, store: Cache | None = None) -> None:
        """Keeps a query for the next process."""
        (store or cache()).put(KIND, self.key, _written(query))


def matching(pattern: str) -> tuple[str, ...]:
    """The files and folders that a pattern matches, in the order of their names."""
    import glob

    return tuple(sorted(glob.glob(pattern, recursive=True, include_hidden=True)))  # noqa: PTH207  (Path.glob takes no absolute pattern)


def today_in(zone: str, now: int | None = None) -> str:
    """The day in a time zone, at `now` (nanoseconds; the clock's where it is not given)."""
    from zoneinfo import ZoneInfo

    seconds = (time.time_ns() if now is None else now) / 1_000_000_000
    return dt.datetime.fromtimestamp(seconds, ZoneInfo(zone)).date().isoformat()


def _written(query: CompiledQuery) -> dict[str, Any]:
    return vars(query) | {"columns": [[c.name, c.role, c.unit] for c in query.columns]}


def _read(kept: Mapping[str, Any]) -> CompiledQuery:
    return CompiledQuery(
        kept["statement"],
        tuple(Column(*column) for column in kept["columns"]),
        tuple(kept["before"]),
        tuple((p, d, i, s, m, c) for p, d, i, s, m, c in kept["files"]),
        tuple((pattern, tuple(found)) for pattern, found in kept["patterns"]),
        tuple((place, stamp) for place, stamp in kept["code"]),
        None if kept["today"] is None else (kept["today"][0], kept["today"][1]),
        kept["rows"],
        tuple((name, told) for name, told in kept["definitions"]),
    )


# -- what a question depends on


def _project(start: Path) -> Path | None:
    folder = start.expanduser().resolve()
    return next((place for place in (folder, *folder.parents) if (place / _PROJECT_FILE).is_file()), None)


def _hash_of(root: Path) -> str:
    texts = [(path, Path(path).read_bytes()) for path in _yaml_files(root)]
    names = sorted({name.decode() for _, text in texts for name in _VARIABLE.findall(text)})
    settings = sorted(name for name in os.environ if name.startswith(_SETTINGS) and name != _OWN_SETTING)
    return key_of(
        [[path, hashlib.sha256(text).hexdigest()] for path, text in texts],
        [[name, os.environ.get(name)] for name in (*names, *settings)],
        [sys.version, *_installed()],
        code_stamp(),
    )


def _yaml_files(root: Path) -> Sequence[str]:
    """`kpi.yaml` and every file below metrics/ that may be read as one."""
    found = []
    for folder, folders, names in os.walk(root / "metrics"):
        folders.sort()
        found += [os.path.join(folder, name) for name in sorted(names) if name.endswith((".yaml", ".yml"))]  # noqa: PTH118
    return [str(root / _PROJECT_FILE), *found]


def _installed() -> Iterator[list[Any]]:
    """The distributions that are installed: their folders of metadata, and when each was made."""
    for place in sys.path:
        try:
            entries = [e for e in os.scandir(place or ".") if e.name.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue  # a place that is not there, or a packed one
        found = sorted((entry.name, entry.stat().st_mtime_ns) for entry in entries)
        yield [place, found]
