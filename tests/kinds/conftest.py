"""Runs a kind by its contract alone: rows in, the rows of its table out, on DuckDB and on Sail.

On DuckDB each runs twice, as DuckDB's own statement, bounds of the inputs being known, and as one that every engine
understands: they give the same.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pytest
from sqlglot import exp

from kpiengine.calendar import Calendar
from kpiengine.kind import Kind, KindContext, KindTable
from kpiengine.statistics import Bounds

Rows = Sequence[Mapping[str, Any]]
RunKind = Callable[..., list[dict[str, Any]]]


class NoCalendar(Calendar):
    """A calendar that no kind here asks anything."""

    name = "none"

    def start(self, day: Any, unit: str) -> Any:
        raise NotImplementedError

    move = label = start_of = moved = date = start


def compiled(
    kind: type[Kind], types: Mapping[str, str], options: Mapping[str, Any], **context: Any
) -> tuple[KindTable, Mapping[str, Any]]:
    """A kind's table over a table `given` with columns of these types, and its options, defaults filled in."""
    filled = {name: option.default for name, option in kind.options.items()} | dict(options)
    assert kind().check(filled) == {}
    made = kind().compile(
        KindContext(
            **{"name": "kpi", "rows": "given", "calendar": NoCalendar(), "options": filled, "types": types}
            | {"day": lambda name: exp.cast(exp.column(name), "DATE")}
            | context
        )
    )
    return made, filled


def statement(table: KindTable, given: exp.Query | None = None) -> exp.Select:
    """`WITH … SELECT` of the last step, sorted as the table says."""
    columns = [exp.column(column.name, quoted=True) for column in table.columns]
    query = exp.select(*columns).from_(table.ctes[-1].name)
    if table.order:
        nulls_last = (exp.Ordered(this=exp.column(column, quoted=True), nulls_first=False) for column in table.order)
        query = query.order_by(*nulls_last)
    for name, step in [*([("given", given)] if given is not None else []), *((c.name, c.query) for c in table.ctes)]:
        query = query.with_(name, as_=step, copy=False)
    return query


def given_rows(types: Mapping[str, str], rows: Rows) -> exp.Query:
    """The rows as a query of literals."""
    selects: list[exp.Query] = [
        exp.select(
            *(
                exp.cast(_literal(row.get(name)), kind, dialect="duckdb").as_(name, quoted=True)
                for name, kind in types.items()
            )
        )
        for row in rows or [{}]
    ]
    if not rows:
        return exp.select("*").from_(selects[0].subquery("nothing")).where(exp.false())
    return exp.union(*selects, distinct=False) if len(selects) > 1 else selects[0]


def load(connection: duckdb.DuckDBPyConnection, types: Mapping[str, str], rows: Rows) -> None:
    """Makes the table `given` of the rows."""
    columns = ", ".join(f'"{name}" {kind}' for name, kind in types.items())
    connection.execute(f"CREATE OR REPLACE TABLE given ({columns})")
    if rows:
        places = ", ".join([f"({', '.join('?' * len(types))})"] * len(rows))
        connection.execute(f"INSERT INTO given VALUES {places}", [row.get(name) for row in rows for name in types])


def _literal(value: Any) -> exp.Expr:
    if isinstance(value, dt.datetime | dt.date):
        return exp.Literal.string(str(value))
    return exp.convert(value)


def for_spark(query: exp.Select) -> str:
    """Spark's text; exact quantiles are its `percentile`."""

    def rendered(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.PercentileCont):
            return exp.Anonymous(this="percentile", expressions=[node.this, node.expression])
        return node

    return query.transform(rendered).sql("spark")


def bounds_of(values: Sequence[Any]) -> Bounds | None:
    """What a Parquet file's footer would say of times and whole numbers."""
    told = [value for value in values if value is not None]
    if any(isinstance(value, bool) or not isinstance(value, int | dt.date) for value in told):
        return None
    return Bounds(min(told), max(told), len(told) < len(values)) if told else Bounds(None, None)


@pytest.fixture(scope="session")
def run_kind() -> Iterator[RunKind]:
    """`run_kind(kind, types, rows, options, **context)`: the table's rows, as DuckDB gives them."""
    connection = duckdb.connect(config={"threads": 1})

    def run(
        kind: type[Kind], types: Mapping[str, str], rows: Rows, options: Mapping[str, Any], **context: Any
    ) -> list[dict[str, Any]]:
        load(connection, types, rows)
        known = {"dialect": "duckdb", "bounds": lambda name: bounds_of([row.get(name) for row in rows])}
        own, portable = (found(kind, types, options, **(more | context)) for more in (known, {}))
        assert repr(own) == repr(portable)
        return own

    def found(
        kind: type[Kind], types: Mapping[str, str], options: Mapping[str, Any], **context: Any
    ) -> list[dict[str, Any]]:
        table, _ = compiled(kind, types, options, **context)
        result = connection.execute(statement(table).sql("duckdb"))
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    yield run
    connection.close()


@pytest.fixture(scope="session")
def run_on_sail() -> Iterator[RunKind]:
    """`run_kind`, by Sail in Spark's dialect."""
    from adbc_driver_flightsql import dbapi
    from pysail.flight import FlightSqlServer

    server = FlightSqlServer()
    server.start()
    connection = dbapi.connect("grpc://{}:{}".format(*server.listening_address), autocommit=True)

    def run(
        kind: type[Kind], types: Mapping[str, str], rows: Rows, options: Mapping[str, Any], **context: Any
    ) -> list[dict[str, Any]]:
        table, _ = compiled(kind, types, options, **context)
        with connection.cursor() as cursor:
            cursor.execute(for_spark(statement(table, given_rows(types, rows))))
            return list(cursor.fetch_arrow_table().to_pylist())

    yield run
    connection.close()
    server.stop()
