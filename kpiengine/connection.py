"""A DuckDB connection as every session begins: in memory, nothing fetched from anywhere, its own place to spill."""

from __future__ import annotations

import os
import secrets
import tempfile
import threading
import warnings
from pathlib import Path
from typing import Any

import duckdb

BATCH_ROWS = 100_000
"""Rows of a batch of Arrow."""

_OF_COPIES = "Arrow output on a DB-API result"
warnings.filterwarnings("ignore", _OF_COPIES, UserWarning)
_NO_WARNING = warnings.filters[0]
_WARNINGS = threading.Lock()
"""Held while filters of warnings are other than they were: they are the process's."""


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


def gathered(cursor: duckdb.DuckDBPyConnection, statement: str) -> Any:
    """The rows as DuckDB's DB-API gives them: it warns of the copy, which is of few rows here.

    Filters are changed for it only where another comes before ours: with that, Python forgets what it has shown.
    """
    found = cursor.execute(statement)
    if _is_quiet():
        return found.to_arrow_reader(BATCH_ROWS)
    with _WARNINGS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", _OF_COPIES, UserWarning)
        return found.to_arrow_reader(BATCH_ROWS)


def _is_quiet() -> bool:
    """Whether the first filter of warnings that may be for DuckDB's is ours."""
    first = next((f for f in warnings.filters if issubclass(UserWarning, f[2])), None)
    return first == _NO_WARNING
