"""BigQuery."""

from __future__ import annotations

from kpiengine.sql.dialects.rewriting import Dialect

DIALECT = Dialect("bigquery", "bigquery")
