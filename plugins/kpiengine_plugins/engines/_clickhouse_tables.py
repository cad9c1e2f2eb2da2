"""Tables of ClickHouse's own: what is the same inside this process and on a server."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from kpiengine.engine import EngineSession
from kpiengine_plugins.engines._clickhouse_types import duckdb_type, read_as


class TablesOfClickHouse(EngineSession):
    """A session that tells of its tables by DESCRIBE."""

    def columns(self, table: exp.Expr) -> Mapping[str, str]:
        """The columns of a table, and their DuckDB types."""
        found = {name: duckdb_type(kind) for name, kind in self._described(table)}
        return {name: kind for name, kind in found.items() if kind is not None}

    def readable(self, table: exp.Expr) -> exp.Expr:
        """The table; where it has columns that are read as another type, a query over it."""
        casts = {name: read_as(kind) for name, kind in self._described(table) if duckdb_type(kind) is not None}
        if not any(casts.values()):
            return table
        shown = [exp.column(exp.to_identifier(name, quoted=True)) for name in casts]
        columns = [
            exp.alias_(exp.cast(column, _type(kind)), column.this.copy()) if kind else column
            for column, kind in zip(shown, casts.values(), strict=True)
        ]
        return exp.select(*columns).from_(table.copy()).subquery(table.name)

    def _described(self, table: exp.Expr) -> list[tuple[str, str]]:
        rows = self.rows(exp.Describe(this=table.copy(), kind="TABLE").sql("clickhouse"))
        return [(str(row[0]), str(row[1])) for row in rows]


def _type(written: str) -> exp.DataType:
    return exp.DataType.build(f"Nullable({written})", dialect="clickhouse")
