"""Making new project folders from what ships with the package; nothing that exists is ever overwritten."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

import click

from kpiengine.errors import listing

EXAMPLES = ("sales", "forush")
_TOP = PurePosixPath()


def make_starter(folder: Path) -> None:
    """A commented kpi.yaml, metrics and a little data in `folder`."""
    _write(folder, dict(_files(resources.files("kpiengine.cli") / "starter")))


def make_example(folder: Path, example: str) -> Mapping[str, int]:
    """The example of that name, its data generated; gives the rows of each file of data."""
    _write(folder, dict(_files(resources.files("kpiengine.examples") / example)))
    data = importlib.import_module(f"kpiengine.examples.{example}_data")
    rows: Mapping[str, int] = data.write(folder / "data")
    return rows


def free_folder(name: str) -> Path:
    """`name`, or the first of name-2, name-3, … that is not there."""
    folder, number = Path(name), 1
    while folder.exists():
        number += 1
        folder = Path(f"{name}-{number}")
    return folder


def _files(folder: Traversable, under: PurePosixPath = _TOP) -> Iterator[tuple[PurePosixPath, Traversable]]:
    for entry in folder.iterdir():
        if entry.name in ("__pycache__", "__init__.py"):
            continue
        if entry.is_dir():
            yield from _files(entry, under / entry.name)
        else:
            yield under / entry.name, entry


def _write(folder: Path, files: Mapping[PurePosixPath, Traversable]) -> None:
    there = sorted(str(path) for path in files if (folder / path).exists())
    if there or (folder / "data").exists():
        raise click.UsageError(
            f"{folder} already holds {listing(there or ['data'])}; nothing was written: name a new folder"
        )
    for path, source in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with (folder / path).open("xb") as file:
            file.write(source.read_bytes())
