"""Exports to stores by URLs: generations, and the pointer that makes one of them visible, on file systems and on S3."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kpiengine
from kpiengine import exports
from kpiengine.errors import DataError, EngineError
from kpiengine.manifest import GENERATIONS, NAME
from kpiengine.store import Store

from .servers.s3 import Bucket, bucket  # noqa: F401  (a fixture)
from .servers.sail import started_sail
from .servers.spark import Cluster

YAML = """
sources: {s: {from: s.parquet, time: t}}
metrics:
  m: {source: s, formula: sum(x)}
  v: {source: s, formula: max(version)}
exports:
  folder: {metrics: [m, v], by: [c]}
  parts: {metrics: [m], by: [month, name, c], partition_by: [month, name]}
"""


def given(version: int, many: int = 30) -> pa.Table:
    query = (
        "SELECT i AS c, i::DECIMAL(9,2) AS x, ? AS version, DATE '2026-01-01' + (i * 3 % 90)::INT AS t,"
        " CASE i % 3 WHEN 0 THEN 'a b/é' WHEN 1 THEN 'b' END AS name FROM range(?) r(i)"
    )
    return duckdb.sql(query, params=[version, many]).to_arrow_table()


def made_project(folder: Path, engine: str = "", many: int = 30) -> Path:
    (folder / "kpi.yaml").write_text(YAML + engine)
    pq.write_table(given(1, many), folder / "s.parquet")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return made_project(tmp_path)


@pytest.fixture(params=["file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A place for exports."""
    if request.param == "file":
        return f"file://{tmp_path}/lake/kpis"
    request.getfixturevalue("bucket")
    return "s3://lake/kpis"


def export(folder: Path, name: str, url: str, **options: Any) -> None:
    with kpiengine.open(folder) as opened:
        opened.export(name, out=url, **options)


def asked(folder: Path, name: str) -> list[dict[str, Any]]:
    """The rows that an export has to have, from a query."""
    with kpiengine.open(folder, engine="duckdb") as opened:
        spec = opened.spec.exports[name]
        return sorted(opened.query(spec.metrics, spec.by).rows(), key=lambda row: row["c"])


def found(url: str) -> list[dict[str, Any]]:
    return sorted(exports.read(url).to_table().to_pylist(), key=lambda row: row["c"])


def generations(url: str) -> list[str]:
    return Store(url).names(GENERATIONS)


def pointer(url: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(Store(url).read(NAME) or b"")
    return told


@pytest.mark.parametrize("name", ["folder", "parts"])
def test_what_is_read_is_what_a_query_gives(project: Path, url: str, name: str) -> None:
    export(project, name, url)
    place = f"{url}/{name}"
    assert found(place) == asked(project, name)
    with kpiengine.open(project) as opened:
        spec = opened.spec.exports[name]
        assert exports.read(place).schema.equals(opened.query(spec.metrics, spec.by).arrow().schema)
    told = pointer(place)
    assert sum(file["rows"] for file in told["files"]) == 30
    assert all(file["path"].startswith(f"{GENERATIONS}/{told['generation']}/") for file in told["files"])
    assert exports.facts(place)["kpiengine_engine"] == f"duckdb {duckdb.__version__}"
    assert sorted(json.loads(exports.facts(place)["kpiengine_definitions"])) == sorted(spec.metrics)


def test_two_generations_are_kept(project: Path, url: str) -> None:
    place, seen = f"{url}/folder", []
    for version in (1, 2, 3):
        pq.write_table(given(version), project / "s.parquet")
        export(project, "folder", url)
        seen.append(exports.read(place))
        assert {row["v"] for row in found(place)} == {version}
    assert generations(place) == sorted([pointer(place)["previous"], pointer(place)["generation"]])
    # A reader that began before the last run still reads all of what it began with.
    assert {row["v"] for row in seen[1].to_table().to_pylist()} == {2}
    with pytest.raises(FileNotFoundError):
        seen[0].to_table()


def test_dead_runs_are_cleared_away_after_a_day(project: Path, url: str) -> None:
    place = f"{url}/folder"
    today = f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%S}Z-00000000"
    for run in ("20200101T000000Z-00000000", today):
        Store(place).put(f"{GENERATIONS}/{run}/part.parquet", b"cut of")
    export(project, "folder", url)
    assert generations(place) == sorted([today, pointer(place)["generation"]])


