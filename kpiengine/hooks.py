"""The hooks that a plugin may implement, and `hookimpl`, which marks an implementation.

A plugin is a module (or package) named by an entry point of the group `kpiengine`. Hooks are called when what
they bring is first needed, never at import.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from kpiengine.calendar import Calendar
    from kpiengine.connector import Connector
    from kpiengine.engine import Engine
    from kpiengine.kind import Kind

hookspec = pluggy.HookspecMarker("kpiengine")
hookimpl = pluggy.HookimplMarker("kpiengine")


@hookspec
def register_connectors() -> Iterable[type[Connector]]:  # type: ignore[empty-body]
    """Connectors that this plugin brings."""


@hookspec
def register_kinds() -> Iterable[type[Kind]]:  # type: ignore[empty-body]
    """Metric kinds that this plugin brings."""


@hookspec
def register_metrics() -> str:  # type: ignore[empty-body]
    """The name of a package whose *.yaml files (at any depth) define metrics."""


@hookspec
def register_calendars() -> Iterable[type[Calendar]]:  # type: ignore[empty-body]
    """Calendars that this plugin brings."""


@hookspec
def register_engines() -> Iterable[type[Engine]]:  # type: ignore[empty-body]
    """Engines that this plugin brings."""
