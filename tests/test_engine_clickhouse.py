"""ClickHouse as an engine, inside this process: files that it reads itself, rows handed over, and what goes wrong."""

from __future__ import annotations

import datetime as dt
import threading
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

import kpiengine
from kpiengine.engine import EngineContext
from kpiengine.errors import DataError
from kpiengine.project import Project
from kpiengine.testing import Case, OnEngine, load_cases, run_case
from kpiengine_plugins.engines.clickhouse import ClickHouse

from .one_metric import one_metric, told

pytestmark = pytest.mark.engine

CASES = [case for path in sorted((Path(__file__).parent / "cases").glob("*.yaml")) for case in load_cases(path)]
ORDERS = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "ordered_at": pa.array([dt.datetime(2026, 1, 5, 10), dt.datetime(2026, 2, 1), None], pa.timestamp("us")),
        "amount": pa.array([Decimal("10.50"), Decimal("5.25"), Decimal("1.00")], pa.decimal128(10, 2)),
        "Customer ID": ["a", "b", None],
    }
)


# A sample: each case is run on DuckDB and on Sail.
@pytest.mark.parametrize("case", [c for c in CASES if c.error is None][::6], ids=str)
def test_case(case: Case, tmp_path: Path) -> None:
    if "clickhouse" in case.not_on:
        pytest.skip(case.not_on["clickhouse"])
    run_case(case, OnEngine("clickhouse"), tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pa.parquet.write_table(ORDERS, tmp_path / "o.parquet")
    return tmp_path


def project(folder: Path, source: str = "o.parquet", formula: str = "sum(amount)", options: str = "{}") -> Project:
    return one_metric(folder, f"{{clickhouse: {options}}}", source, formula)


MONTHLY = [
    {"month": dt.date(2026, 1, 1), "m": Decimal("10.50")},
    {"month": dt.date(2026, 2, 1), "m": Decimal("5.25")},
    {"month": None, "m": Decimal("1.00")},
]


def test_files_are_read_by_the_engine(folder: Path) -> None:
    with project(folder) as opened:
        result = opened.query("m", "month")
        assert f"file('{folder}/o.parquet', 'Parquet')" in " ".join(result.sql.split()).replace("( ", "(").replace(
            " )", ")"
        )
        assert "session_timezone = 'UTC'" in result.sql
        assert result.rows() == MONTHLY
        assert result.arrow().schema.field("m").type == pa.decimal128(38, 2)


def test_rows_are_handed_over(folder: Path) -> None:
    (folder / "o.csv").write_text("id,ordered_at,amount\n1,2026-01-05,10.5\n")
    with project(folder, "o.csv", "sum(id)") as opened:
        result = opened.query("m")
        assert "kpi_orders" in result.sql
        assert result.rows() == [{"m": 1}]


def test_two_projects_do_not_see_each_others_rows(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    (folder / "o.csv").write_text("id,ordered_at\n1,2026-01-05\n")
    (other / "o.csv").write_text("id,ordered_at\n2,2026-01-05\n")
    with project(folder, "o.csv", "sum(id)") as one, project(other, "o.csv", "sum(id)") as two:
        assert one.query("m").rows() == [{"m": 1}]
        assert two.query("m").rows() == [{"m": 2}]
        assert one.query("m").rows() == [{"m": 1}]


def test_no_rows(folder: Path) -> None:
    with project(folder) as opened:
        empty = opened.query("m", "month", where="id > 100")
        assert empty.rows() == []
        assert empty.arrow().schema.field("month").type == pa.date32()
        assert opened.query("m", where="id > 100").rows() == [{"m": None}]


def test_a_failed_statement_leaves_nothing_behind(folder: Path) -> None:
    session = ClickHouse().open({}, EngineContext(folder))
    try:
        with pytest.raises(DataError, match=r"^ClickHouse: Value in column Int128 cannot be safely converted"):
            session.reader(
                "SELECT accurateCast(toInt128(number) + 9223372036854775807, 'Int64') FROM numbers(3)"
            ).read_all()
        assert session.rows("SELECT 1") == [(1,)]
        assert session.rows("SELECT 2 AS x WHERE x > 1 SETTINGS prefer_column_name_to_alias = 0") == [(2,)]
        assert session.reader("SELECT number FROM numbers(200000)").read_all().num_rows == 200000
    finally:
        session.close()


def test_an_overflow_is_an_error_and_no_wrong_number(folder: Path) -> None:
    large = pa.table({"id": [2**62, 2**62], "ordered_at": [dt.datetime(2026, 1, 1)] * 2, "amount": [2**62, 2**62]})
    pa.parquet.write_table(large, folder / "large.parquet")
    assert "cannot be safely converted into type Int64" in told(DataError, project(folder, "large.parquet"))


def test_an_export_is_that_of_duckdb(folder: Path) -> None:
    with project(folder) as opened:
        opened.export(metrics="m", by="month", out=folder / "there.parquet")
    with kpiengine.open(folder, engine="duckdb") as opened:
        opened.export(metrics="m", by="month", out=folder / "here.parquet")
    there, here = (pa.parquet.read_table(folder / f"{name}.parquet") for name in ("there", "here"))
    assert there.equals(here)
    assert b"clickhouse" in b"".join(pa.parquet.read_schema(folder / "there.parquet").metadata.values())


def test_what_runs_is_stopped(folder: Path) -> None:
    session = ClickHouse().open({}, EngineContext(folder))
    try:
        threading.Timer(0.5, session.interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            session.rows("SELECT\n  sum(cityHash64(number))\nFROM numbers(60000000000)")
        assert session.rows("SELECT 3") == [(3,)]
    finally:
        session.close()
