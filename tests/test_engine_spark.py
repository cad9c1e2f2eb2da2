"""Spark as an engine, on Sail: sources as it reads them, rows sent, settings, and what is said where it fails."""

from __future__ import annotations

import datetime as dt
import threading
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest

import kpiengine
from kpiengine.errors import DataError, EngineError, KpiError
from kpiengine.project import Project

from .one_metric import one_metric, told
from .servers.processes import free_port
from .servers.sail import started_sail

pytestmark = pytest.mark.engine

JANUARY, FEBRUARY = dt.date(2026, 1, 1), dt.date(2026, 2, 1)
ORDERS = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "ordered_at": pa.array([dt.datetime(2026, 1, 5, 10), dt.datetime(2026, 2, 1), None], pa.timestamp("us")),
        "amount": pa.array([Decimal("10.50"), Decimal("5.25"), Decimal("1.00")], pa.decimal128(10, 2)),
        "Customer ID": ["a", "b", None],
    }
)


def project(
    folder: Path, remote: str, source: str = "o.parquet", formula: str = "sum(amount)", more: str = ""
) -> Project:
    return one_metric(folder, f"{{spark: {{remote: '{remote}'{more}}}}}", source, formula)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pa.parquet.write_table(ORDERS, tmp_path / "o.parquet")
    return tmp_path


MONTHLY = [
    {"month": JANUARY, "m": Decimal("10.50")},
    {"month": FEBRUARY, "m": Decimal("5.25")},
    {"month": None, "m": Decimal("1.00")},
]


def test_files_are_read_by_the_executors(folder: Path, sail_remote: str) -> None:
    with project(folder, sail_remote) as opened:
        result = opened.query("m", "month")
        assert f"parquet.`{folder}/o.parquet`" in result.sql
        assert result.rows() == MONTHLY
        assert result.arrow().schema.field("m").type == pa.decimal128(38, 2)


def test_rows_are_sent_where_the_executors_do_not_see_them(folder: Path, sail_remote: str) -> None:
    with project(folder, sail_remote, more=", shared_files: false") as opened:
        result = opened.query("m", "month")
        assert "kpi_orders" in result.sql
        assert "parquet" not in result.sql
        assert result.rows() == MONTHLY


@pytest.mark.parametrize("made", ["several", "folder", "partitioned"])
def test_several_files(folder: Path, sail_remote: str, made: str) -> None:
    place = folder / "many"
    if made == "partitioned":
        with duckdb.connect() as connection:
            rows = f"SELECT *, CAST(date_trunc('month', ordered_at) AS DATE) AS month FROM '{folder}/o.parquet' WHERE id < 3"
            connection.execute(f"COPY ({rows}) TO '{place}' (FORMAT parquet, PARTITION_BY month)")
    else:
        place.mkdir()
        for n in range(3):
            pa.parquet.write_table(ORDERS.slice(n, 1), place / f"{n}.parquet")
    source = {
        "several": "[many/0.parquet, many/2.parquet]",
        "folder": "{parquet: many}",
        "partitioned": "{parquet: many}",
    }
    written = source[made] if made != "several" else f"{{parquet: {{path: {source[made]}}}}}"
    with project(folder, sail_remote, written) as opened:
        result = opened.query("m", "orders.month" if made == "partitioned" else None)
        assert "parquet.`" in result.sql
        with kpiengine.open(folder, engine="duckdb") as here:
            assert result.rows() == here.query("m", "orders.month" if made == "partitioned" else None).rows()


def test_files_of_different_columns_are_sent(folder: Path, sail_remote: str) -> None:
    pa.parquet.write_table(ORDERS.drop_columns(["amount"]), folder / "p.parquet")
    with project(folder, sail_remote, "{parquet: {path: [o.parquet, p.parquet]}}") as opened:
        result = opened.query("m")
        assert "kpi_orders" in result.sql
        assert result.rows() == [{"m": Decimal("16.75")}]


def test_a_table_and_its_types(folder: Path, sail_remote: str) -> None:
    with project(folder, sail_remote, "{table: shop.orders}") as opened:
        spark = opened._runner.elsewhere.session.spark  # Sail keeps a catalog for each session
        spark.sql("CREATE DATABASE shop").collect()
        spark.sql(f"CREATE TABLE shop.orders USING parquet LOCATION '{folder}/o.parquet'").collect()
        assert opened.model.source("orders").raw == {
            "id": "BIGINT",
            "ordered_at": "TIMESTAMP",
            "amount": "DECIMAL(10,2)",
            "Customer ID": "VARCHAR",
        }
        assert opened.query("m", "month").rows() == MONTHLY


def test_a_table_of_nearly_that_name(folder: Path, sail_remote: str) -> None:
    with project(folder, sail_remote, "{table: shop.order}") as opened:
        spark = opened._runner.elsewhere.session.spark
        spark.sql("CREATE DATABASE shop").collect()
        spark.sql(f"CREATE TABLE shop.orders USING parquet LOCATION '{folder}/o.parquet'").collect()
        with pytest.raises(DataError, match=r'has no table shop\.order  \(did you mean "shop\.orders"'):
            opened.query("m").arrow()


def test_a_path_as_a_table(folder: Path, sail_remote: str) -> None:
    with project(folder, sail_remote, f"{{table: 'parquet.\"{folder}/o.parquet\"'}}") as opened:
        assert opened.query("m", "month").rows() == MONTHLY


