"""A DuckDB connection as every session begins: in memory, nothing fetched from anywhere, its own place to spill."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

import duckdb

BATCH_ROWS = 100_000
"""Rows of a batch of Arrow."""


def spill_folder() -> Path:
    """A place for what does not fit into memory, this connection's alone; DuckDB makes it when it needs it."""
    return Path(tempfile.gettempdir()) / f"kpi-spill-{os.getpid()}-{secrets.token_hex(4)}"


def is_interrupt(error: Exception) -> bool:
    """Whether DuckDB stopped for Ctrl-C: told by another thread, or by a signal that it saw itself while it ran."""
    seen = isinstance(error, RuntimeError) and str(error) == "Query interrupted"
    return seen or isinstance(error, duckdb.InterruptException)


def connected(spill: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory."""
    settings = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    return duckdb.connect(":memory:", config={**settings, "temp_directory": str(spill)})
