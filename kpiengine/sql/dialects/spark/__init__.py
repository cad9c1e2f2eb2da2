"""Spark, and what speaks its SQL. Statements are made for a session whose time zone is UTC."""

from __future__ import annotations

from kpiengine.sql.dialects.division import divided_in_double
from kpiengine.sql.dialects.names import values_told_apart
from kpiengine.sql.dialects.rewriting import Dialect
from kpiengine.sql.dialects.spark import aggregates, dates, numbers, texts
from kpiengine.sql.dialects.spark.generators import bare_generators
from kpiengine.sql.dialects.spark.once import computed_once

DIALECT = Dialect(
    "spark",
    "spark",
    rewritings=(divided_in_double, bare_generators, values_told_apart, computed_once),
    forms={**numbers.FORMS, **texts.FORMS, **dates.FORMS, **aggregates.FORMS},
    checked=True,
)
