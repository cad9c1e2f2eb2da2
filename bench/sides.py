"""The two sides of a pair: kpiengine on its project, the expert on plain DuckDB with the same settings."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import duckdb
import pyarrow

import kpiengine
from bench.measure import Took, environment, timed
from bench.venvs import BUILD
from bench.workloads import HERE, TABLES, Workload
from kpiengine.result import Result


class Expert:
    """Plain DuckDB with the data as views: in a database of its own, or in that of `beside`.

    Of two databases in one process one may take a quarter more for the same statement, for as long as it lives, and
    which one is a lottery of each process. So what is compared in pairs is asked of one database.
    """

    def __init__(self, data: Path, threads: int, beside: Ours | None = None) -> None:
        if beside is None:
            self.connection = duckdb.connect(config={"threads": threads})
            self.connection.execute("SET TimeZone = 'UTC'")
        else:
            self.connection = beside.project._runner.duck.cursor()
        for table in TABLES:
            self.connection.execute(f"CREATE VIEW {table} AS FROM '{data / table}.parquet'")

    def arrow(self, statement: str) -> pyarrow.Table:
        """The rows."""
        return self.connection.cursor().sql(statement).to_arrow_table()

    def export(self, statement: str) -> None:
        """The rows as a Parquet file, compressed as an export is."""
        folder = Path(tempfile.mkdtemp(prefix="bench-"))
        self.connection.cursor().execute(
            f"COPY ({statement}) TO '{folder / 'x.parquet'}' (FORMAT parquet, COMPRESSION zstd)"
        )
        shutil.rmtree(folder)


class Ours:
    """The project, opened; `passes` is what KPI_PASSES says while it plans (None: as it is)."""

    def __init__(
        self, data: Path, threads: int, passes: str | None, memory: str | None = None, project: Path | None = None
    ) -> None:
        self.variables = {
            "BENCH_DATA": str(data.resolve()),
            "BENCH_THREADS": str(threads),
            "BENCH_MEMORY": memory,
            "KPI_CACHE": str(BUILD / "cache"),
            "KPI_PASSES": passes,
        }
        self.passes = passes
        with environment(**self.variables):
            self.project = kpiengine.open(project or HERE / "project")

    def query(self, workload: Workload) -> tuple[Took, Result]:
        """A query, compiled and not run."""
        with environment(**self.variables):
            return timed(self._query, workload)

    def _query(self, workload: Workload) -> Result:
        return self.project.query(workload.metrics, by=workload.by, **workload.options)

    def arrow(self, workload: Workload) -> tuple[Took, Took, Any]:
        """What compiling took, what checking keys and running took, and the rows."""
        compiled, result = self.query(workload)
        return compiled, *self.run(result)

    def run(self, result: Result) -> tuple[Took, Any]:
        """What checking keys and running a compiled query took, and the rows."""
        with environment(**self.variables):
            return timed(lambda: result.reader().read_all())  # which the result does not keep, as arrow() does

    def export(self, workload: Workload) -> None:
        """The rows as a Parquet file."""
        folder = Path(tempfile.mkdtemp(prefix="bench-"))
        with environment(**self.variables):
            self.project.export(metrics=workload.metrics, by=workload.by, out=folder / "x.parquet", **workload.options)
        shutil.rmtree(folder)

    def close(self) -> None:
        """The project, closed."""
        self.project.close()
