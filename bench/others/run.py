"""`python -m bench others`: ours against what a user would pick instead, on every workload that it can say."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.compare import difference
from bench.measure import Ratio, Took, ratio, timed
from bench.results import load, save
from bench.run import Different, chosen
from bench.sides import Ours
from bench.workloads import Workload

LIBRARIES = ("polars", "pandas", "chdb")


def others(
    data: Path, names: Sequence[str] | None, pairs: int, threads: int, libraries: Sequence[str] = LIBRARIES
) -> dict[tuple[str, str], Ratio]:
    """Ours to theirs, below 1 where ours is faster, by workload and library; prints a line each.

    Kept as it grows; `names` are measured again, beside what was measured of the others.
    """
    ours = Ours(data, threads, None)
    found = {}
    kept = {(row["workload"], row["library"]): row for row in ((load("others") or {}).get("rows", []) if names else [])}
    print(f"{'workload':<16} {'library':<8} {'ours to it':>17} {'cpu':>6} {'ours s':>7} {'its s':>7}", flush=True)
    for workload in chosen(names):
        for library in libraries:
            form: Any = import_module(f"bench.others.with_{library}")
            if workload.name not in form.FORMS:
                print(f"{workload.name:<16} {library:<8} cannot say it, or only as the expert's SQL does", flush=True)
                continue
            one = found[workload.name, library] = _pair(workload, library, form, ours, data, pairs)
            row = {"workload": workload.name, "library": library}
            kept[workload.name, library] = {**row, "ratio": one.median, "low": one.low, "high": one.high}
            save("others", list(kept.values()), pairs=pairs)
    ours.close()
    return found


def _pair(workload: Workload, library: str, form: Any, ours: Ours, data: Path, pairs: int) -> Ratio:
    table = ours.arrow(workload)[2]
    if (told := difference(table, form.answer(workload.name, data), workload.keys)) is not None:
        raise Different(f"{workload.name}: ours and that of {library} differ: {told}")
    mine: list[Took] = []
    its: list[Took] = []
    for turn in range(pairs):
        for side in ("its", "ours") if turn % 2 else ("ours", "its"):
            if side == "ours":
                mine.append(ours.arrow(workload)[1])
            else:
                its.append(timed(form.answer, workload.name, data)[0])
    wall, cpu = ratio([t.wall for t in mine], [t.wall for t in its]), ratio([t.cpu for t in mine], [t.cpu for t in its])
    seconds = [statistics.median(t.wall for t in side) for side in (mine, its)]
    print(
        f"{workload.name:<16} {library:<8} {wall!s:>17} {cpu.median:>6.2f} {seconds[0]:>7.3f} {seconds[1]:>7.3f}",
        flush=True,
    )
    return wall
