"""What a case is run on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from kpiengine.project import Project


class CaseEngine(ABC):
    """An engine that answers the queries of cases. `name` is what a case's `not_on` calls it."""

    name: str

    def open(self, folder: Path) -> Project:
        """The project of a case, opened; the default is as `kpiengine.open` does."""
        import kpiengine

        return kpiengine.open(folder)

    @abstractmethod
    def answer(self, project: Project, query: Mapping[str, Any], files: Mapping[str, Path]) -> pa.Table:
        """The rows of a query. `files` are the Parquet files of the project's sources, by name."""


class OnEngine(CaseEngine):
    """An engine that a plugin brings, by its name and settings: `OnEngine("postgres", {"url": …})`."""

    def __init__(self, name: str, settings: Mapping[str, Any] | None = None) -> None:
        self.name = name
        self.settings = dict(settings or {})

    def open(self, folder: Path) -> Project:
        """The project, to run on this engine."""
        import kpiengine

        return kpiengine.open(folder, engine={self.name: self.settings})

    def answer(self, project: Project, query: Mapping[str, Any], files: Mapping[str, Path]) -> pa.Table:
        """The rows, by `Project.query`."""
        return project.query(**query).arrow()


class DuckDb(CaseEngine):
    """The embedded engine: what `Project.query` uses."""

    name = "duckdb"

    def answer(self, project: Project, query: Mapping[str, Any], files: Mapping[str, Path]) -> pa.Table:
        """The rows, by `Project.query`."""
        return project.query(**query).arrow()
