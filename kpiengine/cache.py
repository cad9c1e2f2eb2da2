"""A store on disk for what is dear to find out and can be found out again: proven facts of files, compiled queries.

    types = cache().of_files("csv-types", files, [delimiter, encoding], lambda: prove(files))

A value is kept under a hash of everything that it depends on, and is never trusted beyond that: an entry that is
damaged, that is another's, or that others may write to is left aside and made anew. Values are what JSON can say.
Nothing here fails: where the disk is full or may not be written to, values are made each time.

`KPI_CACHE` names the folder (default: `kpiengine` in the user's folder for caches); `KPI_CACHE=off` keeps nothing.
Of the project this module imports `records` alone.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from kpiengine.records import dataclass

VARIABLE = "KPI_CACHE"
OFF = frozenset({"off", "0", "no", "false", "none"})

SHARDS = 16
MOST_ENTRIES = 512
"""In each of the shards; the entries that were not used for longest go first."""
MOST_BYTES = 16 << 20
"""In each of the shards, and so the size of an entry at most."""

SETTLED = 50_000_000
"""Nanoseconds for which a file has to be left alone before its times tell it from what is written to it next."""
SETTLED_COARSE = 2_500_000_000
"""The same where a file system counts in seconds."""

_MARK = "kpi-cache-1"
_TOUCHED = 86_400
_DEAD = 3_600

Value = TypeVar("Value")
Identity = tuple[str, int, int, int, int, int]


@dataclass(frozen=True)
class Cache:
    """The store in `folder`; None keeps nothing. Safe for any number of processes at once: none waits for another."""

    folder: Path | None

    def get(self, kind: str, key: str) -> Any:
        """What is kept under a key (see `key_of`), or None. A kind is a short name of what is kept."""
        path = self._path(kind, key)
        if path is None:
            return None
        data = _read_own(path)
        if data is None:
            return None
        mark, _, payload = data.partition(b"\n")
        if mark != _seal(kind, key, payload):
            return None
        with suppress(ValueError):
            return json.loads(payload)
        return None

    def put(self, kind: str, key: str, value: Any) -> bool:
        """Keeps a value that JSON can say; whether it could be kept."""
        path = self._path(kind, key)
        if path is None:
            return False
        payload = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        data = _seal(kind, key, payload) + b"\n" + payload
        if len(data) > MOST_BYTES:
            return False
        try:
            _write(path, data)
            _trim(path.parent)
        except OSError:
            return False
        return True

    def of_files(self, kind: str, files: Iterable[Path], about: Any, make: Callable[[], Value]) -> Value:
        """What `make` finds out about files: made once as long as they stay as they are, and `about` the same.

        `about` is all else that the value depends on: settings, an engine's version. That of this code, and of the
        package that `make` stands in, are known. What `make` raises is kept by nobody. A value comes back as JSON
        reads it: a list where it was a tuple.
        """
        paths = list(files)
        before = identities(paths) if self.folder is not None else None
        if before is None:
            return make()
        key = key_of(before, about, code_stamp(), code_stamp(make.__module__))
        found = self.get(kind, key)
        if found is not None:
            kept: Value = found[0]
            return kept
        made = make()
        if identities(paths) == before:
            self.put(kind, key, [made])
        return made

    def _path(self, kind: str, key: str) -> Path | None:
        if self.folder is None:
            return None
        name = hashlib.sha256(f"{kind} {key}".encode()).hexdigest()
        return self.folder / name[0] / f"{kind}-{name[1:41]}"


def cache() -> Cache:
    """The cache that the environment names."""
    return Cache(_folder())


def key_of(*parts: Any) -> str:
    """A hash of values that JSON can say."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


# -- what tells a file, and code, from what it was before


def identities(paths: Iterable[Path]) -> list[Identity] | None:
    """What tells these files from any others, and from themselves once they are written to.

    None where one of them is no plain file, or was written to so lately that its next version may look the same.
    """
    found = [identity(path) for path in paths]
    known = [one for one in found if one is not None]
    return known if len(known) == len(found) else None


