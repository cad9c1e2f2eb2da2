"""`kpi schema`: a JSON Schema for editors."""

from __future__ import annotations

import json

import click

from kpiengine.cli.options import anywhere


@click.command("schema")
@click.option("--metrics", is_flag=True, help="The schema of files under metrics/, instead of that of kpi.yaml.")
@anywhere
def command(metrics: bool) -> None:
    """Print a JSON Schema of kpi.yaml, for editors that complete and underline.

    \b
    Examples:
      kpi schema > .kpi.schema.json
      kpi schema --metrics > .kpi-metrics.schema.json

    Connectors, kinds and calendars of installed plugins are in it, so print it again after installing one.
    """
    from kpiengine.plugins import installed
    from kpiengine.schema import metrics_schema, project_schema

    made = metrics_schema(installed()) if metrics else project_schema(installed())
    click.echo(json.dumps(made, ensure_ascii=False, indent=2))
