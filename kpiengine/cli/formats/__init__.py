"""How a result is written: one module a format, imported when it is asked for.

A writer takes a stream of record batches, the looks of its columns and a binary file, and writes batch by batch: a
result need not fit into memory.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from kpiengine.records import dataclass

if TYPE_CHECKING:
    import pyarrow

FORMATS = {
    "table": "table",
    "csv": "delimited",
    "json": "jsons",
    "jsonl": "jsons",
    "markdown": "markdown",
    "parquet": "columnar",
    "arrow": "columnar",
}
"""Format → the module here that has a function `write_<format>`."""

ENDINGS = {
    ".txt": "table",
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".md": "markdown",
    ".markdown": "markdown",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
"""Ending of a file's name → its format."""

BINARY = frozenset({"parquet", "arrow"})
"""Formats that a terminal cannot show."""


@dataclass(frozen=True)
class Look:
    """How a column is shown to people: the unit of its metric, and whether it is a measure at all."""

    unit: str | None = None
    measure: bool = False


@dataclass(frozen=True)
class Target:
    """Where a writer writes. `terminal`: to a screen; `seekable`: to a real file, and not a pipe."""

    file: BinaryIO
    terminal: bool = False
    seekable: bool = False


@dataclass(frozen=True)
class Rows:
    """A result as it streams in: its schema, and record batches that can be read once."""

    schema: pyarrow.Schema
    batches: Iterator[pyarrow.RecordBatch]


Writer = Callable[[Rows, Mapping[str, Look], Target], int]
"""Gives the number of rows written."""


def writer(name: str) -> Writer:
    """The writer of that format, its module imported now."""
    module: Any = importlib.import_module(f"kpiengine.cli.formats.{FORMATS[name]}")
    found: Writer = getattr(module, f"write_{name}")
    return found
