"""`kpi init`: a project that runs at once."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import click

from kpiengine.cli.options import anywhere
from kpiengine.cli.scaffold import EXAMPLES, make_example, make_starter


@click.command("init")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--example", type=click.Choice(EXAMPLES), help="A finished example with its data instead of a starter.")
@anywhere
def command(folder: Path, example: str | None) -> None:
    """Make a new project in DIR that runs at once: a kpi.yaml, metrics and a little data, all with comments.

    \b
    Examples:
      kpi init acme
      kpi init playground --example sales

    Files that are there already are never overwritten.
    """
    if example is None:
        make_starter(folder)
        tries = ("query revenue", "query revenue,aov --by channel", "list")
    else:
        make_example(folder, example)
        tries = ("query revenue --by month", "list", "export")
    click.echo(f"made {folder}")
    click.echo("try:")
    for line in tries:
        click.echo(f"  kpi -C {quote(str(folder))} {line}")
    click.echo(f"then open {folder / 'kpi.yaml'} and map your own data")
