"""`kpi sql`: the statement that a query would run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from kpiengine.cli.options import anywhere, metrics_argument, query_options
from kpiengine.cli.output import whole_file
from kpiengine.cli.state import State


@click.command("sql")
@metrics_argument
@query_options
@click.option("--dialect", metavar="D", help="Write it for this engine (default: the project's).")
@click.option("--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write it here.")
@anywhere
@click.pass_obj
def command(
    state: State, metrics: tuple[str, ...], asked: Mapping[str, Any], dialect: str | None, out: Path | None
) -> None:
    """Print the SQL of a query instead of running it.

    \b
    Examples:
      kpi sql revenue --by month
      kpi sql aov --by channel --dialect postgres
      kpi sql revenue --by month | duckdb

    It takes the options of `kpi query`. Where sources are files or tables that the engine reads itself, the statement
    runs as it is.
    """
    options = dict(asked) if dialect is None else {**asked, "dialect": dialect}
    whole = state.project().sql(metrics, **options).rstrip() + "\n"
    text = state.safe(whole)
    if text != whole:
        text = "-- *** is a value that kpi.yaml takes from the environment; it is not printed\n" + text
    if out is None:
        click.echo(text, nl=False)
        return
    with whole_file(out, state.interrupts.unfinished) as file:
        file.write(text.encode())
