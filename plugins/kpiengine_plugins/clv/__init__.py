"""Customer lifetime value: what each customer has brought, and what the BG/NBD model expects of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from kpiengine.hooks import hookimpl

if TYPE_CHECKING:
    from kpiengine.kind import Kind


@hookimpl
def register_kinds() -> Iterable[type[Kind]]:
    """The kind `clv`."""
    from kpiengine_plugins.clv.kind import Clv

    return [Clv]
