"""RFM: who bought how recently, how often, for how much, scored and put into segments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kpiengine.hooks import hookimpl

if TYPE_CHECKING:
    from kpiengine.kind import Kind


@hookimpl
def register_kinds() -> Iterable[type[Kind]]:
    """The kinds `rfm` and `rfm_migration`."""
    from kpiengine_plugins.rfm.kind import Rfm
    from kpiengine_plugins.rfm.migration import RfmMigration

    return [Rfm, RfmMigration]
