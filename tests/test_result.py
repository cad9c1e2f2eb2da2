"""A result: taken by everything that speaks Arrow, read as often as wanted, by several at once."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kpiengine
from kpiengine import connection, duck
from kpiengine.errors import DataError
from kpiengine.project import Project

MANY = 350_000


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    (tmp_path / "kpi.yaml").write_text(
        "sources: {raw: {from: s.parquet}, s: {from: {sql: select * from raw}, time: t}}\n"
        "metrics: {m: {source: s, formula: sum(x)}, n: {source: s, formula: count(*)}, k: {source: raw, formula: sum(x)}}\n"
    )
    query = "SELECT i AS id, i % 3 AS c, i * 1.5 AS x, DATE '2026-01-01' + (i % 50)::INT AS t FROM range(?) r(i)"
    pq.write_table(duckdb.sql(query, params=[MANY]).to_arrow_table(), tmp_path / "s.parquet")
    with kpiengine.open(tmp_path) as opened:
        yield opened


def test_everything_that_speaks_arrow_takes_it(project: Project) -> None:
    result = project.query("m,n", by="c")
    other = project.query("n", by="c")
    assert pa.table(result).column_names == ["c", "m", "n"]
    assert pa.RecordBatchReader.from_stream(other).read_all().num_rows == 3
    assert duckdb.sql("SELECT count(*) FROM result JOIN other USING (c)").fetchall() == [(3,)]
    assert pa.schema(result) == result.arrow().schema
    assert [column.name for column in result.columns] == ["c", "m", "n"]


def test_polars_and_pandas_take_it(project: Project) -> None:
    polars = pytest.importorskip("polars")
    pytest.importorskip("pandas")
    result = project.query("m,n", by="c")
    assert polars.DataFrame(result).shape == (3, 3)
    assert list(result.df().columns) == ["c", "m", "n"]


def test_it_is_read_as_often_as_wanted(project: Project) -> None:
    result = project.query("n", by="c")
    assert result.reader().read_all() == result.reader().read_all() == result.arrow() == result.arrow()
    assert pa.table(result) == pa.table(result)
    assert len(result) == 3
    counts = duckdb.sql(f"SELECT count(*) FROM range({MANY}) r(i) GROUP BY i % 3 ORDER BY i % 3").fetchall()
    assert [(row["n"],) for row in result.rows()] == counts


def test_no_rows_keep_their_columns_and_types(project: Project) -> None:
    empty, full = project.query("m,n", by="c", where="x < 0"), project.query("m,n", by="c")
    assert empty.arrow().num_rows == len(empty) == 0
    assert empty.rows() == []
    assert empty.arrow().schema == full.arrow().schema == empty.reader().schema


def test_streams_are_read_side_by_side(project: Project) -> None:
    one, other = project.query("m", by="id").reader(), project.query("n", by="id").reader()
    rows = [0, 0]
    for first, second in zip(one, other, strict=True):
        rows[0] += first.num_rows
        rows[1] += second.num_rows
        assert project.query("n").rows() == [{"n": MANY}]
    assert rows == [MANY, MANY]


def test_a_reader_that_is_left_half_read_blocks_nobody(project: Project) -> None:
    reader = project.query("m", by="id").reader()
    assert 0 < reader.read_next_batch().num_rows < MANY
    assert project.query("n").rows() == [{"n": MANY}]
    reader.close()
    assert project.query("n").rows() == [{"n": MANY}]


def test_threads_ask_one_project(project: Project) -> None:
    found: list[object] = []

    def ask(by: str) -> None:
        try:
            found.extend(len(project.query("m,n", by=by)) for _ in range(3))
        except BaseException as error:
            found.append(error)

    threads = [threading.Thread(target=ask, args=(("c", "month")[number % 2],)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=str) == [2] * 9 + [3] * 9


@pytest.mark.parametrize(("metrics", "by", "rows"), [("m,n", "day", 50), ("k", "c", 3)])
def test_small_answers_are_gathered_and_come_as_streamed_ones_do(
    project: Project, monkeypatch: pytest.MonkeyPatch, metrics: str, by: str, rows: int
) -> None:
    """Rows of periods alone, and groups of few rows: the same names, types and rows, without a warning."""
    asked: list[bool] = []
    reader = project._runner.duck.reader

    def noted(statement: str, *, few: bool = False) -> pa.RecordBatchReader:
        asked.append(few)
        return reader(statement, few=few)

    monkeypatch.setattr(project._runner.duck, "reader", noted)
    monkeypatch.setattr("kpiengine.running.FEW_READ", MANY)
    gathered = project.query(metrics, by=by)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table, filters = gathered.arrow(), list(warnings.filters)
    monkeypatch.setattr("kpiengine.running.FEW_READ", MANY - 1)
    monkeypatch.setattr("kpiengine.running._gives_a_row_a_period", lambda _: False)
    streamed = project.query(metrics, by=by).arrow()
    assert asked == [True, False]
    assert table == streamed
    assert table.schema == streamed.schema
    assert table.num_rows == rows
    assert filters[0][0] == "error"


def test_a_statement_that_gave_few_rows_is_bound_once_from_then_on(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered: list[str] = []
    gather = duck.gathered

    def noted(cursor: duckdb.DuckDBPyConnection, statement: str) -> pa.RecordBatchReader:
        gathered.append(statement)
        return gather(cursor, statement)

    monkeypatch.setattr(duck, "gathered", noted)
    few, many = "SELECT i FROM range(10_000) r(i)", "SELECT i FROM range(10_001) r(i)"
    for statement in (few, many):
        tables = [project._runner.duck.reader(statement).read_all() for _ in range(2)]
        assert tables[0] == tables[1]
    assert gathered == [few]
    with project._runner.duck.reader(f"{few} WHERE i >= 0") as unread:  # nothing is known of what was not read
        unread.read_next_batch()
    assert project._runner.duck.reader(f"{few} WHERE i >= 0").read_all() == tables[0].slice(0, 10_000)
    assert gathered == [few]


def test_warnings_that_were_shown_once_are_not_shown_again(project: Project) -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.resetwarnings()
        warnings.filterwarnings("ignore", connection._OF_COPIES, UserWarning)
        warnings.filterwarnings("default", category=FutureWarning)
        for _ in range(2):
            warnings.warn("of the user's own", FutureWarning, stacklevel=1)
            assert project.query("n", by="day").arrow().num_rows == 50
    assert [str(one.message) for one in shown] == ["of the user's own"]


def test_what_fails_leaves_nothing_running(project: Project) -> None:
    reader = project._runner.duck.reader
    for few in (True, False):
        with pytest.raises(DataError):
            reader("SELECT error('no') FROM range(2)", few=few).read_all()
        with pytest.raises(DataError):
            project._runner.duck.fetched("SELECT error('no') FROM range(2)")
        assert not project._runner.duck._running