def test_no_rows(project: Path, url: str) -> None:
    pq.write_table(given(1).slice(0, 0), project / "s.parquet")
    export(project, "parts", url)
    table = exports.read(f"{url}/parts").to_table()
    assert (table.num_rows, table.column_names) == (0, ["month", "name", "c", "m"])


def test_what_no_export_wrote_stays(project: Path, url: str) -> None:
    Store(f"{url}/folder").put("theirs.txt", b"theirs")
    with pytest.raises(DataError, match=r"folder holds theirs\.txt, which no export wrote there"):
        export(project, "folder", url)
    assert Store(f"{url}/folder").read("theirs.txt") == b"theirs"
    assert Store(f"{url}/folder").names() == ["theirs.txt"]


def test_one_request_makes_it_visible(project: Path, bucket: Bucket) -> None:  # noqa: F811
    export(project, "parts", "s3://lake")
    wrote = [asked for asked in bucket.asked if asked.startswith(("PUT", "POST"))]
    last = f"parts/{NAME}"
    assert [asked.split()[1] for asked in wrote].index(last) == len([a for a in wrote if not a.endswith(last)])
    assert sorted(bucket.objects) == sorted(
        [last, *(f"parts/{f['path']}" for f in pointer("s3://lake/parts")["files"])]
    )


KILLED = """
import os, signal, sys
import kpiengine
from kpiengine.store import Store

Store.put = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
kpiengine.open(sys.argv[1]).export("folder", out=sys.argv[2])
"""


def test_killed_between_the_data_and_the_pointer(project: Path, url: str) -> None:
    place = f"{url}/folder"
    export(project, "folder", url)
    before = found(place)
    pq.write_table(given(2), project / "s.parquet")
    ended = subprocess.run([sys.executable, "-c", KILLED, str(project), url], check=False)
    assert ended.returncode == -signal.SIGKILL
    (dead,) = [name for name in generations(place) if name != pointer(place)["generation"]]
    assert sum(file.rows for file in Store(place).parquet(f"{GENERATIONS}/{dead}")) == 30
    assert found(place) == before
    export(project, "folder", url)
    assert {row["v"] for row in found(place)} == {2}


