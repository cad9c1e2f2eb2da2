"""ClickHouse, inside this process (chDB) or a server; results come as Arrow, in a stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from sqlglot import exp

from kpiengine.connector import OptionType, SqlRelation
from kpiengine.engine import Engine, EngineContext, EngineSession
from kpiengine.errors import EngineError
from kpiengine.hooks import hookimpl
from kpiengine_plugins.engines._parquet import readable_files


@hookimpl
def register_engines() -> Iterable[type[Engine]]:
    """The engine `clickhouse`."""
    return [ClickHouse]


class ClickHouse(Engine):
    """ClickHouse as chDB brings it or, with `url`, a server. Options:

    - `url`: a server's HTTP interface, https://user:password@host:8443/database.
    - `timeout`: seconds to wait for a server's answer (3600).
    - `path`: for chDB, a folder with its databases, whose tables sources may name; without it there are none.
    """

    name = "clickhouse"
    title = "ClickHouse"
    dialect = "clickhouse"
    options: ClassVar[Mapping[str, OptionType]] = {"url": str, "timeout": int, "path": str}
    modules = ("chdb", "clickhouse_connect")
    extra = "kpiengine[clickhouse]"

    def open(self, options: Mapping[str, Any], context: EngineContext) -> EngineSession:
        """A session with temporary tables of its own."""
        url, path = options.get("url"), options.get("path")
        if url and path:
            raise EngineError("ClickHouse: url is a server's and path is chDB's; give one of them")
        if url:
            from kpiengine_plugins.engines._clickhouse_server import ServerSession

            return ServerSession(url, int(options.get("timeout", 3600)))
        from kpiengine_plugins.engines._clickhouse_session import ClickHouseSession

        return ClickHouseSession(str(context.root / path) if path else ":memory:")

    def native(self, relation: SqlRelation, options: Mapping[str, Any]) -> exp.Expr | None:
        """Parquet files, by the table function `file`, inside this process; a server does not see them."""
        return None if options.get("url") else readable_files(relation, _file)


def _file(path: Path) -> exp.Table:
    arguments: list[exp.Expr] = [exp.Literal.string(str(path)), exp.Literal.string("Parquet")]
    return exp.Table(this=exp.Anonymous(this="file", expressions=arguments))
