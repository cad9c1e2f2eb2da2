"""Statistics by the names that metrics use: a source's columns as they are mapped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from kpiengine.statistics import Bounds

if TYPE_CHECKING:
    from kpiengine.model.model import Model
    from kpiengine.spec import SourceSpec


class ModelStatistics:
    """What the catalog knows of raw columns, said of the sources' own. A column that is an expression is not known."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def rows(self, source: str) -> int | None:
        """How many rows the source has before its filters."""
        spec = self.model.spec.sources.get(source)
        return None if spec is None else self.model.catalog.rows(spec)

    def bounds(self, source: str, column: str) -> Bounds | None:
        """The bounds of a column that is a raw one, under whatever name."""
        found = self._raw(source, column)
        return None if found is None else self.model.catalog.bounds(*found)

    def distinct(self, source: str, column: str) -> int | None:
        """About how many values such a column has."""
        found = self._raw(source, column)
        return None if found is None else self.model.catalog.distinct(*found)

    def type_of(self, source: str, column: str) -> str | None:
        """The DuckDB type of a column."""
        found = self.model.source(source).find(column) if source in self.model.spec.sources else None
        return None if found is None else found.type

    def _raw(self, source: str, column: str) -> tuple[SourceSpec, str] | None:
        if source not in self.model.spec.sources:
            return None
        bound = self.model.source(source)
        found = bound.find(column)
        if found is None or not isinstance(found.expression, exp.Column) or found.expression.name not in bound.raw:
            return None
        return bound.spec, found.expression.name