def test_a_failure_leaves_nothing_of_the_run(project: Path, url: str) -> None:
    place = f"{url}/folder"
    export(project, "folder", url)
    before, kept = found(place), generations(place)
    with kpiengine.open(project) as opened:
        opened.query("m").arrow()
        shutil.rmtree(project / "s.parquet", ignore_errors=True)
        (project / "s.parquet").write_bytes(b"PAR1 no more")
        with pytest.raises(DataError):
            opened.export("folder", out=url)
    assert (found(place), generations(place)) == (before, kept)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("dbfs:/lake", r'nothing is known of the scheme "dbfs:" of dbfs:/lake/folder: give s3://, s3a://, gs://'),
        ("s3://key:secret@lake/x", "credentials do not belong in the URL of a store"),
    ],
)
def test_places_that_are_refused(project: Path, place: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        export(project, "folder", place)
    assert "secret@" not in str(caught.value)


def test_a_path_in_kpi_yaml_and_one_file(project: Path, tmp_path: Path) -> None:
    with (project / "kpi.yaml").open("a") as stream:
        stream.write(f"  there: {{metrics: [m], by: [c], path: 'file://{tmp_path}/lake/there'}}\n")
        stream.write(f"  one: {{metrics: [m], by: [c], path: 'file://{tmp_path}/lake/one.parquet'}}\n")
        stream.write(f"  below: {{metrics: [m], by: [c], path: '{tmp_path}/lake/there/below'}}\n")
    with (
        kpiengine.open(project) as opened,
        pytest.raises(DataError, match=r'"below", .* lies in that of export "there"'),
    ):
        opened.export("there")
    text = (project / "kpi.yaml").read_text()
    (project / "kpi.yaml").write_text(text.replace("/there/below", "/elsewhere"))
    with kpiengine.open(project) as opened:
        (done,) = opened.export("there")
        assert str(done.path) == f"file://{tmp_path}/lake/there"
        assert (done.rows, done.files, len(found(str(done.path)))) == (30, 1, 30)
        with pytest.raises(DataError, match=r"one\.parquet is one file, and an export to a URL is a folder"):
            opened.export("one")


def test_other_exports_are_read_too(project: Path) -> None:
    with kpiengine.open(project) as opened:
        opened.export(out=project / "out")
        opened.export(metrics="m", by="c", out=project / "one.parquet")
    assert len(found(str(project / "out" / "parts"))) == 30
    assert exports.read(project / "one.parquet").to_table().num_rows == 30
    assert sum(row["m"] for row in found(str(project / "out" / "folder"))) == Decimal(29 * 15)
    assert exports.facts(project / "one.parquet")["kpiengine_engine"].startswith("duckdb ")
    with pytest.raises(DataError, match="there is no export at"):
        exports.read(project / "nothing")


# -- executors write into the store


SPARK = "engine: {{spark: {{remote: '{remote}'}}}}\n"


@pytest.mark.engine
def test_executors_write_to_s3(tmp_path: Path, bucket: Bucket) -> None:  # noqa: F811
    server, remote = started_sail(tmp_path)
    try:
        folder = made_project(tmp_path, SPARK.format(remote=remote))
        for name in ("folder", "parts"):
            export(folder, name, "s3a://lake/kpis")
            assert found(f"s3://lake/kpis/{name}") == asked(folder, name)
        assert exports.facts("s3://lake/kpis/parts")["kpiengine_engine"].startswith("spark sail")
    finally:
        server.stop()
    data = [asked for asked in bucket.asked if asked.startswith("PUT") and asked.endswith(".parquet")]
    assert data
    assert not any("data_0" in asked or "data.parquet" in asked for asked in data), "sent from here"


@pytest.fixture(params=["sail", pytest.param("spark", marks=pytest.mark.slow)])
def remote(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.getfixturevalue(f"{request.param}_remote")


@pytest.mark.engine
def test_executors_write_to_shared_files(tmp_path: Path, remote: str) -> None:
    folder = made_project(tmp_path, SPARK.format(remote=remote))
    for name in ("folder", "parts"):
        export(folder, name, f"file://{tmp_path}/lake")
        assert found(f"file://{tmp_path}/lake/{name}") == asked(folder, name)
        assert not list((tmp_path / "lake" / name).rglob("data*.parquet")), "written by DuckDB"
    pq.write_table(given(1).slice(0, 0), folder / "s.parquet")
    export(folder, "parts", f"file://{tmp_path}/lake")
    assert found(f"file://{tmp_path}/lake/parts") == []


@pytest.mark.slow
@pytest.mark.engine
@pytest.mark.xdist_group("spark")
def test_an_executor_killed_while_it_writes(tmp_path: Path, spark_cluster: Cluster) -> None:
    folder = made_project(tmp_path, SPARK.format(remote=spark_cluster.remote), 100_000)
    place = f"file://{tmp_path}/lake/parts"
    made: list[Any] = []
    with kpiengine.open(folder) as opened:
        thread = threading.Thread(target=lambda: made.extend(opened.export("parts", out=f"file://{tmp_path}/lake")))
        thread.start()
        while thread.is_alive() and not list((tmp_path / "lake").rglob("*.parquet")):
            time.sleep(0.002)
        assert thread.is_alive()
        os.kill(spark_cluster.executors()[0], signal.SIGKILL)
        thread.join()
    assert [done.rows for done in made] == [100_000], "Spark runs again what was lost, and nothing twice"
    assert exports.read(place).to_table().group_by([]).aggregate([("c", "count_distinct")]).to_pylist() == [
        {"c_count_distinct": 100_000}
    ]


@pytest.mark.slow
@pytest.mark.engine
def test_a_server_killed_while_it_writes(tmp_path: Path) -> None:
    server, remote = started_sail(tmp_path)
    folder, place = made_project(tmp_path, SPARK.format(remote=remote), 100_000), f"file://{tmp_path}/lake/parts"
    raised: list[BaseException] = []
    with kpiengine.open(folder) as opened:
        pq.write_table(given(1), folder / "small.parquet")
        with kpiengine.open(folder, engine="duckdb") as here:
            here.export("parts", out=f"file://{tmp_path}/lake")
        before, kept = pointer(place), generations(place)

        def export_all() -> None:
            try:
                opened.export("parts", out=f"file://{tmp_path}/lake")
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=export_all)
        thread.start()
        while thread.is_alive() and len(list((tmp_path / "lake" / "parts" / GENERATIONS).glob("*/**/*.parquet"))) <= 9:
            time.sleep(0.002)
        server.stop()
        thread.join()
    assert len(raised) == 1
    assert isinstance(raised[0], EngineError), raised
    assert "was lost" in str(raised[0])
    assert (pointer(place), generations(place)) == (before, kept)
    assert len(found(place)) == 100_000
