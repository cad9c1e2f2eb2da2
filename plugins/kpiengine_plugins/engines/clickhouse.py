"""ClickHouse inside this process (chDB): Parquet files are read by it, results come as Arrow, in a stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from sqlglot import exp

from kpiengine.connector import OptionType, SqlRelation
from kpiengine.engine import Engine, EngineContext
from kpiengine.hooks import hookimpl
from kpiengine_plugins.engines._parquet import readable_files

if TYPE_CHECKING:
    from kpiengine_plugins.engines._clickhouse_session import ClickHouseSession


@hookimpl
def register_engines() -> Iterable[type[Engine]]:
    """The engine `clickhouse`."""
    return [ClickHouse]


class ClickHouse(Engine):
    """ClickHouse as chDB brings it. Options:

    - `path`: a folder with chDB's databases, whose tables sources may name; without it there are none.
    """

    name = "clickhouse"
    title = "ClickHouse"
    dialect = "clickhouse"
    options: ClassVar[Mapping[str, OptionType]] = {"path": str}
    modules = ("chdb",)
    extra = "kpiengine[clickhouse]"

    def open(self, options: Mapping[str, Any], context: EngineContext) -> ClickHouseSession:
        """A connection with temporary tables of its own."""
        from kpiengine_plugins.engines._clickhouse_session import ClickHouseSession

        path = options.get("path")
        return ClickHouseSession(str(context.root / path) if path else ":memory:")

    def native(self, relation: SqlRelation, options: Mapping[str, Any]) -> exp.Expr | None:
        """Parquet files, by the table function `file`."""
        return readable_files(relation, _file)


def _file(path: Path) -> exp.Table:
    arguments: list[exp.Expr] = [exp.Literal.string(str(path)), exp.Literal.string("Parquet")]
    return exp.Table(this=exp.Anonymous(this="file", expressions=arguments))
