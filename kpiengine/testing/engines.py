"""What a case is run on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import pyarrow as pa

    from kpiengine.project import Project


class CaseEngine(ABC):
    """An engine that answers the queries of cases. `name` is what a case's `not_on` calls it."""

    name: ClassVar[str]

    @abstractmethod
    def answer(self, project: Project, query: Mapping[str, Any], files: Mapping[str, Path]) -> pa.Table:
        """The rows of a query. `files` are the Parquet files of the project's sources, by name."""


class DuckDb(CaseEngine):
    """The embedded engine: what `Project.query` uses."""

    name = "duckdb"

    def answer(self, project: Project, query: Mapping[str, Any], files: Mapping[str, Path]) -> pa.Table:
        """The rows, by `Project.query`."""
        return project.query(**query).arrow()
