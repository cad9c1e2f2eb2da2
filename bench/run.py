"""`python -m bench run`: answers compared first, then interleaved pairs, then a table of ratios."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.compare import difference
from bench.measure import Ratio, Took, geometric_mean, ratio, timed
from bench.results import save
from bench.sides import Expert, Ours
from bench.workloads import WORKLOADS, Workload


class Different(Exception):
    """Two sides that should give one answer gave two."""


@dataclass
class Measured:
    """Pairs of one workload and one variant."""

    workload: Workload
    variant: str
    expert: list[Took] = field(default_factory=list)
    ours: list[Took] = field(default_factory=list)
    compiled: list[Took] = field(default_factory=list)
    statement: list[Took] = field(default_factory=list)

    @property
    def wall(self) -> Ratio:
        """Ours (keys checked, run to Arrow) to the expert's, on the clock."""
        return ratio([t.wall for t in self.ours], [t.wall for t in self.expert])

    @property
    def cpu(self) -> Ratio:
        """The same in processor time."""
        return ratio([t.cpu for t in self.ours], [t.cpu for t in self.expert])


def chosen(names: Sequence[str] | None) -> list[Workload]:
    """Workloads by name; all where none is named."""
    known = {workload.name: workload for workload in WORKLOADS}
    unknown = [name for name in names or () if name not in known]
    if unknown:
        raise SystemExit(f'there is no workload "{unknown[0]}"; there are: {", ".join(known)}')
    return [known[name] for name in names or known]


def run(
    data: Path, names: Sequence[str] | None, pairs: int, passes: Sequence[str], threads: int, export: bool = False
) -> list[Measured]:
    """Measures, printing a line for each workload and variant as it is done."""
    variants = [Ours(data, threads, given) for given in passes] or [Ours(data, threads, None)]
    sides = [(Expert(data, threads, ours), ours) for ours in variants]
    found = []
    print(HEAD, flush=True)
    for workload in chosen(names):
        for measured in _exports(workload, sides, pairs) if export else _pairs(workload, sides, pairs):
            print(line(measured), flush=True)
            found.append(measured)
        if names is None and not passes:  # kept as it grows: what was measured is not lost with what comes after
            save("exports" if export else "run", [_row(m) for m in found], orders=_orders(sides[0][0]), pairs=pairs)
    for variant in variants:
        values = [m.wall.median for m in found if m.variant == (variant.passes or "")]
        print(f"geometric mean{' ' + variant.passes if variant.passes else ''}: {geometric_mean(values):.3f}")
        variant.close()
    return found


def _orders(expert: Expert) -> int:
    return int(expert.connection.execute("SELECT count(*) FROM orders").fetchall()[0][0])


def _row(measured: Measured) -> dict[str, Any]:
    wall, cpu = measured.wall, measured.cpu
    sides = {"expert_s": measured.expert, "ours_s": measured.ours, "compile_s": measured.compiled}
    return {
        "workload": measured.workload.name,
        "about": measured.workload.about,
        "ratio": wall.median,
        "low": wall.low,
        "high": wall.high,
        "cpu": cpu.median,
        **{name: statistics.median(t.wall for t in took) if took else None for name, took in sides.items()},
    }


def _pairs(workload: Workload, sides: Sequence[tuple[Expert, Ours]], pairs: int) -> list[Measured]:
    found = []
    for expert, ours in sides:
        told = difference(ours.arrow(workload)[2], expert.arrow(workload.expert), workload.keys)
        if told is not None:
            raise Different(f"{workload.name}: ours and the expert's differ: {told}")
        found.append(Measured(workload, ours.passes or ""))
    for turn in range(pairs):
        for (expert, ours), measured in zip(sides, found, strict=True):
            # What compiling leaves in the caches meets whoever comes first, as what comes first does the second: each
            # is first as often. No side keeps its rows while the other runs.
            compiled, result = ours.query(workload)
            measured.compiled.append(compiled)
            for side in ("expert", "ours") if turn % 2 else ("ours", "expert"):
                if side == "expert":
                    measured.expert.append(timed(expert.arrow, workload.expert)[0])
                else:
                    measured.ours.append(ours.run(result)[0])
            if turn < 2:  # our statement without our checks, where the expert's runs
                measured.statement.append(timed(expert.arrow, ours.query(workload)[1].sql)[0])
    return found


def _exports(workload: Workload, sides: Sequence[tuple[Expert, Ours]], pairs: int) -> list[Measured]:
    """The same to Parquet: `ours` includes compiling and what makes the file appear whole."""
    found = [Measured(workload, ours.passes or "") for _, ours in sides]
    for turn in range(pairs):
        for (expert, ours), measured in zip(sides, found, strict=True):
            for side in ("expert", "ours") if turn % 2 else ("ours", "expert"):
                if side == "expert":
                    measured.expert.append(timed(expert.export, workload.expert)[0])
                else:
                    measured.ours.append(timed(ours.export, workload)[0])
    return found


HEAD = (
    f"{'workload':<16} {'passes':<10} {'ratio':>6} {'interval':>13} {'cpu':>6} {'expert s':>9} {'ours s':>7}"
    f" {'checks s':>9} {'compile ms':>11}"
)


def line(measured: Measured) -> str:
    """A line of the table. `checks` is what is ours beyond the bare statement: keys checked, rows handed over."""
    wall = measured.wall
    ours = statistics.median(t.wall for t in measured.ours)
    checks = compiled = "–"
    if measured.statement:
        checks = f"{ours - statistics.median(t.wall for t in measured.statement):.3f}"
        compiled = f"{1000 * statistics.median(t.wall for t in measured.compiled):.1f}"
    interval = f"{wall.low:.2f}–{wall.high:.2f}"
    theirs = statistics.median(t.wall for t in measured.expert)
    return (
        f"{measured.workload.name:<16} {measured.variant:<10} {wall.median:>6.2f} {interval:>13}"
        f" {measured.cpu.median:>6.2f} {theirs:>9.3f} {ours:>7.3f} {checks:>9} {compiled:>11}"
    )
