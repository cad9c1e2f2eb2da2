"""Exports as others read them: `read("s3://lake/kpis/monthly")` gives all rows of one run, whatever wrote them."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpiengine.errors import DataError
from kpiengine.manifest import GENERATIONS, NAME, parsed
from kpiengine.store import Store, is_url

if TYPE_CHECKING:
    import pyarrow
    import pyarrow.dataset


def read(place: str | os.PathLike[str]) -> pyarrow.dataset.Dataset:
    """The rows of an export, by the path or the URL of its place, as a pyarrow dataset.

    The files are those of the last run that ended; they stay there until two later ones have. Columns that name
    folders (`partition_by`) are among the dataset's. DataError where there is no export.

        read("s3://lake/kpis/monthly").to_table(filter=pyarrow.dataset.field("month") >= date(2026, 1, 1))
    """
    import pyarrow
    import pyarrow.dataset

    store = _store(place)
    told, files = _listed(store)
    system, root = store.opened
    if told is None or "generation" not in told:
        return _plain(store, files)
    schema = pyarrow.ipc.read_schema(pyarrow.py_buffer(base64.b64decode(told["schema"])))
    folders = pyarrow.schema([schema.field(name) for name in told["partition_by"]])
    partitioning = pyarrow.dataset.partitioning(folders, flavor="hive") if folders.names else None
    format = pyarrow.dataset.ParquetFileFormat()
    if not files:
        return pyarrow.dataset.InMemoryDataset(schema.empty_table())
    return pyarrow.dataset.dataset(
        files,
        schema,
        format,
        system,
        partitioning,
        partition_base_dir=f"{root}/{GENERATIONS}/{told['generation']}",
    )


def facts(place: str | os.PathLike[str]) -> dict[str, str]:
    """Which version, definitions, query, engine and time made an export: what its files' footers say, or its pointer.

    DataError where there is no export.
    """
    import pyarrow.parquet

    store = _store(place)
    told, files = _listed(store)
    if told is not None:
        return {str(key): str(value) for key, value in told["facts"].items()}
    with store.opened[0].open_input_file(files[0]) as file:
        found = pyarrow.parquet.read_metadata(file).metadata or {}
    return {key.decode(): value.decode() for key, value in found.items() if key.startswith(b"kpiengine")}


def _store(place: str | os.PathLike[str]) -> Store:
    written = os.fspath(place)
    return Store(written if is_url(written) else Path(written).resolve().as_uri())


def _listed(store: Store) -> tuple[dict[str, Any] | None, list[str]]:
    """What the pointer or list of an export says, and its files, by their paths in the store's file system."""
    root = store.opened[1]
    if store.is_file:
        return None, [root]
    text = store.read(NAME)
    found = parsed(text) if text is not None else None
    files = found[1] if found is not None else store.parquet("")
    if found is None and not files:
        raise DataError(f"there is no export at {store}")
    return found[0] if found is not None else None, [f"{root}/{file.path}" for file in files]


def _plain(store: Store, files: list[str]) -> pyarrow.dataset.Dataset:
    import pyarrow.dataset

    system, root = store.opened
    hive = pyarrow.dataset.partitioning(flavor="hive")
    return pyarrow.dataset.dataset(
        files, format="parquet", filesystem=system, partitioning=hive, partition_base_dir=root
    )
