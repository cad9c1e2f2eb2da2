"""PostgreSQL, by ADBC: statements run in the server, results come as Arrow, in a stream."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from kpiengine.connector import OptionType
from kpiengine.engine import Engine, EngineContext
from kpiengine.hooks import hookimpl

if TYPE_CHECKING:
    from kpiengine_plugins.engines._postgres_session import PostgresSession


@hookimpl
def register_engines() -> Iterable[type[Engine]]:
    """The engine `postgres`."""
    return [Postgres]


class Postgres(Engine):
    """A PostgreSQL server. Options:

    - `url`: `postgresql://user:password@host:5432/database`, or any other connection string of libpq's.
    """

    name = "postgres"
    title = "PostgreSQL"
    dialect = "postgres"
    options: ClassVar[Mapping[str, OptionType]] = {"url": str}
    required = ("url",)
    modules = ("adbc_driver_postgresql", "adbc_driver_manager")
    extra = "kpiengine[postgres]"

    def open(self, options: Mapping[str, Any], context: EngineContext) -> PostgresSession:
        """A connection, which writes nothing but temporary tables."""
        from kpiengine_plugins.engines._postgres_session import PostgresSession

        return PostgresSession(options["url"], context.timezone)
