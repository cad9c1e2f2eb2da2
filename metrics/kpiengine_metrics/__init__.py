"""The KPI library: one YAML file per family, over the standard sources of `sources.yaml`."""

from __future__ import annotations

from kpiengine.hooks import hookimpl


@hookimpl
def register_metrics() -> str:
    """The package whose YAML files hold the definitions: this one."""
    return "kpiengine_metrics"
