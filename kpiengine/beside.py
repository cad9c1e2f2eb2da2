"""Places beside a target, in which something is made before it takes the target's name.

Each one is locked as long as the run that makes it lives, so that a later run can tell what a dead one left, and clear
it away, without touching what another run is making at the same time. This module imports nothing of the project.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there, and nothing is taken for dead
    fcntl = None  # type: ignore[assignment]

LOCK = "kpi.lock"
"""In a folder beside: locked by its run, and holds the target's name."""

OLD = "old"
"""In a folder beside: what stood at the target, while there is nothing."""

_MARK = "kpi"


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """A new hidden folder in the folder of `path`, removed with all that is in it at the end. Raises OSError."""
    beside, lock = _made_folder(path)
    try:
        yield beside
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        os.close(lock)


@contextmanager
def file_beside(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """A new hidden file in the folder of `path`, open for writing, removed at the end unless moved. Raises OSError."""
    place, file = _made_file(path)
    try:
        yield place, file
    finally:
        with suppress(OSError):  # a full disk was told when it was written to
            file.close()
        with suppress(OSError):
            place.unlink()


def clear(path: Path) -> None:
    """Removes what dead runs left beside `path`; what one took away from there without a new one is put back."""
    with suppress(OSError):
        for found in [place for place in path.parent.iterdir() if is_beside(place, path)]:
            with suppress(OSError):
                _clear_one(found, path)


def is_beside(place: Path, path: Path) -> bool:
    """Whether `place` has a name that places beside `path` have."""
    return place.parent == path.parent and bool(re.fullmatch(re.escape(_stem(path)) + "[0-9a-f]{12}", place.name))


def _clear_one(found: Path, path: Path) -> None:
    if found.is_symlink() or fcntl is None:
        return
    if not found.is_dir():
        with _taken(found):
            found.unlink()
        return
    lock = found / LOCK
    if not lock.exists():
        found.rmdir()  # killed before it began; fails where anything is in it
        return
    with _taken(lock):
        if lock.read_text(encoding="utf-8") not in ("", path.name):
            return  # of another target, whose name begins as this one's does
        if (found / OLD).exists() and not os.path.lexists(path):
            (found / OLD).rename(path)
        shutil.rmtree(found, ignore_errors=True)


@contextmanager
def _taken(file: Path) -> Iterator[None]:
    """Holds the lock of a dead run. Raises OSError where the run lives."""
    number = os.open(file, os.O_RDWR)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(number)


def _made_folder(path: Path) -> tuple[Path, int]:
    while True:
        beside = _free(path)
        beside.mkdir()
        with suppress(FileNotFoundError):  # another run took it for a dead one's, before it was locked
            lock = os.open(beside / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            _locked(lock)
            if (beside / LOCK).exists():
                os.write(lock, path.name.encode())
                return beside, lock
            os.close(lock)


def _made_file(path: Path) -> tuple[Path, BinaryIO]:
    while True:
        place = _free(path)
        file = place.open("xb")
        _locked(file.fileno())
        if place.exists():
            return place, file
        file.close()


def _locked(number: int) -> None:
    if fcntl is not None:
        with suppress(OSError):  # a file system without locks: nothing there is taken for dead, either
            fcntl.flock(number, fcntl.LOCK_EX)


def _free(path: Path) -> Path:
    return path.with_name(_stem(path) + secrets.token_hex(6))


def _stem(path: Path) -> str:
    """What names beside `path` begin with: short, since a file's name may fill all that the system allows."""
    return f".{path.name[:40]}-{_MARK}-"
