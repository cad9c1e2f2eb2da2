"""The example project, exported on DuckDB and on other engines: the same Parquet files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

import kpiengine
from kpiengine.examples import sales_data
from kpiengine.testing import difference
from kpiengine.testing.compare import rows_of


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The example project with a tenth of its rows, and its exports by DuckDB under `duckdb/`."""
    folder = tmp_path_factory.mktemp("sales")
    shutil.copytree(Path(sales_data.__file__).parent / "sales", folder, dirs_exist_ok=True)
    sales_data.write(folder / "data", 0.1)
    with kpiengine.open(folder) as project:
        project.export(out=folder / "duckdb")
    yield folder


def files(folder: Path) -> dict[str, Path]:
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.parquet"))}


def compare(one: Path, other: Path) -> None:
    expected, found = files(one), files(other)
    assert list(found) == list(expected)
    assert len(found) > 5
    for name, path in expected.items():
        wanted, got = pyarrow.parquet.read_table(path), pyarrow.parquet.read_table(found[name])
        assert (got.schema.names, got.schema.types) == (wanted.schema.names, wanted.schema.types), name
        assert wanted.num_rows, name
        assert difference(rows_of(got), rows_of(wanted)) is None, name
        assert facts(found[name])["kpiengine_definitions"] == facts(path)["kpiengine_definitions"]


def facts(path: Path) -> dict[str, Any]:
    found = pyarrow.parquet.read_metadata(path).metadata
    return {key.decode(): value.decode() for key, value in found.items() if key.startswith(b"kpiengine")}


def test_postgres(example: Path, postgres_url: str) -> None:
    with kpiengine.open(example, engine={"postgres": {"url": postgres_url}}) as project:
        done = project.export(out=example / "postgres")
    compare(example / "duckdb", example / "postgres")
    made = facts(next(iter(files(example / "postgres").values())))
    assert made["kpiengine_engine"].startswith("postgres 1")
    assert json.loads(made["kpiengine_query"])
    assert {export.name: export.rows for export in done}["funnel"] == 5
