"""Apache Spark, by Spark Connect: statements run on a cluster, executors read files and write exports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from kpiengine.connector import OptionType, SqlRelation
from kpiengine.engine import Engine, EngineContext
from kpiengine.hooks import hookimpl

if TYPE_CHECKING:
    from sqlglot import exp

    from kpiengine_plugins.engines._spark_session import SparkEngineSession


@hookimpl
def register_engines() -> Iterable[type[Engine]]:
    """The engine `spark`."""
    return [Spark]


class Spark(Engine):
    """A Spark Connect server. Options:

    - `remote`: `sc://host:15002`, with `;token=…;use_ssl=true` behind a `/` where it asks for that.
    - `settings`: settings of the session, by Spark's names (`spark.sql.shuffle.partitions: 400`).
    - `shared_files`: whether the executors see this machine's files under the same paths (true): they read Parquet
      themselves, and write exports. With false, rows of files are read here and sent.
    """

    name = "spark"
    title = "Spark"
    dialect = "spark"
    options: ClassVar[Mapping[str, OptionType]] = {"remote": str, "settings": dict, "shared_files": bool}
    required = ("remote",)
    modules = ("pyspark", "grpc", "pandas", "google.rpc")
    extra = "kpiengine[spark]"

    def open(self, options: Mapping[str, Any], context: EngineContext) -> SparkEngineSession:
        """A session of the server's, with settings of its own."""
        from kpiengine_plugins.engines._spark_session import SparkEngineSession

        return SparkEngineSession(options["remote"], options.get("settings") or {}, options.get("shared_files", True))

    def native(self, relation: SqlRelation, options: Mapping[str, Any]) -> exp.Expr | None:
        """Parquet files by their paths, where the executors see them and read what DuckDB reads."""
        from kpiengine_plugins.engines._spark_files import readable_files

        return readable_files(relation) if options.get("shared_files", True) else None
