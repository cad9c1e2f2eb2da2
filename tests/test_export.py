"""Exports: whole or not at all, nobody else's files touched, and a footer that says what made them."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kpiengine
from kpiengine.beside import clear, file_beside, folder_beside
from kpiengine.errors import DataError, EngineError
from kpiengine.export import replaced

YAML = """
sources: {s: {from: s.parquet, time: t}}
metrics:
  m: {source: s, formula: sum(x)}
  v: {source: s, formula: max(version)}
  unused: {source: s, formula: min(x)}
exports:
  folder: {metrics: [m, v], by: [c]}
  file: {metrics: [m, v], by: [c], path: out/one.parquet}
  parts: {metrics: [m, v], by: [month, c], partition_by: month}
"""


def rows(version: int, many: int = 30) -> pa.Table:
    query = "SELECT i AS c, i AS x, ? AS version, DATE '2026-01-01' + (i * 3 % 90)::INT AS t FROM range(?) r(i)"
    return duckdb.sql(query, params=[version, many]).to_arrow_table()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "kpi.yaml").write_text(YAML)
    pq.write_table(rows(1), tmp_path / "s.parquet")
    return tmp_path


def export(folder: Path, *names: str, **options: object) -> None:
    with kpiengine.open(folder) as opened:
        opened.export(names, **options)  # type: ignore[arg-type]


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


# -- forms


def test_a_folder_a_file_and_partitions(project: Path) -> None:
    export(project)
    assert pq.read_table(project / "out" / "folder").num_rows == 30
    assert pq.ParquetFile(project / "out" / "one.parquet").read().column_names == ["c", "m", "v"]
    parts = sorted(path.name for path in (project / "out" / "parts").iterdir())
    assert parts == ["month=2026-01-01", "month=2026-02-01", "month=2026-03-01"]
    found = duckdb.sql(f"SELECT month::VARCHAR, sum(m) FROM '{project}/out/parts/*/*.parquet' GROUP BY 1 ORDER BY 1")
    truth = duckdb.sql(f"SELECT date_trunc('month', t)::DATE::VARCHAR, sum(x) FROM '{project}/s.parquet' GROUP BY 1")
    assert found.fetchall() == sorted(truth.fetchall())
    assert hidden(project) == []


def test_what_exists_keeps_no_old_files(project: Path) -> None:
    export(project, "parts")
    pq.write_table(rows(2, 5), project / "s.parquet")
    export(project, "parts")
    assert [path.name for path in (project / "out" / "parts").iterdir()] == ["month=2026-01-01"]


def test_partitions_of_names_that_paths_cannot_hold_come_back(project: Path) -> None:
    names = ["a/b", "", None, "ü =&%", "../..", "Z"]
    pq.write_table(pa.table({"x": range(6), "ch": names}), project / "s.parquet")
    (project / "kpi.yaml").write_text(
        "sources: {s: {from: s.parquet}}\nmetrics: {m: {source: s, formula: sum(x)}}\n"
        "exports: {e: {metrics: [m], by: [ch], partition_by: ch}}\n"
    )
    export(project)
    found = duckdb.sql(f"SELECT ch, m FROM read_parquet('{project}/out/e/**/*.parquet', hive_partitioning = true)")
    assert dict(found.fetchall()) == {name: number for number, name in enumerate(names)}


def test_a_link_keeps_pointing_where_it_points(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.mktemp("elsewhere")
    (project / "out").mkdir()
    (project / "out" / "folder").symlink_to(target)
    export(project, "folder")
    assert (project / "out" / "folder").is_symlink()
    assert pq.read_table(target).num_rows == 30


# -- footers


def footer(path: Path) -> dict[str, str]:
    return {k.decode(): v.decode() for k, v in pq.read_metadata(path).metadata.items()}


def test_the_footer_says_which_definitions_engine_and_time(project: Path) -> None:
    export(project)
    for path in (project / "out").rglob("*.parquet"):
        told = footer(path)
        assert set(json.loads(told["kpiengine_definitions"])) == {"m", "v"}
        assert told["kpiengine_engine"] == f"duckdb {duckdb.__version__}"
        assert told["kpiengine_time"].startswith("20")
        assert told["kpiengine_time"].endswith("+00:00")


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ("sum(x)}", "sum(x), description: more words, label: Sum}", False),
        ("min(x)", "min(x + 1)", False),
        ("sum(x)}", "sum(x + 1)}", True),
        ("sum(x)}", "sum(x), filters: [x > 3]}", True),
        ("time: t}", "time: t, filters: [x > 3]}", True),
        ("time: t}", "time: t, columns: {x: version}}", True),
    ],
)
def test_the_hash_of_definitions_changes_with_their_meaning_alone(
    project: Path, old: str, new: str, changes: bool
) -> None:
    export(project, "file")
    before = json.loads(footer(project / "out" / "one.parquet")["kpiengine_definitions"])
    assert old in YAML
    (project / "kpi.yaml").write_text(YAML.replace(old, new))
    export(project, "file")
    after = json.loads(footer(project / "out" / "one.parquet")["kpiengine_definitions"])
    assert (before["m"] != after["m"]) == changes


def test_no_secret_stands_in_a_footer(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "tops3cret")
    text = YAML.replace("path: out/one.parquet", "path: out/one.parquet, where: \"c::VARCHAR <> '${TOKEN}'\"")
    (project / "kpi.yaml").write_text(text)
    export(project, "file")
    assert "***" in footer(project / "out" / "one.parquet")["kpiengine_query"]
    assert b"tops3cret" not in (project / "out" / "one.parquet").read_bytes()


# -- nobody else's


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (".", "lies in that of export"),
        ("metrics", "sales.yaml, which no export wrote"),
        ("s.parquet", "no export wrote it"),
        ("own", "own.parquet, which no export wrote"),
        ("own/own.parquet", "no export wrote it"),
        ("texts", "note.txt, which no export wrote"),
        ("kpi.yaml", "is a file, and the export is a folder"),
        ("kpi.yaml/x", r"cannot write .*/kpi\.yaml/x: .*/kpi\.yaml is a file, not a folder"),
    ],
)
def test_what_no_export_wrote_is_left_alone(project: Path, path: str, says: str) -> None:
    for folder in ("own", "texts", "metrics"):
        (project / folder).mkdir()
    (project / "metrics" / "sales.yaml").write_text("metrics: {}\n")
    pq.write_table(rows(1), project / "own" / "own.parquet")
    (project / "texts" / "note.txt").write_text("mine")
    (project / "kpi.yaml").write_text(YAML.replace("path: out/one.parquet", f"path: {path}"))
    before = {p: p.read_bytes() for p in project.rglob("*") if p.is_file()}
    with pytest.raises(DataError, match=says):
        export(project, "file")
    assert {p: p.read_bytes() for p in project.rglob("*") if p.is_file()} == before


def test_a_file_that_is_laid_into_an_export_is_not_lost(project: Path) -> None:
    export(project)
    (project / "out" / "folder" / "note.txt").write_text("mine")
    with pytest.raises(DataError, match=r"note\.txt"):
        export(project, "folder")
    assert (project / "out" / "folder" / "note.txt").read_text() == "mine"


@pytest.mark.parametrize(("path", "says"), [("out", "lies in that of"), ("out/folder", "have one path")])
def test_exports_do_not_take_each_other_away(project: Path, path: str, says: str) -> None:
    export(project)
    (project / "kpi.yaml").write_text(YAML.replace("path: out/one.parquet", f"path: {path}"))
    with pytest.raises(DataError, match=says):
        export(project, "folder")
    assert (project / "out" / "one.parquet").is_file()


# -- whole or not at all


def test_an_export_that_fails_leaves_the_old_one(project: Path) -> None:
    export(project)
    before = {p: p.read_bytes() for p in (project / "out").rglob("*") if p.is_file()}
    pq.write_table(
        pa.table({"c": [1], "x": [2**63 - 1], "version": [1], "t": [dt.date(2026, 1, 1)]}), project / "s.parquet"
    )
    (project / "kpi.yaml").write_text(YAML.replace("sum(x)", "sum(x + 1)"))
    for name in ("folder", "file", "parts"):
        with pytest.raises(DataError):
            export(project, name)
    assert {p: p.read_bytes() for p in (project / "out").rglob("*") if p.is_file()} == before
    assert hidden(project) == []


def test_a_disk_that_is_full_is_told_in_a_line_and_leaves_the_old_one(project: Path) -> None:
    export(project)
    pq.write_table(rows(2, 200_000), project / "s.parquet")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        for name in ("folder", "file"):
            with pytest.raises(EngineError, match=r"^export to .*: the file is larger than the system allows"):
                export(project, name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert pq.read_table(project / "out" / "folder").num_rows == 30
    assert hidden(project) == []


def test_a_reader_sees_the_old_or_the_new_one_while_exports_are_killed(project: Path) -> None:
    pq.write_table(rows(1, 20_000), project / "s.parquet")
    export(project)
    program = "import sys, kpiengine; print(flush=True); kpiengine.open(sys.argv[1]).export()"
    chance = random.Random(5)
    for version in range(2, 8):
        pq.write_table(rows(version, 20_000), project / "s.parquet")
        run = subprocess.Popen([sys.executable, "-c", program, str(project)], stdout=subprocess.PIPE)
        assert run.stdout is not None
        run.stdout.readline()
        ends = time.monotonic() + chance.uniform(0.2, 0.8)
        while time.monotonic() < ends:
            for place in ("folder", "one.parquet"):
                table = pq.read_table(project / "out" / place)
                assert table.num_rows == 20_000
                assert len(set(table["v"].to_pylist())) == 1
        run.send_signal(signal.SIGKILL)
        run.wait()
        run.stdout.close()
    export(project)
    assert set(pq.read_table(project / "out" / "folder")["v"].to_pylist()) == {7}
    assert hidden(project) == []


def test_two_exports_to_one_place_at_once(project: Path) -> None:
    program = "import sys, kpiengine; kpiengine.open(sys.argv[1]).export()"
    runs = [subprocess.Popen([sys.executable, "-c", program, str(project)]) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert pq.read_table(project / "out" / "folder").num_rows == 30
    assert hidden(project) == []


# -- places beside

LEFT = """
import os, signal, sys
from pathlib import Path
from kpiengine.beside import file_beside, folder_beside
path = Path(sys.argv[1])
with folder_beside(path) as folder, file_beside(path):
    (folder / "new").write_text("half")
    if sys.argv[2:]:
        path.rename(folder / "old")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_left_is_cleared_and_what_a_living_one_makes_is_not(tmp_path: Path) -> None:
    path = tmp_path / "x"
    subprocess.run([sys.executable, "-c", LEFT, str(path)], check=False)
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / ".x-kpi-mine").write_text("a name that only looks like it")
    with folder_beside(path) as folder, file_beside(path) as (file, _):
        clear(path)
        assert sorted(tmp_path.iterdir()) == sorted([folder, file, tmp_path / ".x-kpi-mine"])
    assert [p.name for p in tmp_path.iterdir()] == [".x-kpi-mine"]


def test_what_a_killed_run_took_away_is_put_back(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text("old")
    subprocess.run([sys.executable, "-c", LEFT, str(path), "away"], check=False)
    assert not path.exists()
    clear(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 247 + ".parquet")
    with replaced(path, folder=False) as place:
        place.write_bytes(b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told(project: Path) -> None:
    (project / "out").mkdir(mode=0o500)
    with pytest.raises(DataError, match=r"cannot write .*Permission denied; check who may write to .*/out,"):
        export(project, "file")
