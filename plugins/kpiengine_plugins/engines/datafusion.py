"""DataFusion, inside this process: Parquet files are read by it, results come as Arrow, in a stream."""

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
    from kpiengine_plugins.engines._datafusion_session import DataFusionSession


@hookimpl
def register_engines() -> Iterable[type[Engine]]:
    """The engine `datafusion`."""
    return [DataFusion]


class DataFusion(Engine):
    """DataFusion. Options:

    - `tables`: tables of its own, `{name: path}`: Parquet files, or folders of them, that a source names as
      `{table: name}`.
    - `threads`: how many it works with (all).
    """

    name = "datafusion"
    title = "DataFusion"
    dialect = "datafusion"
    options: ClassVar[Mapping[str, OptionType]] = {"tables": dict, "threads": int}
    modules = ("datafusion",)
    extra = "kpiengine[datafusion]"

    def open(self, options: Mapping[str, Any], context: EngineContext) -> DataFusionSession:
        """A session of its own, with its tables."""
        from kpiengine_plugins.engines._datafusion_session import DataFusionSession

        tables = {name: context.root / path for name, path in (options.get("tables") or {}).items()}
        return DataFusionSession(tables, options.get("threads"))

    def native(self, relation: SqlRelation, options: Mapping[str, Any]) -> exp.Expr | None:
        """Parquet files, by their paths."""
        return readable_files(relation, _file)


def _file(path: Path) -> exp.Table:
    return exp.Table(this=exp.to_identifier(str(path), quoted=True))
