"""DataFusion, for which sqlglot has no dialect: PostgreSQL's text comes nearest."""

from __future__ import annotations

from kpiengine.sql.dialects.datafusion import aggregates, dates, numbers, texts
from kpiengine.sql.dialects.division import divided_in_double
from kpiengine.sql.dialects.identifiers import names_quoted
from kpiengine.sql.dialects.names import values_told_apart
from kpiengine.sql.dialects.rewriting import Dialect

# Words that begin a statement: behind a comma its parser takes them for one.
_WORDS = frozenset({
    "analyze", "begin", "call", "close", "commit", "copy", "create", "deallocate", "delete", "describe", "drop",
    "execute", "explain", "fetch", "grant", "insert", "kill", "merge", "prepare", "revoke", "rollback", "set", "show",
    "start", "truncate", "update", "use",
})  # fmt: skip

DIALECT = Dialect(
    "datafusion",
    "postgres",
    rewritings=(dates.timestamps_in_micros, divided_in_double, values_told_apart, names_quoted(_WORDS)),
    forms={**numbers.FORMS, **texts.FORMS, **dates.FORMS, **aggregates.FORMS},
    checked=True,
)
