"""`kpi list`: every metric, and what it lacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from kpiengine.cli.options import anywhere
from kpiengine.cli.state import State
from kpiengine.cli.tables import Grid, show

if TYPE_CHECKING:
    from kpiengine.catalogue import MetricInfo


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="Everything about each metric, as JSON.")
@anywhere
@click.pass_obj
def command(state: State, as_json: bool) -> None:
    """List every metric, its unit, its grain, and what it still lacks.

    \b
    Examples:
      kpi list
      kpi list --json

    A metric that "needs source: survey" comes from the library and waits until you map that source in kpi.yaml.
    """
    metrics = state.project().list()
    if as_json:
        found = [as_mapping(metric) for metric in metrics]
        click.echo(state.safe(json.dumps(found, ensure_ascii=False, indent=2)))
        return
    grid = Grid(("metric", "unit", "grain", "state", "what it is"))
    for metric in metrics:
        grain = ", ".join(metric.grain)
        what = text_of(metric.description) or text_of(metric.label)
        grid.add([(metric.name, metric.unit or "", grain, state.safe(standing(metric)), first_sentence(what))])
    show(grid)


def first_sentence(text: str) -> str:
    """The first sentence of a description, on one line; `kpi show` has the rest."""
    line = " ".join(text.split())
    head, stop, _ = line.partition(". ")
    return head + "." if stop else line


def standing(metric: MetricInfo) -> str:
    """`ready`, or `needs source: survey`."""
    return "needs " + ", ".join(metric.needs) if metric.needs else "ready"


def as_mapping(metric: MetricInfo) -> dict[str, Any]:
    """A metric's facts, as JSON gives them."""
    return {
        "name": metric.name,
        "label": text_of(metric.label),
        "description": text_of(metric.description),
        "unit": metric.unit,
        "grain": list(metric.grain),
        "kind": metric.kind,
        "sources": list(metric.sources),
        "library": metric.library,
        "tags": list(metric.tags),
        "owner": metric.owner,
        "needs": list(metric.needs),
        "place": str(metric.place),
    }


def text_of(texts: Mapping[str, str]) -> str:
    """A text that may come in several languages: the English one, else the first."""
    return texts.get("en") or next(iter(texts.values()), "")
