"""Joined keys have to be unique, which a pass over the joined side proves: once for files that stay as they are."""

from __future__ import annotations

import re

import duckdb

from kpiengine.cache import cache
from kpiengine.duck import DuckSession
from kpiengine.errors import DataError, Problem
from kpiengine.plan import Plan
from kpiengine.plan.steps import KeyCheck
from kpiengine.sources import Sources
from kpiengine.sql import check_statement

_NOT_OF_FILES = re.compile(
    r"\b((age|ago|now|today|rand\w*|setseed|\w*uuid\w*|transaction_timestamp|get_current_\w+|txid_\w+)\s*\("
    r"|current_(date|time|timestamp|localtime\w*)|local_?time\w*|tablesample|using\s+sample)",
    re.IGNORECASE,
)
"""What says something else each time, or may: a word too many here costs time, one too few an answer."""


def verify_keys(plan: Plan, sources: Sources, session: DuckSession) -> None:
    """Raises DataError where a joined key is not unique: joining on it would multiply rows."""
    for check in plan.checks:
        statement = check_statement(check, plan, sources.rendered).sql("duckdb")
        files = sources.files(check.source)
        if files is None or _NOT_OF_FILES.search(statement):
            _verify(statement, check, sources, session)
            continue
        about = [duckdb.__version__, sources.spec.timezone, statement]
        cache().of_files("unique-key", files, about, lambda: _verify(statement, check, sources, session))  # noqa: B023


def _verify(statement: str, check: KeyCheck, sources: Sources, session: DuckSession) -> bool:
    for *key, times in session.rows(statement):
        columns = ", ".join(check.columns)
        told = ", ".join(str(part) for part in key)
        source = sources.spec.sources[check.source]
        message = (
            f'source "{check.source}" has {times} rows with {columns} = {told}, and "{check.joined_by}"'
            " joins it by that key: it has to be unique (`kpi check --data` counts them)"
        )
        raise DataError(Problem(source.places.get("key", source.place), message))
    return True
