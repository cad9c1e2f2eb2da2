"""A query over the project's other sources, and over files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from kpiengine.connector import Connector, OptionType, QueryRelation, SourceContext
from kpiengine.errors import DataError
from kpiengine.hooks import hookimpl


@hookimpl
def register_connectors() -> Iterable[type[Connector]]:
    """The connector `sql`."""
    return [Sql]


class Sql(Connector):
    """A SELECT in DuckDB's dialect. Options:

    - `query`: the SELECT. Names of the project's sources in it are those sources, with their mapped columns.
    """

    name = "sql"
    options: ClassVar[Mapping[str, OptionType]] = {"query": str}
    required = ("query",)

    def relation(self, options: Mapping[str, Any], context: SourceContext) -> QueryRelation:
        """The query as it is; that it is one SELECT is checked where the project's sources are known."""
        if not options["query"].strip():
            raise DataError(f'source "{context.source}": its query is empty')
        return QueryRelation(options["query"])