def identity(path: Path, now: int | None = None) -> Identity | None:
    """One file's: place, device, inode, size, and when its content and its entry were changed, in nanoseconds.

    `now` is the time to compare with, in nanoseconds (the clock's where it is not given).
    """
    try:
        found = path.stat()
    except OSError:
        return None
    changed = max(found.st_mtime_ns, found.st_ctime_ns)
    quiet = SETTLED if changed % 1_000_000 else SETTLED_COARSE
    if not stat.S_ISREG(found.st_mode) or (time.time_ns() if now is None else now) - changed < quiet:
        return None
    return (str(path.absolute()), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@functools.cache
def code_stamp(module: str = "kpiengine") -> str:
    """A hash that changes when the package that a loaded module stands in is changed, installed or edited."""
    package = sys.modules.get(module.partition(".")[0])
    places = [Path(place) for place in getattr(package, "__path__", ())]
    if not places and getattr(package, "__file__", None):
        places = [Path(str(package.__file__))]  # type: ignore[union-attr]
    return key_of([tree_stamp(place) for place in places])


def tree_stamp(place: Path) -> str:
    """A hash that changes when a file of Python or YAML in a folder does: of their names, sizes and times."""
    return key_of([[name, info.st_size, info.st_mtime_ns] for name, info in sorted(_sources_of(str(place)))])


def was_changed(place: Path, since: int) -> bool:
    """Whether any file of Python or YAML in a folder was written, or put there, at a time (nanoseconds) or after it."""
    return any(max(info.st_mtime_ns, info.st_ctime_ns) >= since for _, info in _sources_of(str(place)))


def _sources_of(place: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        entries = list(os.scandir(place))
    except NotADirectoryError:
        yield place, Path(place).stat()
        return
    except OSError:
        return
    for entry in entries:
        if entry.is_dir() and entry.name != "__pycache__":
            yield from _sources_of(entry.path)
        elif entry.name.endswith((".py", ".so", ".pyd", ".yaml")):
            yield entry.path, entry.stat()


# -- files


def _folder() -> Path | None:
    given = os.environ.get(VARIABLE, "").strip()
    if given:
        return None if given.lower() in OFF else Path(given).absolute()
    try:
        return _users_caches() / "kpiengine"
    except RuntimeError:  # a user without a home
        return None


def _users_caches() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    given = Path(os.environ.get("XDG_CACHE_HOME") or "")
    return given if given.is_absolute() else Path.home() / ".cache"


def _seal(kind: str, key: str, payload: bytes) -> bytes:
    """The first line of an entry: what it is, of which key, and that it is whole."""
    return f"{_MARK} {hashlib.sha256(f'{kind} {key} '.encode() + payload).hexdigest()}".encode()


def _read_own(path: Path) -> bytes | None:
    """The bytes of a file that is this user's alone to write; None for any other, or none."""
    try:
        number = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    except OSError:
        return None
    try:
        found = os.fstat(number)
        if not _is_own(found) or not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
            return None
        with os.fdopen(number, "rb", closefd=False) as file:
            data = file.read()
        if time.time() - found.st_mtime > _TOUCHED:
            os.utime(number if os.utime in os.supports_fd else path)  # it was used: others go first
    except OSError:
        return None
    finally:
        os.close(number)
    return data


def _is_own(found: os.stat_result) -> bool:
    if not hasattr(os, "geteuid"):
        return True
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _write(path: Path, data: bytes) -> None:
    """Puts a file there whole: a reader sees the old one, or the new one. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{secrets.token_hex(8)}")
    try:
        with os.fdopen(
            os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600), "wb"
        ) as file:
            file.write(data)
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def _trim(shard: Path) -> None:
    """Removes what was not used for longest where there is too much, and what a killed process left."""
    entries = []
    for entry in os.scandir(shard):
        with suppress(OSError):  # another process removed it
            found = entry.stat(follow_symlinks=False)
            if not entry.name.startswith("."):
                entries.append((found.st_mtime, found.st_size, entry.path))
            elif time.time() - found.st_mtime > _DEAD:
                Path(entry.path).unlink()
    entries.sort(reverse=True)
    size = 0
    for place, (_, of_entry, path) in enumerate(entries, 1):
        size += of_entry
        if place > MOST_ENTRIES or size > MOST_BYTES:
            with suppress(OSError):
                Path(path).unlink()
