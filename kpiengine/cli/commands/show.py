"""`kpi show`: all about one metric."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from kpiengine.cli.commands.list import as_mapping, standing, text_of
from kpiengine.cli.complete import complete_metric
from kpiengine.cli.options import anywhere, engine_option
from kpiengine.cli.state import State

if TYPE_CHECKING:
    from kpiengine.catalogue import MetricDetail
    from kpiengine.project import Project


@click.command("show")
@click.argument("metric", shell_complete=complete_metric)
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
@engine_option
@anywhere
@click.pass_obj
def command(state: State, metric: str, as_json: bool) -> None:
    """Show a metric: its definition, what it is made of, where it is defined (file:line), its SQL.

    \b
    Examples:
      kpi show revenue
      kpi show cac --json
    """
    project = state.project()
    found = project.show(metric)
    lineage = lineage_lines(project, found)
    if as_json:
        more = {"definition": dict(found.definition), "uses": list(found.uses), "columns": list(found.columns)}
        whole = {**as_mapping(found.info), **more, "lineage": lineage, "sql": found.sql}
        click.echo(state.safe(json.dumps(whole, ensure_ascii=False, indent=2)))
        return
    click.echo(state.safe("\n".join(_page(found, lineage))))


def lineage_lines(project: Project, detail: MetricDetail, above: tuple[str, ...] = ()) -> list[str]:
    """What the metric is made of, down to its sources: a line a metric, those below it indented."""
    info = detail.info
    if not detail.uses:
        sources = "".join(f" ← source {source}" for source in info.sources)
        return [f"{info.name}{sources}"]
    lines = [info.name]
    for name in detail.uses:
        if name.lower() in above:
            continue
        below = lineage_lines(project, project.show(name), (*above, info.name.lower()))
        lines += [f"  {line}" for line in below]
    return lines


def _page(found: MetricDetail, lineage: list[str]) -> list[str]:
    info = found.info
    label, description = text_of(info.label), text_of(info.description)
    lines = [info.name + (f" – {label}" if label and label != info.name else "")]
    lines += [*description.strip().splitlines(), ""] if description else [""]
    facts = {
        "defined in": str(info.place) + (f" (library: {info.library})" if info.library else ""),
        "unit": info.unit,
        "grain": ", ".join(info.grain),
        "columns": ", ".join(found.columns),
        "sources": ", ".join(info.sources),
        "owner": info.owner,
        "tags": ", ".join(info.tags),
        "state": standing(info),
    }
    lines += [f"{name + ':':<12}{value}" for name, value in facts.items() if value]
    definition = [f"{key}: {value}" for key, value in found.definition.items()]
    for title, parts in (("definition", definition), ("lineage", lineage), ("SQL", (found.sql or "").splitlines())):
        if parts:
            lines += ["", f"{title}:", *(f"  {part}".rstrip() for part in parts)]
    return lines
