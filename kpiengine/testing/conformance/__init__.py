"""The conformance suite of engines: what a project can ask, asked of an engine and of DuckDB, and compared.

An engine plugin's author runs it in two lines of pytest:

    from kpiengine.testing.conformance import conformance

    test_conformance = conformance("ledger", {"url": "ledger://localhost"})

`settings` may be a function of pytest's `request`, for a server that a fixture starts. Integers, decimals, dates and
texts have to be the same, and the columns' types; floats within a billionth. What the engine's dialect cannot say
exactly has to be refused by name, before anything runs: `refuses` are the features for which that is so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kpiengine
from kpiengine.errors import KpiError, UsageError
from kpiengine.testing.compare import difference, rows_of
from kpiengine.testing.conformance.features import Group, groups
from kpiengine.testing.engines import CaseEngine, OnEngine

if TYPE_CHECKING:
    import pyarrow

    from kpiengine.project import Project

__all__ = ["Group", "check_group", "conformance", "groups"]

Settings = Mapping[str, Any] | Callable[[Any], Mapping[str, Any]]
Query = Mapping[str, Any]

_EXPECTED: dict[str, list[tuple[Query, pyarrow.Table]]] = {}
"""What DuckDB answered, kept: the same is asked of several engines."""


def check_group(group: Group, engine: CaseEngine, folder: Path) -> dict[str, str]:
    """Asks features of an engine and of DuckDB, in a project made in `folder` (an empty one).

    Gives the features that the engine's dialect refuses, with its reasons; all others gave the same.

    Raises:
        AssertionError: an answer differs, or the engine failed.
    """
    group.case.write(folder)
    expected = _expected(group, folder)
    refused: dict[str, str] = {}
    with engine.open(folder) as project:
        for query, rows in expected:
            try:
                answer = _answer(group, query, engine, project, refused)
            except KpiError as error:
                raise AssertionError(f"{group}: {engine.name} failed: {error}") from error
            if answer is not None:
                _same(group, engine, answer, rows.select(answer.column_names))
    return refused


def _expected(group: Group, folder: Path) -> list[tuple[Query, pyarrow.Table]]:
    if str(group) not in _EXPECTED:
        with kpiengine.open(folder, engine="duckdb") as project:
            queries = [_askable(group, query, project) for query in group.queries]
            _EXPECTED[str(group)] = [(query, project.query(**query).arrow()) for query in queries]
    return _EXPECTED[str(group)]


def _askable(group: Group, query: Query, project: Project) -> Query:
    """A query with those of the group's metrics that can be asked so: `prior` needs a period, say."""
    if not group.features:
        return query
    every = list(group.features.values())
    if _refusal(project, {"metrics": every, **query}) is None:
        return {"metrics": every, **query}
    return {"metrics": [m for m in every if _refusal(project, {"metrics": m, **query}) is None], **query}


def _answer(
    group: Group, query: Query, engine: CaseEngine, project: Project, refused: dict[str, str]
) -> pyarrow.Table | None:
    """The answer, without the metrics that the engine's dialect cannot say: those are added to `refused`."""
    try:
        return engine.answer(project, query, {})
    except UsageError as refusal:
        whole = str(refusal)
    if not group.features:
        refused[str(group)] = whole
        return None
    left = []
    for name, metric in group.features.items():
        if metric in query["metrics"]:
            alone = _refusal(project, {**query, "metrics": metric})
            if alone is None:
                left.append(metric)
            else:
                refused[f"{group.family}: {name}"] = alone
    return engine.answer(project, {**query, "metrics": left}, {}) if left else None


def _refusal(project: Project, query: Query) -> str | None:
    try:
        project.sql(**query)
    except UsageError as refusal:
        return str(refusal)
    return None


def _same(group: Group, engine: CaseEngine, answer: pyarrow.Table, expected: pyarrow.Table) -> None:
    """Compares column by column, so that all that differ are told."""
    if answer.num_rows != expected.num_rows:
        raise AssertionError(f"{group}: {engine.name} gave {answer.num_rows} rows, DuckDB {expected.num_rows}")
    metrics = {metric: name for name, metric in group.features.items()}
    wrong = []
    for field, other in zip(answer.schema, expected.schema, strict=True):
        got, wanted = (rows_of(table.select([field.name])) for table in (answer, expected))
        differs = difference(got, wanted, group.close)
        if field.type != other.type:
            differs = f"its type is {field.type}, expected: {other.type}"
        if differs is not None:
            wrong.append(f"{metrics.get(field.name, field.name)}: {differs}")
    if wrong:
        told = "\n".join(wrong)
        raise AssertionError(f"{group}: {engine.name} differs from DuckDB in\n{told}")


def conformance(
    name: str,
    settings: Settings | None = None,
    refuses: Collection[str] = (),
    families: Collection[str] | None = None,
) -> Callable[..., None]:
    """A pytest test of an engine, once for each group of features; with `families`, of those alone ("kinds").

    `refuses` names the features ("functions of texts: md5(s)") that its dialect refuses; no others may be.
    """
    import pytest

    asked = [group for group in groups() if families is None or group.family in families]

    @pytest.mark.parametrize("group", asked, ids=str)
    def test_conformance(group: Group, tmp_path: Path, request: pytest.FixtureRequest) -> None:
        if group.needs and find_spec(group.needs) is None:
            pytest.skip(f"{group.needs} is not installed")
        given = settings(request) if callable(settings) else settings
        refused = check_group(group, OnEngine(name, given), tmp_path)
        wanted = {feature for feature in group.names if feature in refuses}
        if unexpected := {feature: why for feature, why in refused.items() if feature not in wanted}:
            raise AssertionError(f"{name} refuses what is not in `refuses`: {unexpected}")
        if answered := sorted(wanted - refused.keys()):
            raise AssertionError(f"{name} answers what is in `refuses`: {answered}")

    return test_conformance
