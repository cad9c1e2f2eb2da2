"""What the query commands hand to the facade, and where the answer goes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kpiengine.errors import DataError


def test_query_hands_on_only_what_was_given(kpi, project):
    kpi("query", "revenue")
    assert project.calls[-1] == ("query", ("revenue",), {})
    assert project.closed


def test_query_hands_on_every_option_as_text(kpi, project):
    got = kpi(
        "query", "revenue,aov", "orders", "--by", "month,channel", "--by", "customers.country", "--where", "a = 'x,y'",
        "--where", "b", "--having", "revenue > 1", "--since", "-90d", "--until", "jalali:1405-01-01",
        "--order", "revenue:desc", "--limit", "0", "--totals", "--fill", "--complete", "--as-of", "2026-02",
        "--engine", "duckdb",
    )  # fmt: skip
    assert got.exit_code == 0, got.output
    assert project.calls[-1] == (
        "query",
        ("revenue,aov", "orders"),
        {
            "by": ("month,channel", "customers.country"), "where": ("a = 'x,y'", "b"), "having": ("revenue > 1",),
            "since": "-90d", "until": "jalali:1405-01-01", "order": ("revenue:desc",), "limit": 0, "totals": True,
            "fill": True, "complete": True, "as_of": "2026-02",
        },
    )  # fmt: skip


def test_by_none_is_handed_on(kpi, project):
    kpi("query", "revenue", "--by", "none")
    assert project.calls[-1][2] == {"by": ("none",)}


def test_since_takes_a_span_with_blanks(kpi, project):
    kpi("query", "revenue", "--since", "-3 months")
    assert project.calls[-1][2] == {"since": "-3 months"}


def test_folder_before_and_after_the_command(kpi, project, tmp_path):
    kpi("-C", str(tmp_path), "query", "revenue")
    assert project.calls[0] == ("open", tmp_path, {})
    project.calls.clear()
    kpi("query", "revenue", "-C", str(tmp_path))
    assert project.calls[0] == ("open", tmp_path, {})


def test_sql_prints_the_statement_and_passes_the_dialect(kpi, project):
    assert kpi("sql", "revenue", "--dialect", "spark", "--by", "month").output == "SELECT 1\n"
    assert project.calls[-1] == ("sql", ("revenue",), {"by": ("month",), "dialect": "spark"})


def test_sql_out_writes_the_statement(kpi, project, tmp_path):
    kpi("sql", "revenue", "--out", str(tmp_path / "q.sql"))
    assert (tmp_path / "q.sql").read_text() == "SELECT 1\n"


def test_a_table_without_colour_is_the_default_in_a_pipe(kpi, project):
    assert kpi("query", "revenue").stdout == "month    revenue\n-------  -------\n2026-01       10\n"


@pytest.mark.parametrize(
    ("ending", "start"),
    [("csv", b"month,revenue\n"), ("json", b"[\n"), ("jsonl", b'{"month"'), ("md", b"| month |"),
     ("parquet", b"PAR1"), ("arrow", b"ARROW1"), ("feather", b"ARROW1"), ("txt", b"month  ")],
)  # fmt: skip
def test_out_takes_the_format_from_the_ending(kpi, project, tmp_path, ending, start):
    out = tmp_path / f"x.{ending}"
    got = kpi("query", "revenue", "--out", str(out))
    assert got.exit_code == 0, got.output
    assert got.stdout == ""
    assert got.stderr == f"1 row written to {out}\n"
    assert out.read_bytes().startswith(start)
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_format_beats_the_ending(kpi, project, tmp_path):
    kpi("query", "revenue", "--out", str(tmp_path / "x.txt"), "--format", "json")
    assert json.loads((tmp_path / "x.txt").read_text()) == [{"month": "2026-01", "revenue": 10}]


@pytest.mark.parametrize(
    ("name", "says"),
    [("x.docx", 'the ending ".docx" names no format'), ("no/x.csv", "make it first"), (".", "is a folder")],
)
def test_out_that_cannot_be_is_a_usage_error_before_any_work(kpi, project, tmp_path, name, says):
    got = kpi("query", "revenue", "--out", str(tmp_path / name))
    assert got.exit_code == 2
    assert says in got.stderr
    assert project.calls == []


def test_out_keeps_the_old_file_when_the_query_fails(kpi, project, tmp_path):
    out = tmp_path / "x.csv"
    out.write_text("old")
    project.error = DataError("no such file: data/x.csv")
    got = kpi("query", "revenue", "--out", str(out))
    assert (got.exit_code, got.stderr) == (1, "error: no such file: data/x.csv\n")
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_out_keeps_the_old_file_when_the_stream_fails_midway(kpi, project, tmp_path, monkeypatch):
    class Broken:
        columns = ()

        def fetched(self):
            return None

        def reader(self):
            batch = pa.record_batch({"n": [1]})

            def batches():
                yield batch
                raise DataError("the value overflows")

            return pa.RecordBatchReader.from_batches(batch.schema, batches())

    monkeypatch.setattr(project, "query", lambda *a, **k: Broken())
    out = tmp_path / "x.csv"
    out.write_text("old")
    got = kpi("query", "revenue", "--out", str(out))
    assert got.exit_code == 1
    assert got.stderr == "error: the value overflows\n"
    assert out.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_out_through_a_link_keeps_the_link_and_the_mode(kpi, project, tmp_path):
    real = tmp_path / "real.csv"
    real.write_text("old")
    real.chmod(0o640)
    link = tmp_path / "link.csv"
    link.symlink_to(real)
    kpi("query", "revenue", "--out", str(link))
    assert link.is_symlink()
    assert real.read_text() == "month,revenue\n2026-01,10\n"
    assert real.stat().st_mode & 0o777 == 0o640


def test_out_to_a_device_writes_into_it(kpi, project):
    got = kpi("query", "revenue", "--out", "/dev/null", "--format", "csv")
    assert got.exit_code == 0, got.output
    assert Path("/dev/null").is_char_device()


def test_out_of_many_batches_is_one_sensible_parquet_file(kpi, project, tmp_path):
    batches = [pa.record_batch({"month": [n], "revenue": [n]}) for n in range(300)]
    project.table = pa.Table.from_batches(batches)
    kpi("query", "revenue", "--out", str(tmp_path / "x.parquet"))
    file = pq.ParquetFile(tmp_path / "x.parquet")
    assert (file.metadata.num_rows, file.metadata.num_row_groups) == (300, 1)


def test_parquet_and_arrow_go_to_standard_output_as_streams(kpi, project):
    parquet = kpi("query", "revenue", "--format", "parquet").stdout_bytes
    assert pq.read_table(pa.BufferReader(parquet)).equals(project.table)
    arrow = kpi("query", "revenue", "--format", "arrow").stdout_bytes
    assert pa.ipc.open_stream(arrow).read_all().equals(project.table)


def test_the_engine_is_handed_on(kpi, project):
    for command in (("query", "revenue"), ("sql", "revenue"), ("check",), ("test",), ("show", "revenue"), ("export",)):
        kpi(*command, "--engine", "postgres")
        assert ("open", Path(), {"engine": "postgres"}) in project.calls
        project.calls.clear()
