"""DataFusion, for which sqlglot has no dialect: PostgreSQL's text comes nearest."""

from __future__ import annotations

from kpiengine.sql.dialects.division import divided_in_double
from kpiengine.sql.dialects.rewriting import Dialect

DIALECT = Dialect("datafusion", "postgres", (divided_in_double,))
