"""Every expression that a formula may use: the same rows as on DuckDB, or refused before anything runs."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from sqlglot import exp

from kpiengine.errors import UsageError
from kpiengine.sql import in_dialect
from kpiengine.sql.dialects.families import with_columns
from kpiengine.testing import same_value

from . import engines
from .expressions import GROUPS, ROWS
from .table import rows

if TYPE_CHECKING:
    from servers.connect import SparkConnect

Run = Callable[[str], pa.Table]


def statement(expression: str, of_group: bool) -> exp.Select:
    """`expression` over the rows, beside what tells the results apart."""
    key = "g" if of_group else "u"
    told = sqlglot.parse_one(expression, dialect="duckdb")
    columns = rows().column_names
    scan = exp.select(*columns).from_(with_columns(exp.to_table("given_rows"), DUCKDB_TYPES))
    query = exp.select(key, exp.alias_(told, "x")).from_("rows_scan")
    if of_group:
        query = query.group_by(key)
    outer = exp.select("*").from_("answers").order_by(exp.Ordered(this=exp.column(key), nulls_first=False))
    return outer.with_("rows_scan", as_=scan).with_("answers", as_=query)


@pytest.fixture(scope="session")
def on_duckdb() -> Iterator[Run]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("given_rows", rows())
        yield lambda sql: connection.sql(sql).to_arrow_table()


def _types() -> dict[str, str]:
    with duckdb.connect() as connection:
        connection.register("given_rows", rows())
        return {name: str(kind) for name, kind, *_ in connection.execute("DESCRIBE given_rows").fetchall()}


DUCKDB_TYPES = _types()


@pytest.fixture(scope="session")
def on_postgres(postgres_url: str) -> Iterator[Run]:
    with engines.postgres(postgres_url, rows()) as run:
        yield run


@pytest.fixture(scope="session")
def on_clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with engines.clickhouse(tmp_path_factory.mktemp("clickhouse"), rows()) as run:
        yield run


@pytest.fixture(scope="session")
def on_datafusion() -> Run:
    return engines.datafusion(rows())


@pytest.fixture(scope="session")
def on_spark(sail: SparkConnect) -> Run:
    """Sail, in Spark's place."""
    sail.session.load("given_rows", rows().to_reader())
    return sail.execute


CASES = [
    (text, refuses, of_group) for of_group, told in ((False, ROWS), (True, GROUPS)) for text, refuses in told.items()
]


@pytest.mark.engine
@pytest.mark.parametrize("dialect", ["postgres", "clickhouse", "datafusion", "spark"])
@pytest.mark.parametrize(("text", "refuses", "of_group"), CASES, ids=[case[0] for case in CASES])
def test_same_or_refused(
    text: str, refuses: str, of_group: bool, dialect: str, on_duckdb: Run, request: pytest.FixtureRequest
) -> None:
    query = statement(text, of_group)
    if dialect in refuses.split():
        with pytest.raises(UsageError, match=f"^{dialect} cannot say "):
            in_dialect(query, dialect)
        return
    run: Run = request.getfixturevalue(f"on_{dialect}")
    expected, found = on_duckdb(query.sql("duckdb")), run(in_dialect(query, dialect))
    wrong = [
        f"{key}: {got!r}, expected {wanted!r}"
        for key, wanted, got in zip(*(column.to_pylist() for column in (*expected.columns, found[1])), strict=True)
        if not _same(wanted, got)
    ]
    assert not wrong, "\n".join(wrong)


def _same(wanted: Any, got: Any) -> bool:
    """Whether a value is the same; of which type it is, is settled when a result is cast."""
    if isinstance(wanted, float) and math.isnan(wanted):
        return isinstance(got, float) and math.isnan(got)
    if isinstance(wanted, bool) and isinstance(got, int):
        return wanted == bool(got)
    if isinstance(got, dt.datetime) and got.tzinfo is not None and not getattr(wanted, "tzinfo", None):
        got = got.astimezone(dt.UTC).replace(tzinfo=None)
    return same_value(wanted, got)
