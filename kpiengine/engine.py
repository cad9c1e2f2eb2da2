"""The contract of an engine: what runs statements in the embedded DuckDB's place, on data that the engine has.

An engine is a subclass of `Engine`, registered by a plugin's `register_engines` hook. DuckDB stays what formulas are
typed with, so a metric means the same on every engine: each result is cast to the types that it has on DuckDB.
Statements come as text in the engine's dialect (`kpiengine.sql.dialects`); sources are tables of the engine's own,
files that it reads itself (`native`), or rows that are read here and handed over (`load`).

    class Ledger(Engine):
        name, title, dialect = "ledger", "LedgerDB", "postgres"
        options = {"url": str}
        modules, extra = ("ledgerdb",), "acme-ledger"

        def open(self, options, context):
            return LedgerSession(options["url"], context.timezone)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from kpiengine.connector import OptionType, SqlRelation
from kpiengine.records import dataclass

if TYPE_CHECKING:
    import pyarrow
    from sqlglot import exp


@dataclass(frozen=True)
class EngineContext:
    """What an engine may know of the project. `root` is its folder.

    `timezone` is the project's: the session's own is set to it, so that timestamps with a zone are cut into days alike.
    """

    root: Path
    timezone: str = "UTC"


@dataclass(frozen=True)
class Writing:
    """Rows to be written as Parquet by the engine itself.

    `statement` gives them, `schema` is what they are to be (names, order and types of the columns). `place` is an
    empty folder, or the name of a file that does not exist, beside the export's own place, which takes it whole when
    all is written; for a session that says `writes_urls` it may be the URL of a folder that is not there yet
    ("s3a://lake/…"). Files under folders `column=value` for `partition_by`; `footer` belongs into each file's
    key-value metadata. `seen` looks for the Parquet files at the place from this machine, and counts their rows.
    """

    statement: str
    schema: pyarrow.Schema
    place: Path | str
    partition_by: tuple[str, ...]
    footer: Mapping[str, str]
    seen: Callable[[], int]


class EngineSession(ABC):
    """A connection, open until `close`. Several threads may use it, one after the other.

    Whatever goes wrong is a DataError (a value that its type has no room for) or an EngineError (no connection, no
    memory, what the engine lacks) with one clear message in which no password stands; a statement that was stopped
    by `interrupt` raises KeyboardInterrupt.
    """

    writes_urls: ClassVar[bool] = False
    """Whether `write` takes a place in an object store; else rows are written here, and sent there."""

    @property
    @abstractmethod
    def version(self) -> str:
        """The engine's own version, as it tells it ("15.8")."""

    @abstractmethod
    def columns(self, table: exp.Expr) -> Mapping[str, str]:
        """The columns of a table of the engine's own and their types, by DuckDB's names, in the table's order.

        Columns of types that DuckDB has nothing like are left out. DataError where there is no such table.
        """

    def readable(self, table: exp.Expr) -> exp.Expr:
        """What stands in a FROM clause for a table of the engine's own; the default is its name.

        A query over it where `columns` told another type than a column has (a text for an enumeration).
        """
        return table

    @abstractmethod
    def reader(self, statement: str) -> pyarrow.RecordBatchReader:
        """The rows of a query as a stream. Names and types of columns may be the engine's: only their order counts."""

    def rows(self, statement: str, what: str = "") -> list[tuple[Any, ...]]:
        """The rows of a small result. `what` is told before what goes wrong."""
        table = self.reader(statement).read_all()
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    @abstractmethod
    def load(self, name: str, rows: pyarrow.RecordBatchReader) -> None:
        """Puts rows where statements of this session, and no others, read them as a table `name`.

        Names are plain lower-case words that begin with `kpi_`, each given once a session.
        """

    def write(self, writing: Writing) -> bool:
        """Writes rows by the engine's own workers; False, before anything is written, where it does not do that.

        The default does not: rows are then streamed here and written by DuckDB.
        """
        return False

    def interrupt(self) -> None:
        """Stops what runs, from another thread. The default cannot."""
        return

    def progress(self) -> float:
        """How much of what runs is done, 0 to 100; below 0 where the engine cannot tell."""
        return -1.0

    @abstractmethod
    def close(self) -> None:
        """Ends the session; what was loaded is gone."""


class Engine(ABC):
    """One kind of engine. Stateless: one object serves every project that names it.

    `title` is the engine's name for people, `dialect` the one that its statements are written in. `options` and
    `required` are as a connector's: what stands under `engine: {name: …}`. `modules` have to be importable for it to
    work, and `extra` is what pip installs where they are not.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    dialect: ClassVar[str]
    options: ClassVar[Mapping[str, OptionType]] = {}
    required: ClassVar[tuple[str, ...]] = ()
    modules: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""

    @abstractmethod
    def open(self, options: Mapping[str, Any], context: EngineContext) -> EngineSession:
        """A session. Options have been checked against `options` and `required`, and `missing` gave nothing.

        Raises EngineError with the cause (unreachable, refused, unknown database) and the cure.
        """

    def native(self, relation: SqlRelation, options: Mapping[str, Any]) -> exp.Expr | None:
        """What stands in a FROM clause where the engine reads these files by itself, with the types DuckDB sees.

        `relation.format` and `.files` say what they are. None, the default, where rows have to be loaded.
        """
        return None

    def rewritten(self, statement: exp.Expr) -> exp.Expr:
        """The statement, changed beyond what its dialect changes (before it); the default changes nothing."""
        return statement

    def missing(self) -> str | None:
        """What has to be installed first, in words that tell the cure; None where nothing is."""
        absent = [module for module in self.modules if not _importable(module)]
        if not absent:
            return None
        return f'{self.title} needs {", ".join(absent)}: pip install "{self.extra}"'


def _importable(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that a dotted name is in
        return False
