"""A table of the engine that runs the queries: data stays where the engine has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from kpiengine.connector import Connector, OptionType, SourceContext, TableRelation
from kpiengine.errors import DataError
from kpiengine.hooks import hookimpl


@hookimpl
def register_connectors() -> Iterable[type[Connector]]:
    """The connector `table`."""
    return [Table]


class Table(Connector):
    """A table or view of the project's engine. Options:

    - `name`: its name as SQL writes it, with a schema where it needs one: `sales.orders`, `"Sales"."Orders"`.
    """

    name = "table"
    options: ClassVar[Mapping[str, OptionType]] = {"name": str}
    required = ("name",)

    def relation(self, options: Mapping[str, Any], context: SourceContext) -> TableRelation:
        """The table, which the engine looks for."""
        from sqlglot import exp
        from sqlglot.errors import SqlglotError

        try:
            exp.to_table(options["name"])
        except SqlglotError:
            cure = 'write it as SQL does: orders, sales.orders, "Sales"."Orders"'
            raise DataError(f'source "{context.source}": {options["name"]} is no name of a table; {cure}') from None
        return TableRelation(options["name"])
