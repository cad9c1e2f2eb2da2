"""`python -m bench startup`: a fresh process against the least that could give the same.

In environments that hold kpiengine and its own dependencies alone (no numpy), without and with `sqlglot[c]`.
`kpi --help` stands beside the help of a bare click group, `kpi query` of one metric beside a script that imports click
and DuckDB, connects, runs the statement and prints its rows. Cold: nothing compiled before (an empty KPI_CACHE);
warm: the same query was asked before. Files are in the system's cache in both.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Ratio, Took, ratio
from bench.results import save
from bench.venvs import runtime
from bench.workloads import HERE

HELP = """
import click

@click.group()
def kpi(): "Commands."

for name in "init list show query sql export check test report serve plugins demo".split():
    kpi.command(name)(lambda: None)
kpi()
"""
QUERY = """
import click, duckdb
for row in duckdb.connect().execute({statement!r}).fetchall():
    click.echo(row)
"""
BOUNDS = {"help": 1.3, "query, warm": 1.3, "query, cold": 2.5}


@dataclass(frozen=True)
class Start:
    """How a command's start compares with its floor."""

    name: str
    wall: Ratio
    cpu: Ratio
    seconds: float
    floor: float


def starts(data: Path, turns: int = 11) -> list[Start]:
    """Measures, printing a line each."""
    found = []
    for label, extra in (("", ()), (" with sqlglot[c]", ("sqlglot[c]",))):
        kpi = runtime(*extra).parent / "kpi"
        for start in _starts(kpi, data, turns):
            shown = Start(start.name + label, start.wall, start.cpu, start.seconds, start.floor)
            print(
                f"{shown.name:<28} {shown.wall!s:>18} cpu {shown.cpu.median:.2f}"
                f"  {1000 * shown.seconds:.0f} ms, floor {1000 * shown.floor:.0f} ms",
                flush=True,
            )
            found.append(shown)
    rows = [
        {"start": s.name, "ratio": s.wall.median, "low": s.wall.low, "high": s.wall.high, "cpu": s.cpu.median,
         "ms": 1000 * s.seconds, "floor_ms": 1000 * s.floor}
        for s in found
    ]  # fmt: skip
    save("startup", rows, turns=turns)
    return found


def _starts(kpi: Path, data: Path, turns: int) -> list[Start]:
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given)
        shutil.copytree(HERE / "project", folder / "project")
        cache = folder / "cache"
        variables = {**os.environ, "BENCH_DATA": str(data.resolve()), "KPI_CACHE": str(cache)}
        ask: list[str | Path] = [kpi, "-C", folder / "project", "query", "revenue", "--by", "month"]
        told: list[str | Path] = [kpi, "-C", folder / "project", "sql", "revenue", "--by", "month"]
        statement = subprocess.run(told, env=variables, check=True, capture_output=True, text=True).stdout
        python = kpi.parent / "python"
        bare_help, bare_query = folder / "help.py", folder / "query.py"
        bare_help.write_text(HELP)
        bare_query.write_text(QUERY.format(statement=statement))

        def empty() -> None:
            shutil.rmtree(cache, ignore_errors=True)

        def nothing() -> None:
            pass

        return [
            _start("help", [kpi, "--help"], [python, bare_help, "--help"], variables, nothing, turns),
            _start("query, warm", ask, [python, bare_query], variables, nothing, turns),
            _start("query, cold", ask, [python, bare_query], variables, empty, turns),
        ]


def _start(
    name: str, ours: Sequence[str | Path], floor: Sequence[str | Path], variables: dict[str, str],
    before: Callable[[], None], turns: int,
) -> Start:  # fmt: skip
    _process(ours, variables)
    _process(floor, variables)
    one, other = [], []
    for turn in range(turns):
        for mine in (True, False) if turn % 2 else (False, True):
            if mine:
                before()
                one.append(_process(ours, variables))
            else:
                other.append(_process(floor, variables))
    seconds, least = (sorted(t.wall for t in side)[turns // 2] for side in (one, other))
    wall = ratio([t.wall for t in one], [t.wall for t in other])
    return Start(name, wall, ratio([t.cpu for t in one], [t.cpu for t in other]), seconds, least)


def _process(command: Sequence[str | Path], variables: dict[str, str]) -> Took:
    """A command in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    subprocess.run(command, env=variables, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
