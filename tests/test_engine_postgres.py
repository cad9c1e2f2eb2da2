"""PostgreSQL as an engine: tables that it has, rows handed over, and what goes wrong with a server."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest

import kpiengine
from kpiengine.engine import EngineContext
from kpiengine.errors import DataError, EngineError, KpiError
from kpiengine_plugins.engines.postgres import Postgres

SALES = """
CREATE SCHEMA shop;
CREATE TYPE shop.state AS ENUM ('paid', 'open');
CREATE DOMAIN shop.money AS numeric(10,2);
CREATE TABLE shop."Orders" (
    id bigint PRIMARY KEY, ordered_at timestamp, "Customer ID" char(3), amount shop.money, state shop.state,
    tags text[], code uuid, at timestamptz, free numeric
);
INSERT INTO shop."Orders" VALUES
    (1, '2026-01-05 10:00', 'a', 10.50, 'paid', '{x}', '7bbaa536-1053-4713-a1e0-d62b649e11fa', '2026-01-31 23:30+00', 0.1),
    (2, '2026-02-01 00:00', 'b', 5.25, 'open', NULL, NULL, '2026-02-01 00:00+00', 0.2),
    (3, NULL, NULL, 1, NULL, NULL, NULL, NULL, NULL);
"""


def run(url: str, *statements: str) -> None:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture(scope="session")
def shop(postgres_url: str) -> str:
    run(postgres_url, *[part for part in SALES.split(";") if part.strip()])
    return postgres_url


def project(
    folder: Path, url: str, source: str, formula: str = "sum(amount)", more: str = ""
) -> kpiengine.project.Project:
    (folder / "metrics").mkdir(exist_ok=True)
    (folder / "kpi.yaml").write_text(
        f"engine: {{postgres: {{url: '{url}'}}}}\n{more}sources:\n  orders: {{from: {source}, time: ordered_at}}\n"
    )
    (folder / "metrics" / "m.yaml").write_text(f'metrics:\n  m: {{source: orders, formula: "{formula}"}}\n')
    return kpiengine.open(folder)


TABLE = "{table: 'shop.\"Orders\"'}"


def test_a_table_and_its_types(tmp_path: Path, shop: str) -> None:
    with project(tmp_path, shop, TABLE) as opened:
        assert opened.model.source("orders").raw == {
            "id": "BIGINT",
            "ordered_at": "TIMESTAMP",
            "Customer ID": "VARCHAR",
            "amount": "DECIMAL(10,2)",
            "state": "VARCHAR",
            "code": "VARCHAR",
            "at": "TIMESTAMP WITH TIME ZONE",
            "free": "DOUBLE",
        }
        result = opened.query("m", by="month")
        assert result.arrow().schema == pa.schema({"month": pa.date32(), "m": pa.decimal128(38, 2)})
        assert result.arrow().to_pydict() == {
            "month": [dt.date(2026, 1, 1), dt.date(2026, 2, 1), None],
            "m": [Decimal("10.50"), Decimal("5.25"), Decimal("1.00")],
        }


@pytest.mark.parametrize(
    ("formula", "by", "expected"),
    [
        ("count(*)", '"Customer ID"', [("a", 1), ("b", 1), (None, 1)]),
        ("count(*)", "state", [("open", 1), ("paid", 1), (None, 1)]),
        ("count(*) where lower(state) = 'never seen'", "none", [(0,)]),
        ("max(code)", "none", [("7bbaa536-1053-4713-a1e0-d62b649e11fa",)]),
        ("sum(free)", "none", [(0.3,)]),
        ("avg(amount)", "none", [(5.583333333333333,)]),
        ("max(cast(at as date))", "none", [(dt.date(2026, 2, 1),)]),
        ("min(at)", "none", [(dt.datetime(2026, 1, 31, 23, 30, tzinfo=dt.UTC),)]),
    ],
)
def test_columns_of_all_types(tmp_path: Path, shop: str, formula: str, by: str, expected: list[Any]) -> None:
    more = "timezone: Europe/Berlin\n" if "at" in formula else ""
    with project(tmp_path, shop, TABLE, formula, more) as opened:
        rows = [tuple(row.values()) for row in opened.query("m", by=by).rows()]
    assert rows == [tuple(pytest.approx(v) if isinstance(v, float) else v for v in row) for row in expected]


def test_a_table_that_there_is_not(tmp_path: Path, shop: str) -> None:
    with project(tmp_path, shop, "{table: shop.orders}") as opened, pytest.raises(DataError) as caught:
        opened.query("m")
    assert 'has no table shop.orders  (did you mean "shop."Orders""?)' in str(caught.value)
    assert str(caught.value).startswith("kpi.yaml:")


def test_rows_of_files_are_handed_over(tmp_path: Path, shop: str) -> None:
    values = {
        "ordered_at": [dt.date(2026, 1, 5), None],
        "amount": pa.array([1, 255], pa.uint8()),
        "big": pa.array([2**64 - 1, None], pa.uint64()),
        "exact": pa.array([Decimal(10) ** 37, Decimal(-1)], pa.decimal128(38, 0)),
    }
    pa.parquet.write_table(pa.table(values), tmp_path / "orders.parquet")
    with project(tmp_path, shop, "orders.parquet", "sum(amount) where big > 0 or exact < 0") as opened:
        assert opened.query("m", by="month").rows() == [
            {"month": dt.date(2026, 1, 1), "m": 1},
            {"month": None, "m": 255},
        ]
        session = opened._runner.elsewhere.session  # type: ignore[union-attr]
        assert session.rows("SELECT sum(big)::text, sum(exact)::text FROM kpi_orders") == [
            (str(2**64 - 1), str(10**37 - 1))
        ]
        with pytest.raises(EngineError, match="cannot execute INSERT in a read-only transaction"):
            session.rows('INSERT INTO shop."Orders" (id) VALUES (9) RETURNING id')


NUMBERS = [
    "", " ", "5", "\t5\n", "5.", ".5", ".", "+5", "-5", "+-5", "-+5", "1e3", "1E+3", "1e", "1e300", "1e-300", "inf", "-INF",
    "infinity", "nan", "+nan", "inff", "0x10", "1_000", "1_", "_1", "1__0", "1_0.5_0", "1e1_0", "٥", "5f", "1 000", "1,5",
    "true", "1e0001", "00012", "1.5.5", "5\x0b", "1.e3", ".e3", "1.5e-3 ", "- 5", "１", None,
]  # fmt: skip


def test_texts_are_tried_as_numbers_as_duckdb_does(tmp_path: Path, shop: str) -> None:
    table = pa.table({"ordered_at": [dt.date(2026, 1, 1)] * len(NUMBERS), "id": range(len(NUMBERS)), "s": NUMBERS})
    pa.parquet.write_table(table, tmp_path / "orders.parquet")
    with project(tmp_path, shop, "orders.parquet", "max(try_cast(s as double))") as opened:
        found = dict(zip(NUMBERS, opened.query("m", by="id").arrow()["m"].to_pylist(), strict=True))
    with duckdb.connect() as connection:
        wanted = {s: connection.execute("SELECT try_cast($1 AS DOUBLE)", [s]).fetchall()[0][0] for s in NUMBERS}
    assert {s: repr(v) for s, v in found.items()} == {s: repr(v) for s, v in wanted.items()}


def test_decimals_keep_their_digits_as_texts(tmp_path: Path, shop: str) -> None:
    table = pa.table({"ordered_at": [dt.date(2026, 1, 1)], "d": pa.array([Decimal("1.50")], pa.decimal128(10, 2))})
    pa.parquet.write_table(table, tmp_path / "orders.parquet")
    with project(tmp_path, shop, "orders.parquet", "max(cast(d as varchar))") as opened:
        assert opened.query("m").rows() == [{"m": "1.50"}]


def test_a_nested_column_has_no_place(tmp_path: Path, shop: str) -> None:
    table = pa.table({"ordered_at": [dt.date(2026, 1, 5)], "amount": [1], "parts": [{"a": 1}]})
    pa.parquet.write_table(table, tmp_path / "orders.parquet")
    with project(tmp_path, shop, "orders.parquet") as opened:
        assert opened.query("m").rows() == [{"m": 1}]  # it is not named, and does not go over
    with (
        project(tmp_path, shop, "orders.parquet", "count(parts)") as opened,
        pytest.raises(EngineError, match='column "parts" is struct'),
    ):
        opened.query("m").arrow()


@pytest.fixture
def session(tmp_path: Path, shop: str) -> Iterator[Any]:
    session = Postgres().open({"url": shop}, EngineContext(tmp_path))
    yield session
    session.close()


MANY = "SELECT x, repeat('x', 100) FROM generate_series(1, 1000000) AS s(x)"


def test_a_result_that_is_not_read_to_its_end_loses_nothing_to_the_next(session: Any) -> None:
    first = session.reader(MANY)
    head = first.read_next_batch()
    assert session.rows("SELECT 1") == [(1,)]
    rest = first.read_all()
    assert head["x"].to_pylist() + rest["x"].to_pylist() == list(range(1, 1_000_001))


def test_a_result_that_is_given_up_frees_the_connection(session: Any) -> None:
    reader = session.reader(MANY)
    reader.read_next_batch()
    del reader
    assert session.rows("SELECT 2") == [(2,)]


@pytest.mark.parametrize(
    "statement", ["SELECT pg_sleep(60)", "SELECT count(*) FROM generate_series(1, 10000000000) AS s(x)"]
)
def test_a_statement_is_stopped(session: Any, statement: str) -> None:
    threading.Timer(0.5, session.interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        session.reader(statement).read_all()
    assert session.rows("SELECT 3") == [(3,)]


def test_a_stream_is_stopped(session: Any) -> None:
    reader = session.reader(MANY)
    reader.read_next_batch()
    session.interrupt()
    with pytest.raises(KeyboardInterrupt):
        reader.read_all()
    assert session.rows("SELECT 4") == [(4,)]


def test_a_lost_connection_leaves_the_old_export(tmp_path: Path, shop: str) -> None:
    with project(tmp_path, shop, TABLE) as opened:
        opened.export(metrics="m", by="month", out=tmp_path / "out.parquet")
        before = (tmp_path / "out.parquet").read_bytes()
        (pid,) = opened._runner.elsewhere.session.rows("SELECT pg_backend_pid()")[0]  # type: ignore[union-attr]
        run(shop, f"SELECT pg_terminate_backend({pid})")
        with pytest.raises(
            EngineError, match=r"the connection to PostgreSQL at 127.0.0.1:\d+, database \"postgres\" was lost"
        ):
            opened.export(metrics="m", by="month", out=tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_bytes() == before


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("s3cret-word", "t0p-secret"), 'password authentication failed for user "kpi"'),
        (("/postgres", "/nowhere"), 'database "nowhere" does not exist'),
        (("127.0.0.1", "no-such-host.invalid"), 'could not translate host name "no-such-host.invalid"'),
        (("postgresql://kpi:s3cret-word@127.0.0.1", "host=127.0.0.1 port=1 user=kpi password=t0p-secret dbname="), "Connection refused"),
    ],
)  # fmt: skip
def test_a_server_that_cannot_be_used(tmp_path: Path, shop: str, wrong: tuple[str, str], told: str) -> None:
    url = shop.replace(*wrong)
    url = url[: url.index("dbname=")] if "dbname=" in url else url
    with project(tmp_path, url, TABLE) as opened, pytest.raises(EngineError) as caught:
        opened.query("m").arrow()
    message = str(caught.value)
    assert message.startswith("kpi.yaml:1:9: PostgreSQL")
    assert told in message
    assert "s3cret" not in message and "t0p" not in message
    assert "\n" not in message


def test_what_the_server_refuses_is_one_message(session: Any) -> None:
    with pytest.raises(KpiError, match=r"^PostgreSQL: relation \"nowhere\" does not exist$"):
        session.rows("SELECT * FROM nowhere")
    with pytest.raises(DataError, match=r"^PostgreSQL: division by zero$"):
        session.rows("SELECT 1 / 0")
    with pytest.raises(DataError, match=r"^PostgreSQL: integer out of range$"):
        session.rows("SELECT 99999999999::int")


def test_the_version_is_the_servers(session: Any) -> None:
    assert session.version[0].isdigit()
