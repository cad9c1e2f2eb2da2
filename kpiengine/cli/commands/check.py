"""`kpi check`: definitions, and with --data the rows."""

from __future__ import annotations

import click

from kpiengine.cli.options import anywhere, engine_option
from kpiengine.cli.progress import Progress
from kpiengine.cli.state import State


@click.command("check")
@click.option("--data", is_flag=True, help="Read the rows, too: keys unique, joins many-to-one, types as declared.")
@engine_option
@anywhere
@click.pass_context
def command(ctx: click.Context, data: bool) -> None:
    """Check the project's definitions against what its sources hold.

    \b
    Examples:
      kpi check
      kpi check --data

    Every problem is a line on standard error, `file:line:column: what is wrong`, and the exit code is 1. All problems
    come in one run.
    """
    state: State = ctx.obj
    project = state.project()
    with Progress("checking", project.progress):
        problems = project.check(data=data)
    if problems:
        for problem in problems:
            click.echo(state.safe(str(problem)), err=True)
        click.echo(f"{len(problems)} {'problem' if len(problems) == 1 else 'problems'}", err=True)
        ctx.exit(1)
    metrics = project.list()
    waiting = sum(1 for metric in metrics if metric.needs)
    spec = project.spec
    counts = [_count(len(spec.sources), "source"), _count(len(metrics), "metric"), _count(len(spec.exports), "export")]
    note = f" ({_count(waiting, 'library metric')} waiting for a source or a column: kpi list)" if waiting else ""
    click.echo(f"ok: {', '.join(counts)}{note}" + ("" if data else "; rows not read (--data reads them)"))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
