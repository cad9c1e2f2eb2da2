"""`kpi doctor`: what the set-up is, and what of it does not work."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from kpiengine.cli.options import anywhere, engine_option
from kpiengine.cli.state import State

_SIGNS = {"ok": "ok", "absent": "-", "wrong": "WRONG"}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
@engine_option
@anywhere
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """Tell what is installed, which engines answer, and what to do about those that do not.

    \b
    Examples:
      kpi doctor
      kpi doctor --engine postgres

    It needs no project. In one, the engines that kpi.yaml has settings for are asked for their versions; the exit code
    is 1 where the engine that the project runs on does not work.
    """
    from kpiengine.doctor import findings
    from kpiengine.plugins import installed

    state: State = ctx.obj
    found = []
    for finding in findings(Path(state.directory), installed(), state.engine):
        found.append(finding)
        if not as_json:
            needed = "  (the project's)" if finding.needed else ""
            click.echo(f"{_SIGNS[finding.state]:<5}  {finding.name:<18}  {finding.told}{needed}")
            if finding.cure:
                click.echo(f"{'':<27}→ {finding.cure}")
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in found], ensure_ascii=False, indent=2))
    if any(finding.needed and finding.state != "ok" for finding in found):
        ctx.exit(1)
