"""Cohorts: of the customers who came in one period, how many are active in each period since."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kpiengine.hooks import hookimpl

if TYPE_CHECKING:
    from kpiengine.kind import Kind


@hookimpl
def register_kinds() -> Iterable[type[Kind]]:
    """The kind `cohort`."""
    from kpiengine_plugins.cohort.kind import Cohort

    return [Cohort]
