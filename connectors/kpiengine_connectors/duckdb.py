"""A table or view in a DuckDB database file, which is attached read-only."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

from kpiengine.connector import Connector, OptionType, SourceContext, SqlRelation
from kpiengine.errors import DataError, listing, suggest
from kpiengine.hooks import hookimpl


@hookimpl
def register_connectors() -> Iterable[type[Connector]]:
    """The connector `duckdb`."""
    return [DuckDb]


class DuckDb(Connector):
    """A table or a view of a DuckDB database file. Options:

    - `path`: the file.
    - `table`: the table or view (told where the file has one only).
    - `schema`: where it is not `main`.
    """

    name = "duckdb"
    endings = (".duckdb", ".ddb")
    options: ClassVar[Mapping[str, OptionType]] = {"path": str, "table": str, "schema": str}

    def relation(self, options: Mapping[str, Any], context: SourceContext) -> SqlRelation:
        """The table, and the file to attach."""
        from sqlglot import exp

        from kpiengine_connectors import _files

        (path,) = _files.find([options["path"]], context).files
        path = path.resolve()
        schema, table = _table(_tables(path, context), options, path, context)
        database = _database(path)
        return SqlRelation(
            exp.table_(table, db=schema, catalog=database, quoted=True), attach={database: path}, files=(path,)
        )


def _database(path: Path) -> str:
    """The name under which a file is attached: the same for all sources of the file, another for each other file."""
    plain = re.sub(r"\W+", "_", path.stem).strip("_") or "db"
    return f"{plain}_{hashlib.sha256(str(path).encode()).hexdigest()[:6]}"


def _tables(path: Path, context: SourceContext) -> list[tuple[str, str]]:
    """Schemas and tables of a database file. DataError where it is locked, or none."""
    import duckdb

    told = "SELECT table_schema, table_name FROM information_schema.tables ORDER BY ALL"
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            return [(str(schema), str(table)) for schema, table in connection.execute(told).fetchall()]
    except duckdb.Error as error:
        raise DataError(f'source "{context.source}": {_reason(path, str(error))}') from error


def _reason(path: Path, text: str) -> str:
    if "lock" in text.lower():
        holder = re.search(r"held in (.*?\(PID \d+\))", text)
        by = f" by {holder[1]}" if holder else " by another program"
        return f"{path} is locked{by}, which writes to it; end that program, or export the table to Parquet"
    if "different configuration" in text:
        return f"{path} is open for writing in this program; close that connection first"
    first = re.sub(r"^[A-Za-z ]* Error: ", "", text.split("\n")[0])
    if "not a valid DuckDB database" in text:
        return f"{path} is not a DuckDB database file"
    return f"{path} cannot be opened as a DuckDB database: {first}"


def _table(
    tables: list[tuple[str, str]], options: Mapping[str, Any], path: Path, context: SourceContext
) -> tuple[str, str]:
    schema, table = options.get("schema"), options.get("table")
    within = [(s, t) for s, t in tables if schema is None or s.lower() == schema.lower()]
    found = [(s, t) for s, t in within if table is None or t.lower() == table.lower()]
    found = [(s, t) for s, t in found if s == "main"] or found
    if len(found) == 1:
        return found[0]
    known = [t if s == "main" else f"{s}.{t}" for s, t in (within or tables)]
    if table is None:
        why = f"name the table with table: one of {listing(known, 20)}" if known else "there is no table"
    elif found:
        why = f'there are several tables "{table}"; name the schema: one of {listing([s for s, _ in found])}'
    else:
        near = suggest(table, [t for _, t in within]) or f"; there are: {listing(known, 20)}"
        why = f'there is no table "{table}"' + (f' in schema "{schema}"' if schema else "") + near
    raise DataError(f'source "{context.source}": {path}: {why}')
