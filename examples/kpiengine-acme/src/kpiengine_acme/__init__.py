"""Acme's plugins for kpiengine. This one brings metrics: a package that holds YAML."""

from kpiengine.hooks import hookimpl


@hookimpl
def register_metrics() -> str:
    """The metrics over a bank's account."""
    return "kpiengine_acme.metrics"
