"""DuckDB, in whose dialect statements are made."""

from __future__ import annotations

from kpiengine.sql.dialects.rewriting import Dialect

DIALECT = Dialect("duckdb", "duckdb")
