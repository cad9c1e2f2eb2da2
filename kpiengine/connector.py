"""The contract of a connector: how a source's `from:` becomes a relation that the engine can read.

A connector is a subclass of `Connector`, registered by a plugin's `register_connectors` hook:

    class Lines(Connector):
        name = "lines"
        endings = (".lines",)
        options = {"path": str}

        def relation(self, options, context):
            table = pyarrow.table({"line": context.path(options["path"]).read_text().splitlines()})
            return ArrowRelation(lambda: table)
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from sqlglot import exp

from kpiengine.errors import DataError
from kpiengine.records import dataclass


@dataclass(frozen=True)
class SqlRelation:
    """Something that DuckDB reads by itself.

    `expression` stands in a FROM clause: a table function call (`read_csv(…)`) or a table. `attach` maps the
    names of databases to files that are attached read-only first. `files` are the files that it reads, told in
    messages and used to notice that they changed. `format` ("parquet") says what these are where all rows are those of
    the files as they stand, so that another engine may read them itself; `hive` that folders `column=value` above
    them are columns, too.
    """

    expression: exp.Expr
    attach: Mapping[str, Path] = None  # type: ignore[assignment]
    files: tuple[Path, ...] = ()
    format: str = ""
    hive: bool = False

    def __post_init__(self) -> None:
        if self.attach is None:
            object.__setattr__(self, "attach", {})


@dataclass(frozen=True)
class ArrowRelation:
    """Rows as Arrow: `open()` gives any object that speaks the Arrow PyCapsule stream protocol.

    It is called once per query, so it may give a reader that can be read only once; a `pyarrow.dataset.Dataset`
    is read with the query's columns and filters pushed down.
    """

    open: Callable[[], Any]
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class QueryRelation:
    """A query over the project's other sources by name, and over files (`{sql: "select …"}`)."""

    query: str


@dataclass(frozen=True)
class TableRelation:
    """A table of the engine's own, as SQL writes its name: `sales.orders`. The embedded engine has none."""

    table: str


Relation = SqlRelation | ArrowRelation | QueryRelation | TableRelation

OptionType = type | tuple[type, ...]
"""The type of an option's value, or several of which it may have any."""


@dataclass(frozen=True)
class SourceContext:
    """What a connector may know of the source it opens.

    `root` is the project's folder; `scratch()` gives a folder for files that live as long as the project object.
    """

    source: str
    root: Path
    scratch: Callable[[], Path]

    def path(self, text: str) -> Path:
        """The path that `text` names, relative to the project's folder."""
        path = Path(text).expanduser()
        return Path(os.path.normpath(path if path.is_absolute() else self.root / path))

    def existing(self, text: str) -> Path:
        """Like `path`, for a file that has to be there; DataError with its absolute path where it is not."""
        path = self.path(text)
        if not path.exists():
            raise DataError(f'source "{self.source}": no such file: {path}')
        return path


class Connector(ABC):
    """One way to get at data. Stateless: one object serves every source that names it.

    `options` maps an option's name to its type (`str`, `int`, `bool`, `float`, `list`, `dict`, or a tuple of these),
    in the order in which documentation tells them; `required` are those that have to be given. A source that gives
    a bare value (`{csv: data/x.csv}`) sets the first option. `endings` claim bare paths (`from: data/x.csv`).
    """

    name: ClassVar[str]
    endings: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[Mapping[str, OptionType]] = {"path": str}
    required: ClassVar[tuple[str, ...]] = ("path",)

    @abstractmethod
    def relation(self, options: Mapping[str, Any], context: SourceContext) -> Relation:
        """The relation for these options, which have been checked against `options` and `required`.

        Raises DataError (a missing or unreadable file) with the path and the cure in its message.
        """
