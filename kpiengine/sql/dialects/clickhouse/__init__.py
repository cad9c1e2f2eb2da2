"""ClickHouse. Settings that its answers depend on stand at the statement's end."""

from __future__ import annotations

from kpiengine.sql.dialects.clickhouse import aggregates, dates, numbers, shape, texts
from kpiengine.sql.dialects.division import divided_in_double
from kpiengine.sql.dialects.rewriting import Dialect

DIALECT = Dialect(
    "clickhouse",
    "clickhouse",
    rewritings=(
        dates.series_as_arrays,
        divided_in_double,
        shape.columns_named,
        shape.wide_types,
        shape.settings_added,
    ),
    forms={**numbers.FORMS, **texts.FORMS, **dates.FORMS, **aggregates.FORMS},
    checked=True,
)
