"""Engines as plain as they come: a table `given_rows`, and statements run over it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

Run = Callable[[str], pa.Table]


@contextmanager
def postgres(url: str, rows: pa.Table) -> Iterator[Run]:
    """PostgreSQL by ADBC, which gives NUMERIC as text."""
    from adbc_driver_postgresql import dbapi

    def run(sql: str) -> pa.Table:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return _with_decimals(cursor.fetch_arrow_table())

    with dbapi.connect(url, autocommit=True) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SET TIME ZONE 'UTC'")
            cursor.adbc_ingest("given_rows", rows, mode="create", temporary=True)
        yield run


def _with_decimals(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if "opaque" in str(field.type):
            texts = table[place].combine_chunks().storage.to_pylist()
            values = pa.array([None if t is None else Decimal(t) for t in texts])
            table = table.set_column(place, field.name, values)
    return table


@contextmanager
def clickhouse(folder: Path, rows: pa.Table) -> Iterator[Run]:
    """ClickHouse inside this process."""
    from chdb.session import Session

    session = Session()
    pyarrow.parquet.write_table(rows, folder / "rows.parquet")
    session.query(f"CREATE OR REPLACE VIEW given_rows AS SELECT * FROM file('{folder}/rows.parquet', 'Parquet')")
    yield lambda sql: _with_texts(session.query(sql, "ArrowTable"))
    session.close()


def _with_texts(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_binary(field.type):
            table = table.set_column(place, field.name, table[place].cast(pa.string()))
    return table


def datafusion(rows: pa.Table) -> Run:
    """DataFusion inside this process."""
    from datafusion import SessionContext

    context = SessionContext()
    context.register_record_batches("given_rows", [rows.to_batches()])
    return lambda sql: context.sql(sql).to_arrow_table()
