"""Funnels: how many get from step to step, in order, without detours, or in any order, and how long it takes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kpiengine.hooks import hookimpl

if TYPE_CHECKING:
    from kpiengine.kind import Kind


@hookimpl
def register_kinds() -> Iterable[type[Kind]]:
    """The kind `funnel`."""
    from kpiengine_plugins.funnel.kind import Funnel

    return [Funnel]
