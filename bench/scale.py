"""`python -m bench scale`: time and memory over rows, metrics, dimensions, periods, and the size of a project.

Every figure comes from a process of its own, so that its peak of memory is its own; ours and the expert's alternate.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.child import ask
from bench.data import make
from bench.results import load, save
from bench.venvs import BUILD
from bench.workloads import WORKLOADS

OVER_ROWS = ("monthly_sales", "trailing_buyers", "rfm_scores", "funnel")
METRICS = (1, 2, 5, 10, 20, 50, 100, 200)
DIMENSIONS = ("month", "status", "product_line", "customers.channel", "customers.country")
PERIODS = ("year", "quarter", "month", "week", "day", "hour")
PROJECTS = (10, 100, 1_000, 10_000)

PARTS = ("rows", "metrics", "dimensions", "periods", "projects", "exports")
EXPORTS = "exports in 2 GB"
OVER = (*PARTS[:-1], EXPORTS)

Row = dict[str, Any]


def scale(
    scales: Sequence[float], middle: float, threads: int, times: int, parts: Sequence[str] | None = None
) -> list[Row]:
    """Measures `parts` (all of PARTS). `scales` are those over which rows grow, `middle` is that of all the rest.

    Kept as it grows, beside what was measured before at other scales.
    """
    kept = {_key(row): row for row in (load("scale") or {}).get("rows", [])}
    for part in parts or PARTS:
        for row in _told(_part(part, scales, middle, threads, times)):
            kept[_key(row)] = row
            save("scale", sorted(kept.values(), key=lambda row: OVER.index(row["over"])), middle=middle)
    return list(kept.values())


def _key(row: Row) -> tuple[Any, ...]:
    return row["over"], row["x"], row["what"], row["side"]


def _part(part: str, scales: Sequence[float], middle: float, threads: int, times: int) -> Iterator[Row]:
    if part == "rows":
        for size in scales:
            yield from _over_rows(_made(size), size, threads, times)
    elif part == "projects":
        yield from _over_projects(_made(0.01), threads)
    elif part == "exports":
        yield from _in_2_gb(_made(max(scales)), max(scales), threads)
    else:
        over = {"metrics": _over_metrics, "dimensions": _over_dimensions, "periods": _over_periods}[part]
        yield from over(_made(middle), threads, times)


def _made(size: float) -> Path:
    folder = BUILD / f"data-{size:g}"
    make(folder, size)
    return folder


def _told(rows: Iterable[Row]) -> Iterator[Row]:
    for row in rows:
        print(
            "  ".join(
                f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items()
            )
        )
        yield row


def _over_rows(data: Path, size: float, threads: int, times: int) -> Iterator[Row]:
    for workload in WORKLOADS:
        if workload.name in OVER_ROWS:
            common = {"data": str(data), "threads": threads, "times": times}
            for side in ("expert", "ours"):
                given = {"metrics": workload.metrics, "by": workload.by, "expert": workload.expert}
                found = ask(side=side, **common, **given)
                yield {"over": "rows", "x": round(size * 10_000_000), "what": workload.name, "side": side, **found}


def _over_metrics(data: Path, threads: int, times: int) -> Iterator[Row]:
    with _project(max(METRICS)) as (folder, names):
        for count in METRICS:
            metrics = ",".join(names[:count])
            found = ask(
                side="ours", data=str(data), threads=threads, times=times, project=folder, metrics=metrics, by="month"
            )
            yield {"over": "metrics", "x": count, "what": "by month", "side": "ours", **found}


def _over_dimensions(data: Path, threads: int, times: int) -> Iterator[Row]:
    for count in range(len(DIMENSIONS) + 1):
        by = ",".join(DIMENSIONS[:count]) or "none"
        for metrics in ("gross_revenue", "completed_buyers"):
            found = ask(side="ours", data=str(data), threads=threads, times=times, metrics=metrics, by=by)
            yield {"over": "dimensions", "x": count, "what": metrics, "side": "ours", **found}


def _over_periods(data: Path, threads: int, times: int) -> Iterator[Row]:
    for period in PERIODS:
        for metrics in ("gross_revenue", "completed_buyers"):
            found = ask(side="ours", data=str(data), threads=threads, times=times, metrics=metrics, by=period)
            yield {"over": "periods", "x": period, "what": metrics, "side": "ours", **found}


def _over_projects(data: Path, threads: int) -> Iterator[Row]:
    for count in PROJECTS:
        with _project(count) as (folder, names):
            step = max(1, count // 20)
            metrics = ",".join(names[::step][:20])
            found = ask(
                side="ours", data=str(data), threads=threads, times=0, project=folder, metrics=metrics, by="month"
            )
            yield {"over": "projects", "x": count, "what": "open, compile 20", "side": "ours", **found}


def _in_2_gb(data: Path, size: float, threads: int) -> Iterator[Row]:
    """Exports of what is largest, under a limit of memory."""
    for workload in WORKLOADS:
        if workload.name in (*OVER_ROWS, "monthly_cohorts", "acquisition"):
            common = {"data": str(data), "threads": threads, "times": 1, "export": True, "memory": "2GB"}
            for side in ("expert", "ours"):
                given = {"metrics": workload.metrics, "by": workload.by, "expert": workload.expert}
                found = ask(side=side, **common, **given)
                yield {"over": EXPORTS, "x": round(size * 10_000_000), "what": workload.name, "side": side, **found}


_SOURCES = """\
sources:
  orders:
    from: ${BENCH_DATA}/orders.parquet
    key: order_id
    time: ordered_at
engine: {duckdb: {threads: "${BENCH_THREADS:-2}"}}
"""


class _project:
    """A project of so many metrics in a folder of its own, a hundred a file: sums, counts, ratios, conditions."""

    def __init__(self, count: int) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="bench-")
        self._count = count

    def __enter__(self) -> tuple[str, list[str]]:
        root = Path(self._folder.name)
        (root / "metrics").mkdir()
        (root / "kpi.yaml").write_text(_SOURCES)
        names = [f"m{n:05}" for n in range(self._count)]
        for start in range(0, self._count, 100):
            lines = [_metric(n) for n in range(start, min(start + 100, self._count))]
            (root / "metrics" / f"m{start:05}.yaml").write_text("metrics:\n" + "\n".join(lines) + "\n")
        return str(root), names

    def __exit__(self, *error: object) -> None:
        self._folder.cleanup()


def _metric(n: int) -> str:
    status = ("completed", "cancelled", "pending", "refunded")[n % 4]
    least = 10 * (n % 37)
    formula = (
        f"sum(amount) where status = '{status}' and amount >= {least}",
        f"count(*) where status = '{status}' and amount >= {least}",
        f"(sum(amount) where amount >= {least}) / count(*)",
    )[n % 3]
    return f'  m{n:05}: {{source: orders, formula: "{formula}"}}'
