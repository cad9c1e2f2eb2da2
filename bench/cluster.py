"""What a cluster has to read and to shuffle: our statements on Spark beside Spark SQL written by hand.

Bytes, not seconds: they say what a statement costs on a hundred nodes, and this machine is one. They are Spark's own,
from the REST interface of its driver; answers are compared first. `python -m bench.cluster --help` says the rest.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow

from bench.compare import difference
from bench.workloads import HERE, TABLES, WORKLOADS, Workload

BOUND = 1.05
COUNTED = "{parquet.hadoop.vectored.io.enabled: false}"
"""Vectored reads of local files are not counted by Hadoop."""


@dataclass(frozen=True)
class Cost:
    """Bytes read by scans, bytes written to shuffles, and seconds of processors, over all stages of a statement."""

    read: int
    shuffled: int
    cpu: float

    def over(self, other: Cost) -> tuple[float, float]:
        """The ratios of bytes read and shuffled."""
        return self.read / max(other.read, 1), self.shuffled / max(other.shuffled, 1)


class Meter:
    """Reads what the driver's REST interface tells of stages."""

    def __init__(self, ui: str) -> None:
        self.base = f"{ui}/api/v1/applications"
        self.base += "/" + self._get("")[0]["id"]

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.base + path, timeout=30) as answer:
            return json.load(answer)

    def _stages(self) -> dict[tuple[int, int], Any]:
        found = self._get("/stages?status=complete")
        return {(s["stageId"], s["attemptId"]): s for s in found}

    def measured(self, run: Callable[[], pyarrow.Table]) -> tuple[pyarrow.Table, Cost]:
        """The rows, and what they cost."""
        before = self._stages().keys()
        rows = run()
        time.sleep(1)  # the interface is behind the events by a moment
        new = [s for key, s in self._stages().items() if key not in before]
        read, shuffled = sum(s["inputBytes"] for s in new), sum(s["shuffleWriteBytes"] for s in new)
        return rows, Cost(read, shuffled, sum(s["executorCpuTime"] for s in new) / 1e9)


def measure(data: Path, remote: str, ui: str, only: Sequence[str] = ()) -> list[tuple[Workload, Cost, Cost]]:
    """What each workload costs here and by hand. Raises where the answers differ."""
    import kpiengine

    os.environ["BENCH_DATA"] = str(data.resolve())
    found = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        project = stack.enter_context(kpiengine.open(_project(Path(folder), remote), engine="spark"))
        session = project._runner.elsewhere.session  # type: ignore[union-attr]
        meter = Meter(ui)
        for table in TABLES:
            view = (
                f"CREATE OR REPLACE TEMPORARY VIEW {table} AS SELECT * FROM parquet.`{data.resolve()}/{table}.parquet`"
            )
            session.reader(view).read_all()
        for workload in WORKLOADS:
            hand = HERE / "expert" / "spark" / f"{workload.name}.sql"
            if not hand.exists() or (only and workload.name not in only):
                continue
            result = project.query(workload.metrics, workload.by, **dict(workload.options))
            result.arrow()  # what is loaded once, and the check of keys, are no part of the statement
            statement = hand.read_text()
            ours, our_cost = meter.measured(lambda text=result.sql: session.reader(text).read_all())  # type: ignore[misc]
            theirs, their_cost = meter.measured(lambda text=statement: session.reader(text).read_all())  # type: ignore[misc]
            wrong = difference(ours, theirs.select(ours.column_names), workload.keys)
            if wrong:
                raise SystemExit(f"{workload.name}: the answers differ: {wrong}")
            found.append((workload, our_cost, their_cost))
            told(found[-1])
    return found


def _project(folder: Path, remote: str) -> Path:
    text = (HERE / "project" / "kpi.yaml").read_text().split("\nengine:")[0]
    made = folder / "project"
    made.mkdir()
    for entry in (HERE / "project").iterdir():
        if entry.name != "kpi.yaml":
            (made / entry.name).symlink_to(entry)
    (made / "kpi.yaml").write_text(f"{text}\nengines: {{spark: {{remote: '{remote}', settings: {COUNTED}}}}}\n")
    return made


def told(row: tuple[Workload, Cost, Cost]) -> None:
    """A line of the table: megabytes here, by hand, and the ratio, for what is read and what is shuffled."""
    workload, ours, theirs = row
    read, shuffled = ours.over(theirs)
    sys.stdout.write(
        f"| {workload.name} | {ours.read / 1e6:.2f} | {theirs.read / 1e6:.2f} | {read:.2f} "
        f"| {ours.shuffled / 1e6:.3f} | {theirs.shuffled / 1e6:.3f} | {shuffled:.2f} "
        f"| {ours.cpu:.1f} | {theirs.cpu:.1f} |\n"
    )
    sys.stdout.flush()


def main() -> None:
    """Reads the command line, and prints the table."""
    parser = argparse.ArgumentParser(prog="bench.cluster", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the folder that `bench data` filled")
    parser.add_argument("--remote", required=True, help="sc://host:15002 of a Connect server that nobody else uses")
    parser.add_argument("--ui", required=True, help="http://host:4040 of its driver")
    parser.add_argument("--only", nargs="+", metavar="WORKLOAD", default=[])
    given = parser.parse_args()
    measure(given.data, given.remote, given.ui, given.only)


if __name__ == "__main__":
    main()
