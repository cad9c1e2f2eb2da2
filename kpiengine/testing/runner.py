"""Runs a case on an engine, and holds the answer against its proof."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from kpiengine.errors import KpiError
from kpiengine.testing.cases import ARROW_TYPES, Case
from kpiengine.testing.compare import difference, rows_of
from kpiengine.testing.engines import CaseEngine
from kpiengine.testing.golden import Golden


def run_case(case: Case, engine: CaseEngine, folder: Path, golden: Golden | None = None) -> None:
    """Makes the case's project in `folder` (an empty one) and runs its query. AssertionError where the proof fails.

    `golden` holds the golden files; a case with `golden: true` needs it. They are DuckDB's, and compared there only.
    """
    files = case.write(folder)
    if case.error is not None:
        _expect_error(case, case.error, _problems(case, engine, folder, files))
        return
    query = case.query or {}
    with engine.open(folder) as project:
        answer = engine.answer(project, query, files)
        sql = project.sql(**query, tables={name: name for name in files}) if case.golden else ""
    if case.expect is not None:
        _compare(case, engine, answer, case.expect, "the rows that it expects")
    if case.check is not None:
        _compare(case, engine, answer, rows_of(checked(case.check, files)), "its check")
    if engine.name != "duckdb":
        return
    if case.types is not None:
        found = tuple(sql_type(field.type) for field in answer.schema)
        _require(found == case.types, f"{case}: types are {found}, expected: {case.types}")
    if case.golden:
        if golden is None:
            raise AssertionError(f"{case}: golden files are kept nowhere")
        golden.compare(case.topic, case.slug, sql.rstrip("\n") + "\n")


def checked(sql: str, files: Mapping[str, Path]) -> pa.Table:
    """The rows of a check: `sql` in DuckDB, where each file is a table of its name."""
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for name, path in files.items():
            connection.read_parquet(str(path)).create_view(name)
        return connection.sql(sql).to_arrow_table()


def sql_type(kind: pa.DataType) -> str:
    """An Arrow type by its SQL name."""
    if pa.types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    names = {str(arrow): name for name, arrow in ARROW_TYPES.items()}
    return names.get(str(kind), str(kind))


def _require(holds: bool, message: str) -> None:
    """An assertion that `python -O` keeps."""
    if not holds:
        raise AssertionError(message)


def _compare(case: Case, engine: CaseEngine, answer: pa.Table, expected: Sequence[Sequence[Any]], what: str) -> None:
    differs = difference(rows_of(answer), expected)
    _require(differs is None, f"{case}: {engine.name} differs from {what}: {differs}")


def _expect_error(case: Case, expected: str | Sequence[str], problems: Sequence[str]) -> None:
    told = "\n".join(problems)
    _require(bool(problems), f"{case}: no error, expected: {expected}")
    if isinstance(expected, str):
        _require(_holds(told, expected), f"{case}: the error is\n{told}\nexpected: {expected}")
        return
    missing = [text for text in expected if not any(_holds(problem, text) for problem in problems)]
    _require(not missing, f"{case}: the errors are\n{told}\nmissing: {missing}")
    _require(len(problems) == len(expected), f"{case}: {len(problems)} errors, expected {len(expected)}:\n{told}")


def _problems(case: Case, engine: CaseEngine, folder: Path, files: Mapping[str, Path]) -> list[str]:
    """What opening the project says; where that is nothing, its query, or `check` for a case without one."""
    try:
        with engine.open(folder) as project:
            if case.query is None:
                return [str(problem) for problem in project.check()]
            engine.answer(project, case.query, files)
    except KpiError as error:
        return [str(problem) for problem in error.problems]
    return []


def _holds(message: str, text: str) -> bool:
    pattern = ".*".join(re.escape(piece) for piece in text.split("…"))
    return re.search(pattern, message, re.DOTALL) is not None
