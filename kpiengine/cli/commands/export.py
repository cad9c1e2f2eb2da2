"""`kpi export`: results to Parquet files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from kpiengine.cli.options import anywhere, query_options
from kpiengine.cli.progress import Progress
from kpiengine.cli.state import State
from kpiengine.cli.tables import Grid, show


@click.command("export")
@click.argument("exports", metavar="[EXPORT]...", nargs=-1)
@click.option("--metric", "metrics", metavar="METRIC", multiple=True, help="Export these metrics, with --by.")
@query_options
@click.option("--out", metavar="DIR", help="Write under this folder (a path or a URL) instead of the project's.")
@click.option("--full", is_flag=True, help="Write every partition again, even those that did not change.")
@anywhere
@click.pass_obj
def command(
    state: State,
    exports: tuple[str, ...],
    metrics: tuple[str, ...],
    asked: Mapping[str, Any],
    out: str | None,
    full: bool,
) -> None:
    """Write exports to Parquet: those of kpi.yaml, all or by name, or metrics given by hand.

    \b
    Examples:
      kpi export
      kpi export monthly --out /data/kpis
      kpi export --metric revenue,aov --by month,channel

    Each one is put in its place whole: a reader sees the old files or the new ones.
    """
    if exports and metrics:
        raise click.UsageError("give the names of exports, or --metric, not both")
    if asked and not metrics:
        option = "--" + next(iter(asked)).replace("_", "-")
        raise click.UsageError(f"{option} goes with --metric; an export's own query stands in kpi.yaml")
    project = state.project()
    if not metrics and not project.spec.exports:
        raise click.UsageError("kpi.yaml has no exports: add some under `exports:`, or give --metric and --by")
    options: dict[str, Any] = {**asked, "metrics": metrics} if metrics else {}
    with Progress("exporting", project.progress):
        written = project.export(exports, out=out, full=full, **options)
    show(written_table(written))


def written_table(written: Sequence[Any]) -> Grid:
    """What was written, a line an export."""
    grid = Grid(("export", "path", "rows", "size", "seconds"), (False, False, True, True, True))
    for export in written:
        size, seconds = size_text(export.bytes), f"{export.seconds:.2f}"
        grid.add([(export.name, str(export.path), f"{export.rows:,}", size, seconds)])
    return grid


def size_text(size: int) -> str:
    """Bytes as people read them."""
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"
