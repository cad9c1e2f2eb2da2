"""`kpi demo`: the example project from nothing to Parquet in one command."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from kpiengine.cli.commands.export import written_table
from kpiengine.cli.options import anywhere
from kpiengine.cli.output import Destination, write_result
from kpiengine.cli.progress import Progress
from kpiengine.cli.scaffold import free_folder, make_example
from kpiengine.cli.state import State
from kpiengine.cli.tables import show

if TYPE_CHECKING:
    from kpiengine.project import Project

WANTED = ("revenue", "orders", "aov", "new_customers", "cac", "nps", "win_rate")
"""Metrics of the table, as far as the example has what they need."""


@click.command("demo")
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@anywhere
@click.pass_obj
def command(state: State, folder: Path | None) -> None:
    """Make the example project in a new folder (default: ./kpi-demo), export everything, show a table.

    \b
    Examples:
      kpi demo
      kpi demo /tmp/sales

    Nothing that exists is overwritten.
    """
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise click.UsageError(f"{folder} exists and is not empty; name a new folder")
    folder = folder or free_folder("kpi-demo")
    with Progress("making the example data"):
        rows = make_example(folder, "sales")
    total = sum(rows.values())
    click.echo(f"{folder}: a project with {len(rows)} files of made-up sales data, {total:,} rows\n")
    state.directory = folder
    project = state.project()
    with Progress("exporting", project.progress):
        written = project.export()
    show(written_table(written))
    metrics = _ready(project)
    click.echo(f"\nkpi query {','.join(metrics)} --by quarter\n")
    write_result(lambda project: project.query(metrics, by="quarter"), Destination("table"), state)
    _say_what_next(folder)


def _ready(project: Project) -> list[str]:
    ready = {metric.name for metric in project.list() if not metric.needs}
    return [name for name in WANTED if name in ready]


def _say_what_next(folder: Path) -> None:
    where = folder.absolute()
    click.echo(f"\nThe project is in {where}; its Parquet files are in {where / 'out'}.")
    click.echo("Next:")
    tries = {
        "list": "every metric, ready to ask for",
        "query revenue --by month,channel": "another cut",
        "query rfm --limit 10": "customers by recency, frequency, money",
        "sql revenue --by month": "the SQL behind it",
        "show cac": "how a metric is defined, and where",
    }
    for line, meaning in tries.items():
        click.echo(f"  kpi -C {quote(str(folder))} {line:<34} {meaning}")
    click.echo(f"Then look into {folder / 'kpi.yaml'}, and make your own: kpi init DIR")
