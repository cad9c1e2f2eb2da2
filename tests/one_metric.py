"""The smallest project that asks an engine something: one source with a time, one metric `m`."""

from __future__ import annotations

from pathlib import Path

import pytest

import kpiengine
from kpiengine.errors import KpiError
from kpiengine.project import Project


def one_metric(folder: Path, engine: str, source: str, formula: str) -> Project:
    """The project in `folder`, opened. `engine` and `source` are YAML."""
    (folder / "metrics").mkdir(exist_ok=True)
    (folder / "kpi.yaml").write_text(f"engine: {engine}\nsources:\n  orders: {{from: {source}, time: ordered_at}}\n")
    (folder / "metrics" / "m.yaml").write_text(f'metrics:\n  m: {{source: orders, formula: "{formula}"}}\n')
    return kpiengine.open(folder)


def told(error: type[KpiError], opened: Project) -> str:
    """What is said when the metric is asked and cannot be had; the project is closed after."""
    with opened, pytest.raises(error) as caught:
        opened.query("m").arrow()
    return str(caught.value)
