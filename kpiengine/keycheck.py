"""What a pass over joined rows proves, once for files that stay as they are: keys are unique, every row meets one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import duckdb
from sqlglot import exp

from kpiengine.cache import cache, identities
from kpiengine.errors import DataError, Problem
from kpiengine.plan import Plan
from kpiengine.plan.steps import KeyCheck, Met, Scan
from kpiengine.sources import Sources
from kpiengine.sql import check_statement, met_statement

_NOT_OF_FILES = re.compile(
    r"\b((age|ago|now|today|rand\w*|setseed|\w*uuid\w*|transaction_timestamp|get_current_\w+|txid_\w+)\s*\("
    r"|current_(date|time|timestamp|localtime\w*)|local_?time\w*|tablesample|using\s+sample)",
    re.IGNORECASE,
)
"""What says something else each time, or may: a word too many here costs time, one too few an answer."""


def is_of_files(statement: str) -> bool:
    """Whether a statement says the same as long as the files that it reads do."""
    return not _NOT_OF_FILES.search(statement)


Rows = Callable[[exp.Query], list[tuple[Any, ...]]]


def verify_keys(plan: Plan, sources: Sources, rows: Rows, text: Callable[[exp.Query], str]) -> None:
    """Raises DataError where a joined key is not unique: joining on it would multiply rows. And where an inner join
    would lose rows, since files have changed after the plan was made.

    `rows` runs a statement on the project's engine, `text` writes it.
    """
    for check in plan.checks:
        statement = check_statement(check, plan, sources.rendered)
        written = text(statement)
        files = sources.files(check.source)
        if files is None or not is_of_files(written):
            _verify(statement, check, sources, rows)
            continue
        about = [duckdb.__version__, sources.spec.engine, sources.spec.timezone, written]
        cache().of_files("unique-key", files, about, lambda: _verify(statement, check, sources, rows))  # noqa: B023
    for met in plan.met:
        if not meets(plan, met, sources, rows, text, anyway=True):
            source = met.step.removesuffix("_rows")
            raise DataError(
                f'files of "{source}", or of what it joins, have changed since the query was made: ask again'
            )


def meets(
    plan: Plan, met: Met, sources: Sources, rows: Rows, text: Callable[[exp.Query], str], *, anyway: bool
) -> bool:
    """Whether each row of a scan meets one of another.

    Where the answer cannot be kept, asking costs a query more than it gives: it is asked `anyway`, or taken for no.
    """
    statement = met_statement(met, plan, sources.rendered)
    written = text(statement)
    scans = {step.name: step.source for step in plan.steps if isinstance(step, Scan)}
    files = [sources.files(scans[name]) for name in (met.step, met.joined)]
    known = [path for found in files for path in found or ()]
    kept = cache().folder is not None and all(files) and is_of_files(written) and identities(known) is not None
    if not kept:
        return anyway and bool(rows(statement)[0][0])

    about = [duckdb.__version__, sources.spec.engine, sources.spec.timezone, written]
    return cache().of_files("met-key", known, about, lambda: bool(rows(statement)[0][0]))


def _verify(statement: exp.Query, check: KeyCheck, sources: Sources, rows: Rows) -> bool:
    for *key, times in rows(statement):
        columns = ", ".join(check.columns)
        told = ", ".join(str(part) for part in key)
        source = sources.spec.sources[check.source]
        message = (
            f'source "{check.source}" has {times} rows with {columns} = {told}, and "{check.joined_by}"'
            " joins it by that key: it has to be unique (`kpi check --data` counts them)"
        )
        raise DataError(Problem(source.places.get("key", source.place), message))
    return True
