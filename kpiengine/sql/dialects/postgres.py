"""PostgreSQL."""

from __future__ import annotations

from kpiengine.sql.dialects.division import divided_in_double
from kpiengine.sql.dialects.rewriting import Dialect

DIALECT = Dialect("postgres", "postgres", (divided_in_double,))