def test_a_delta_table_by_its_path(folder: Path, sail_remote: str) -> None:
    """A table of two versions: the rows of the last one count."""
    with project(folder, sail_remote) as opened:
        spark = opened._runner.elsewhere.session.spark
        for mode in ("error", "overwrite"):
            spark.sql(f"SELECT * FROM parquet.`{folder}/o.parquet`").write.format("delta").mode(mode).save(
                f"{folder}/lake"
            )
    assert len(list((folder / "lake" / "_delta_log").glob("*.json"))) == 2
    assert len(list((folder / "lake").glob("*.parquet"))) > 1
    with project(folder, sail_remote, f"{{table: 'delta.\"{folder}/lake\"'}}") as opened:
        assert opened.query("m", "month").rows() == MONTHLY


def test_a_table_that_is_not_there(folder: Path, sail_remote: str) -> None:
    message = told(DataError, project(folder, sail_remote, "{table: nowhere}"))
    assert "kpi.yaml:3:3" in message
    assert "has no table nowhere" in message


def test_nobody_answers(folder: Path) -> None:
    port = free_port()
    message = told(EngineError, project(folder, f"sc://127.0.0.1:{port}"))
    assert f"Spark at 127.0.0.1:{port} cannot be reached: Connection refused; start its Connect server" in message


def test_an_address_that_is_none(folder: Path) -> None:
    message = told(EngineError, project(folder, "spark://127.0.0.1:7077"))
    assert '"spark://127.0.0.1:7077" is no address of a Spark Connect server; write it as sc://host:15002' in message


def test_a_setting_that_would_change_meanings(folder: Path, sail_remote: str) -> None:
    message = told(KpiError, project(folder, sail_remote, more=", settings: {spark.sql.session.timeZone: CET}"))
    assert '"spark.sql.session.timeZone" of Spark is not to be set' in message


def test_a_server_that_goes_away(folder: Path) -> None:
    server, remote = started_sail(folder)
    with project(folder, remote) as opened:
        try:
            assert opened.query("m").rows() == [{"m": Decimal("16.75")}]
        finally:
            server.stop()
        with pytest.raises(EngineError, match=r"the connection to Spark at 127\.0\.0\.1:\d+ was lost"):
            opened.query("m", "month").arrow()


def test_interrupt(folder: Path, sail_remote: str) -> None:
    with project(folder, sail_remote, formula="sum(amount)") as opened:
        opened.query("m").arrow()
        session = opened._runner.elsewhere.session
        timer = threading.Timer(1, session.interrupt)
        timer.start()
        try:
            with pytest.raises(KeyboardInterrupt):
                session.reader("SELECT sum(a.id * b.id) FROM range(3000000) a CROSS JOIN range(3000000) b").read_all()
        finally:
            timer.cancel()


def test_without_rows(folder: Path, sail_remote: str) -> None:
    with project(folder, sail_remote) as opened:
        result = opened.query("m", "month", where="id > 99")
        assert result.rows() == []
        assert [str(field.type) for field in result.arrow().schema] == ["date32[day]", "decimal128(38, 2)"]


FIRSTS = """
sources:
  orders: {from: lines.parquet, time: ordered_at, joins: {customers: customer_id}}
  customers: {from: people.parquet, key: customer_id}
metrics:
  n: {source: orders, formula: count(*)}
  new: {source: orders, formula: count(distinct customer_id) where ordered_at = first_time(customer_id)}
  new_large: {source: orders, formula: "count(distinct customer_id) where ordered_at = first_time(customer_id) and overall(customer_id, sum(amount)) > 40"}
  worth: {source: orders, formula: "sum(per(customer_id, max(overall(customer_id, sum(amount))))) where ordered_at = first_time(customer_id)"}
"""


def test_first_orders_are_read_from_a_row_a_customer(
    tmp_path: Path, sail_remote: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        (None if n % 13 == 0 else n % 37, None if n % 17 == 0 else dt.datetime(2026, 1 + n % 5, 1 + n % 3), n % 11 - 2)
        for n in range(400)  # most customers have several lines at their first time
    ]
    given = dict(zip(("customer_id", "ordered_at", "amount"), map(list, zip(*lines, strict=True)), strict=True))
    pa.parquet.write_table(pa.table(given), tmp_path / "lines.parquet")
    people = {"customer_id": list(range(30)), "channel": [("web", "shop", None)[n % 3] for n in range(30)]}
    pa.parquet.write_table(pa.table(people), tmp_path / "people.parquet")
    (tmp_path / "kpi.yaml").write_text(f"engines: {{spark: {{remote: '{sail_remote}'}}}}\n{FIRSTS}")
    found = {}
    for engine, chosen in (("duckdb", "none"), ("spark", "none"), ("spark", "always -fold")):
        monkeypatch.setenv("KPI_PASSES", chosen)
        with kpiengine.open(tmp_path, engine=engine) as opened:
            result = opened.query("new,new_large,worth,n", "month,customers.channel", order="month,channel")
            found[engine, chosen] = result.rows()
            assert ("first_by_customer_id" in result.sql) == (chosen != "none")
    assert len(found["duckdb", "none"]) > 10
    assert found["spark", "always -fold"] == found["spark", "none"] == found["duckdb", "none"]
