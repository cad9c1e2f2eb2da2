"""DataFusion as an engine: every case, files that it reads itself, rows handed over, and what goes wrong."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

import kpiengine
from kpiengine.errors import DataError, EngineError, KpiError
from kpiengine.project import Project
from kpiengine.testing import Case, OnEngine, load_cases, run_case

from .one_metric import one_metric, told

pytestmark = pytest.mark.engine

CASES = [case for path in sorted((Path(__file__).parent / "cases").glob("*.yaml")) for case in load_cases(path)]
ORDERS = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "ordered_at": pa.array([dt.datetime(2026, 1, 5, 10), dt.datetime(2026, 2, 1), None], pa.timestamp("us")),
        "amount": pa.array([Decimal("10.50"), Decimal("5.25"), Decimal("1.00")], pa.decimal128(10, 2)),
        "Customer ID": ["a", "b", None],
        "tags": pa.array([["x"], None, []], pa.list_(pa.string())),
    }
)


# A sample: each case is run on DuckDB and on Sail.
@pytest.mark.parametrize("case", [c for c in CASES if c.error is None][::6], ids=str)
def test_case(case: Case, tmp_path: Path) -> None:
    if "datafusion" in case.not_on:
        pytest.skip(case.not_on["datafusion"])
    run_case(case, OnEngine("datafusion"), tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pa.parquet.write_table(ORDERS.drop_columns(["tags"]), tmp_path / "o.parquet")
    return tmp_path


def project(folder: Path, source: str = "o.parquet", formula: str = "sum(amount)", options: str = "{}") -> Project:
    return one_metric(folder, f"{{datafusion: {options}}}", source, formula)


MONTHLY = [
    {"month": dt.date(2026, 1, 1), "m": Decimal("10.50")},
    {"month": dt.date(2026, 2, 1), "m": Decimal("5.25")},
    {"month": None, "m": Decimal("1.00")},
]


def test_files_are_read_by_the_engine(folder: Path) -> None:
    with project(folder) as opened:
        result = opened.query("m", "month")
        assert f'FROM "{folder}/o.parquet"' in result.sql
        assert result.rows() == MONTHLY
        assert result.arrow().schema.field("m").type == pa.decimal128(38, 2)


def test_several_files_and_a_source_over_them(folder: Path) -> None:
    pa.parquet.write_table(ORDERS.drop_columns(["tags"]), folder / "p.parquet")
    with project(folder, '"*.parquet"', "count(*)") as opened:
        result = opened.query("m")
        assert "kpi_" not in result.sql
        assert result.rows() == [{"m": 6}]
    with project(folder, "{sql: \"select * from 'o.parquet' where id > 1\"}", "count(*)") as opened:
        assert opened.query("m").rows() == [{"m": 2}]


def test_what_it_would_read_otherwise_is_handed_over(folder: Path) -> None:
    (folder / "o.csv").write_text("id,ordered_at,amount\n1,2026-01-05,10.5\n")
    with project(folder, "o.csv", "sum(id)") as opened:
        result = opened.query("m")
        assert "kpi_orders" in result.sql
        assert result.rows() == [{"m": 1}]
    pa.parquet.write_table(ORDERS, folder / "nested.parquet")
    with project(folder, "nested.parquet", "count(*) where tags is not null") as opened:
        result = opened.query("m")
        assert "kpi_orders" in result.sql
        assert result.rows() == [{"m": 2}]


def test_tables_of_its_own(folder: Path) -> None:
    options = "{tables: {sales: o.parquet}, threads: 1}"
    with project(folder, "{table: sales}", options=options) as opened:
        assert opened.query("m", "month").rows() == MONTHLY
    message = told(DataError, project(folder, "{table: sale}", options=options))
    assert 'DataFusion has no table "sale"  (did you mean "sales"?)' in message
    message = told(EngineError, project(folder, "{table: sales}", options="{tables: {sales: none.parquet}}"))
    assert f'table "sales" of DataFusion is to be read from {folder}/none.parquet, which is not there' in message


def test_an_overflow_is_an_error_and_no_wrong_number(folder: Path) -> None:
    large = pa.table({"id": [2**62, 2**62], "ordered_at": [dt.datetime(2026, 1, 1)] * 2, "amount": [2**62, 2**62]})
    pa.parquet.write_table(large, folder / "large.parquet")
    message = told(DataError, project(folder, "large.parquet"))
    assert message.startswith("DataFusion: ")
    assert "out of range" in message
    message = told(KpiError, project(folder, "o.parquet", 'sum(cast(\\"Customer ID\\" as int))'))
    assert message.startswith("DataFusion: ")
    assert "Cannot cast string" in message


def test_an_export_is_that_of_duckdb(folder: Path) -> None:
    with project(folder) as opened:
        opened.export(metrics="m", by="month", out=folder / "there.parquet")
    with kpiengine.open(folder, engine="duckdb") as opened:
        opened.export(metrics="m", by="month", out=folder / "here.parquet")
    there, here = (pa.parquet.read_table(folder / f"{name}.parquet") for name in ("there", "here"))
    assert there.equals(here)
    assert b"datafusion" in b"".join(pa.parquet.read_schema(folder / "there.parquet").metadata.values())
