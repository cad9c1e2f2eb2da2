"""`kpi plugins`: what is installed, from where, and what it adds."""

from __future__ import annotations

import json

import click

from kpiengine.cli.options import anywhere
from kpiengine.cli.tables import Grid, show


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
@anywhere
def command(as_json: bool) -> None:
    """List the plugins: what is installed, from where, and what it adds.

    \b
    Examples:
      kpi plugins

    A plugin that cannot be loaded is listed with the reason, and stops nothing else. It needs no project.
    """
    from kpiengine.plugins import installed

    plugins = installed().infos()
    if as_json:
        found = [
            {
                "name": plugin.name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "adds": list(plugin.adds),
                "error": plugin.error,
            }
            for plugin in plugins
        ]
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    grid = Grid(("plugin", "from", "version", "adds"))
    for plugin in plugins:
        adds = f"NOT LOADED: {plugin.error}" if plugin.error else ", ".join(plugin.adds)
        grid.add([(plugin.name, plugin.distribution or "", plugin.version or "", " ".join(adds.split()))])
    show(grid)
