"""Shell completion of metric names: read from the YAML as it stands, unchecked, in a moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpiengine.cli.state import State

if TYPE_CHECKING:
    import click


def complete_metric(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of metrics that begin as `incomplete` does; what cannot be read offers nothing."""
    before, comma, start = incomplete.rpartition(",")
    root = Path(ctx.ensure_object(State).directory).absolute()
    project = next((folder for folder in (root, *root.parents) if (folder / "kpi.yaml").is_file()), None)
    files = [] if project is None else [project / "kpi.yaml", *sorted((project / "metrics").rglob("*.yaml"))]
    names = {name for file in (*files, *_library_files()) for name in _metric_names(file)}
    return [before + comma + name for name in sorted(names) if name.startswith(start)]


def _library_files() -> Iterator[Any]:
    from importlib import resources
    from importlib.metadata import entry_points

    for entry in entry_points(group="kpiengine", name="metrics"):
        try:
            folder = resources.files(entry.value)
        except ModuleNotFoundError:
            continue
        yield from (file for file in folder.iterdir() if file.name.endswith(".yaml"))


def _metric_names(file: Any) -> Iterator[str]:
    import yaml

    try:
        loaded = yaml.load(file.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, ValueError, yaml.YAMLError):
        return
    metrics = loaded.get("metrics") if isinstance(loaded, dict) else None
    if isinstance(metrics, dict):
        yield from (str(name) for name in metrics)
