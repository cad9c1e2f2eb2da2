"""PostgreSQL, from version 13 on."""

from __future__ import annotations

from kpiengine.sql.dialects.collation import in_code_point_order
from kpiengine.sql.dialects.division import divided_in_double
from kpiengine.sql.dialects.identifiers import names_within
from kpiengine.sql.dialects.postgres import aggregates, dates, numbers, texts, tries
from kpiengine.sql.dialects.rewriting import Dialect
from kpiengine.sql.dialects.unions import nulls_typed

DIALECT = Dialect(
    "postgres",
    "postgres",
    rewritings=(
        dates.series_of_moments,
        nulls_typed,
        divided_in_double,
        in_code_point_order,
        names_within(63),
    ),
    forms={**numbers.FORMS, **texts.FORMS, **dates.FORMS, **aggregates.FORMS, **tries.FORMS},
    checked=True,
)
