"""Exports that Spark's executors write: the same rows as DuckDB's, whole or not at all."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest

import kpiengine
from kpiengine.cli.scaffold import make_example
from kpiengine.errors import DataError, EngineError
from kpiengine.manifest import NAME
from kpiengine.testing.compare import difference, rows_of

from .servers.sail import started_sail

pytestmark = pytest.mark.engine


def rows(place: Path) -> list[tuple[Any, ...]]:
    """What a Parquet reader finds at an export's place, sorted by all that is no DOUBLE."""
    pattern = f"{place}/**/*.parquet" if place.is_dir() else str(place)
    with duckdb.connect() as connection:
        found = connection.read_parquet(pattern, hive_partitioning=True)
        keys = [name for name, kind in zip(found.columns, found.types, strict=True) if str(kind) != "DOUBLE"]
        table = found.to_arrow_table()
    ordered = sorted(table.select(sorted(table.column_names)).to_pylist(), key=lambda r: [str(r[k]) for k in keys])
    return rows_of(pa.Table.from_pylist(ordered, schema=table.select(sorted(table.column_names)).schema))


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    """The example project, with no engine named."""
    make_example(tmp_path / "sales", "sales")
    return tmp_path / "sales"


EXPORTS = ("monthly", "growth", "satisfaction", "pipeline", "segments", "rfm_customers", "funnel")


def compared(project: Path, remote: str, exports: tuple[str, ...] = EXPORTS) -> None:
    with (project / "kpi.yaml").open("a") as stream:
        stream.write(f"\nengines: {{spark: {{remote: '{remote}'}}}}\n")
    with kpiengine.open(project) as here:
        made = {done.name: done for done in here.export(out=project / "duckdb")}
    with kpiengine.open(project, engine="spark") as there:
        for done in there.export(exports, out=project / "spark"):
            assert done.rows == made[done.name].rows > 0
            assert difference(rows(done.path), rows(made[done.name].path)) is None
            if done.path.is_dir():
                told = json.loads((done.path / NAME).read_text())
                assert sum(file["rows"] for file in told["files"]) == done.rows
                assert told["facts"]["kpiengine_engine"].startswith("spark ")
    assert tuple(made) == EXPORTS


def test_the_example_on_sail(sales: Path, sail_remote: str) -> None:
    compared(sales, sail_remote)


@pytest.mark.slow
def test_the_example_on_spark(sales: Path, spark_remote: str) -> None:
    compared(sales, spark_remote, ("monthly", "segments", "funnel"))


CHANNELS = ["web", "shop", None, "x/y z", "é:%"]


def made_project(folder: Path, remote: str, channels: list[str | None] = CHANNELS, many: int = 1) -> Path:
    table = pa.table(
        {"id": range(len(channels) * many), "channel": channels * many, "amount": [1] * len(channels) * many}
    )
    pa.parquet.write_table(table, folder / "o.parquet")
    (folder / "metrics").mkdir()
    (folder / "metrics" / "m.yaml").write_text("metrics:\n  m: {source: o, formula: sum(amount)}\n")
    (folder / "kpi.yaml").write_text(
        f"engine: {{spark: {{remote: '{remote}'}}}}\nsources:\n  o: {{from: o.parquet}}\n"
        "exports:\n  by_channel: {metrics: [m], by: [channel], partition_by: channel}\n"
        "  by_id: {metrics: [m], by: [channel, id], partition_by: channel}\n"
    )
    return folder


@pytest.fixture(params=["sail", pytest.param("spark", marks=pytest.mark.slow)])
def remote(request: pytest.FixtureRequest) -> Iterator[str]:
    yield request.getfixturevalue(f"{request.param}_remote")


def test_partitions(tmp_path: Path, remote: str) -> None:
    with kpiengine.open(made_project(tmp_path, remote)) as project:
        for _ in range(2):  # the second takes the first one's place
            (done,) = project.export("by_channel")
            assert (done.rows, done.files) == (5, 5)
            found = {row["channel"]: row["m"] for row in project.query("m", "channel").rows()}
            read = duckdb.sql(
                f"SELECT channel, m FROM read_parquet('{done.path}/*/*.parquet', hive_partitioning = true)"
            )
            assert dict(read.fetchall()) == found == dict.fromkeys(CHANNELS, 1)
    kept = {file.name for file in done.path.rglob("*") if file.is_file() and file.suffix != ".parquet"}
    assert kept == {NAME}
    assert not [path for path in done.path.parent.iterdir() if path.name.startswith(".")]


def test_an_empty_text_names_no_folder(tmp_path: Path, remote: str) -> None:
    with (
        kpiengine.open(made_project(tmp_path, remote, ["web", ""])) as project,
        pytest.raises(EngineError, match='partition column "channel" holds an empty text'),
    ):
        project.export("by_channel")
    assert not (tmp_path / "out" / "by_channel").exists()


def test_what_no_export_wrote_stays(tmp_path: Path, sail_remote: str) -> None:
    with kpiengine.open(made_project(tmp_path, sail_remote)) as project:
        (done,) = project.export("by_channel")
        file = next(done.path.rglob("*.parquet"))
        pa.parquet.write_table(pa.table({"other": [1, 2, 3]}), file)
        with pytest.raises(DataError, match="which no export wrote"):
            project.export("by_channel")
    assert pa.parquet.read_table(file).column_names[0] == "other"


def killed_while_it_writes(folder: Path, many: int) -> tuple[list[BaseException], bool]:
    """What an export raised whose server was killed at its first file, and whether all was then as before."""
    server, remote = started_sail(folder)
    raised: list[BaseException] = []
    with kpiengine.open(made_project(folder, remote, many=many)) as project:
        (before,) = project.export("by_channel", out=folder / "out")
        assert before.rows == 5
        (folder / "out" / "by_channel").rename(folder / "out" / "by_id")
        old = {file: file.read_bytes() for file in (folder / "out" / "by_id").rglob("*.parquet")}

        def export() -> None:
            try:
                project.export("by_id", out=folder / "out")
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=export)
        thread.start()
        while thread.is_alive() and not list((folder / "out").glob(".by_id*/new/**/*.parquet")):
            time.sleep(0.002)
        server.stop()
        thread.join()
    left = {file: file.read_bytes() for file in (folder / "out" / "by_id").rglob("*.parquet")}
    return raised, left == old and [path.name for path in (folder / "out").iterdir()] == ["by_id"]


@pytest.mark.slow
def test_a_server_killed_while_it_writes(tmp_path: Path) -> None:
    """One that has written all before it is killed is given more to write."""
    for many in (300_000, 600_000, 1_200_000):
        (tmp_path / str(many)).mkdir()
        raised, as_before = killed_while_it_writes(tmp_path / str(many), many)
        if raised:
            break
    assert len(raised) == 1
    assert isinstance(raised[0], EngineError), raised
    assert "the connection to Spark at 127.0.0.1" in str(raised[0])
    assert "was lost" in str(raised[0])
    assert as_before
