"""Exports to stores, where nothing but a single object can be replaced in one step: generations, and a pointer.

    s3://lake/kpis/monthly/_generations/20260401T063000Z-5f0c2a9d/…parquet
    s3://lake/kpis/monthly/_kpiengine.json

Each run writes its files into a generation of its own, which no reader looks into, and the pointer last: it names the
generation and its files, and is one object, so that a reader finds all of the old rows or all of the new ones. The
generation before is kept for readers that are at it; the one before that is removed. `kpiengine.exports` reads this.
"""

from __future__ import annotations

import base64
import datetime as dt
import re
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpiengine.errors import DataError
from kpiengine.export import put_down
from kpiengine.manifest import GENERATIONS, NAME, Written, manifest_text, parsed
from kpiengine.records import dataclass
from kpiengine.store import Store

if TYPE_CHECKING:
    import pyarrow

DEAD_AFTER = dt.timedelta(days=1)
"""A generation that no pointer names is another run's at work, and after this one that died."""

_ID = re.compile(r"(\d{8}T\d{6})Z-[0-9a-f]{8}")
_BEGAN = "%Y%m%dT%H%M%S"


@dataclass(frozen=True)
class Generation:
    """One run's files in a store, below `_generations/id`."""

    store: Store
    id: str

    @classmethod
    def new(cls, store: Store) -> Generation:
        """One that nobody else has, named after the time."""
        return cls(store, f"{dt.datetime.now(dt.UTC):{_BEGAN}}Z-{secrets.token_hex(4)}")

    @property
    def below(self) -> str:
        """Its path in the store's folder."""
        return f"{GENERATIONS}/{self.id}"

    @cached_property
    def files(self) -> tuple[Written, ...]:
        """The files that have been written, looked for at the first call."""
        return self.store.parquet(self.below)

    @property
    def rows(self) -> int:
        """How many rows they have."""
        return sum(file.rows for file in self.files)


def write_generation(
    store: Store,
    schema: pyarrow.Schema,
    partition_by: Sequence[str],
    footer: Mapping[str, str],
    written: Callable[[Generation], bool],
    made: Callable[[Path], object],
) -> tuple[int, int, int]:
    """Writes a generation, and points at it. Gives rows, files and bytes.

    `written` writes into the store by an engine's own workers, and says whether it did; otherwise `made` makes a
    folder of this machine, which is sent. Raises DataError or EngineError; what was there is then as it was.
    """
    if store.url.endswith(".parquet"):
        raise DataError(f"{store} is one file, and an export to a URL is a folder: give it without .parquet")
    _refuse_other(store)
    generation = Generation.new(store)
    try:
        if not written(generation):
            with tempfile.TemporaryDirectory(prefix="kpi-export-") as folder:
                made(Path(folder) / "export")
                store.upload(Path(folder) / "export", generation.below)
        files = generation.files
        if store.is_local:
            put_down(Path(store.opened[1]) / generation.below)
        before = _refuse_other(store)  # another run may have ended meanwhile
        told = {
            "generation": generation.id,
            "previous": before.get("generation"),
            "partition_by": list(partition_by),
            "schema": base64.b64encode(schema.remove_metadata().serialize()).decode(),
        }
        store.put(NAME, manifest_text(footer, files, **told).encode())
    except BaseException:
        with suppress(DataError):  # what goes wrong now is the same, and was told
            store.remove(generation.below)
        raise
    _remove_older(store, before, {generation.id, str(before.get("generation"))})
    return sum(file.rows for file in files), len(files), sum(file.bytes for file in files)


def _refuse_other(store: Store) -> Mapping[str, Any]:
    """What the pointer says; nothing where there is none. DataError where the place holds what no export wrote."""
    text = store.read(NAME)
    found = parsed(text) if text is not None else None
    if found is not None and "generation" in found[0]:
        return found[0]
    other = [name for name in store.names() if name != GENERATIONS]
    if other:
        raise DataError(f"{store} holds {other[0]}, which no export wrote there: it is left alone; give another path")
    return {}


def _remove_older(store: Store, before: Mapping[str, Any], kept: set[str]) -> None:
    """Removes the generation that the last pointer had kept, and those of runs that died."""
    replaced = before.get("previous")
    dead = dt.datetime.now(dt.UTC) - DEAD_AFTER
    for name in store.names(GENERATIONS):
        began = _ID.fullmatch(name)
        if name in kept or began is None:
            continue
        if name == replaced or dt.datetime.strptime(began[1] + "+0000", f"{_BEGAN}%z") < dead:
            store.remove(f"{GENERATIONS}/{name}")
