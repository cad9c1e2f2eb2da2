"""Databricks: as Spark, in its own text."""

from __future__ import annotations

from kpiengine.sql.dialects import spark
from kpiengine.sql.dialects.rewriting import Dialect

DIALECT = Dialect(
    "databricks", "databricks", spark.DIALECT.rewritings, forms=spark.DIALECT.forms, checked=spark.DIALECT.checked
)
