"""`kpi diff`: which metrics mean something else than in a git revision."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from kpiengine.cli.options import anywhere
from kpiengine.cli.progress import Progress
from kpiengine.cli.state import State
from kpiengine.cli.tables import Grid

if TYPE_CHECKING:
    from kpiengine.diff import Difference, MetricChange, Moved

MOST_ROWS = 20
"""How many rows of a metric are shown with --data."""


@click.command("diff")
@click.argument("revision", metavar="REV")
@click.option("--data", is_flag=True, help="Ask both versions for the numbers, over today's data, and show the change.")
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
@anywhere
@click.pass_obj
def command(state: State, revision: str, data: bool, as_json: bool) -> None:
    """Show which metrics' meaning changed between the git revision REV and the files as they are now.

    \b
    Examples:
      kpi diff HEAD
      kpi diff main --data

    A definition that is written otherwise and says the same is no change, nor is a label; one that says something
    else changes every metric that is made of it.
    """
    from kpiengine.diff import compare, moved, project_at

    new = state.project()
    with Progress("comparing"), project_at(new.root, revision) as old:
        state.interrupts.stoppers.append(old.interrupt)
        difference = compare(old, new)
        changed = [change for change in difference.metrics if data and change.change == "changed"]
        numbers = {change.name: moved(old, new, change) for change in changed}
    if as_json:
        told = [_mapping(change, numbers.get(change.name)) for change in difference.metrics]
        click.echo(state.safe(json.dumps(told, ensure_ascii=False, indent=2, default=str)))
        return
    lines = list(_lines(difference, numbers))
    click.echo(state.safe("\n".join(lines)) if lines else f"no metric's meaning changed since {revision}")


def _lines(difference: Difference, numbers: dict[str, tuple[Moved, ...]]) -> Iterator[str]:
    for setting in difference.settings:
        yield f"project  {setting}"
    for source, keys in difference.sources.items():
        yield f"source   {source}"
        yield from (f"         {key}" for key in keys)
    for change in difference.metrics:
        yield f"{change.change:<8} {change.name}  ({change.place})"
        if change.change != "changed":
            definition = change.new or change.old or {}
            yield from (f"         {key}: {' '.join(value.split())}" for key, value in definition.items())
        yield from (f"         {key}" for key in change.keys)
        if change.through:
            yield f"         through {', '.join(change.through)}"
        yield from (f"         {line}" for line in _table(numbers.get(change.name, ())))


def _table(rows: Sequence[Moved]) -> Iterator[str]:
    if not rows:
        return
    shown = rows[:MOST_ROWS]
    grid = Grid(("", "old", "new", "change"), (False, True, True, True))
    grid.add(
        (", ".join(map(_text, row.key.values())) or "total", _text(row.old), _text(row.new), _signed(row.change))
        for row in shown
    )
    yield from grid.lines()
    if len(rows) > len(shown):
        yield f"… and {len(rows) - len(shown)} more rows"


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.2f}"
    return "–" if value is None else str(value)


def _signed(change: Any) -> str:
    return "–" if change is None else ("+" if change > 0 else "") + _text(change)


def _mapping(change: MetricChange, rows: Sequence[Moved] | None) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": change.name,
        "change": change.change,
        "place": str(change.place),
        "keys": [{"key": key.key, "old": key.old, "new": key.new} for key in change.keys],
        "through": list(change.through),
        "old": change.old,
        "new": change.new,
    }
    if rows is not None:
        told["numbers"] = [
            {
                **{name: str(value) for name, value in row.key.items()},
                "old": row.old,
                "new": row.new,
                "change": row.change,
            }
            for row in rows
        ]
    return told
