"""The conformance suite's features as texts of every dialect: what is said, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlglot import exp

import kpiengine
from kpiengine.errors import UsageError
from kpiengine.project import Project
from kpiengine.sql import in_dialect
from kpiengine.testing.conformance import Group

TEXT_ALONE = ("databricks", "snowflake", "bigquery", "trino")
"""Dialects whose engines are not to be had here. Their statements are planned alike."""


@dataclass(frozen=True)
class Said:
    """A feature in a dialect: the statements that ask for it, or why they are refused."""

    feature: str
    dialect: str
    texts: tuple[str, ...] = ()
    refusal: str = ""


def said(group: Group, folder: Path) -> Iterator[Said]:
    """Each feature of a group in each dialect, in a project made in `folder` (an empty one)."""
    group.case.write(folder)
    with kpiengine.open(folder) as project:
        for feature, statements in _statements(group, project).items():
            for dialect in TEXT_ALONE:
                try:
                    texts = tuple(in_dialect(statement, dialect) for statement in statements)
                except UsageError as refusal:
                    yield Said(feature, dialect, refusal=str(refusal).removeprefix(f"{dialect} cannot say "))
                else:
                    yield Said(feature, dialect, texts)


def _statements(group: Group, project: Project) -> Mapping[str, list[exp.Query]]:
    """What asks for each feature: a metric by the first grain that it can be asked by, or all queries of the group."""
    if not group.features:
        return {str(group): [_statement(project, query) for query in group.queries]}
    found = {}
    for name, metric in group.features.items():
        asked = [{**query, "metrics": metric} for query in group.queries]
        found[f"{group.family}: {name}"] = [_first_that_can_be_asked(project, asked)]
    return found


def _first_that_can_be_asked(project: Project, queries: list[Mapping[str, Any]]) -> exp.Query:
    for query in queries[:-1]:
        try:
            return _statement(project, query)
        except UsageError:  # prior() needs a period, say
            continue
    return _statement(project, queries[-1])


def _statement(project: Project, query: Mapping[str, Any]) -> exp.Query:
    options = dict(query)
    asked = project._asked(options.pop("metrics"), options.pop("by", None), options)  # type: ignore[arg-type]
    return project._runner.statement(project._checked_plan(asked, TEXT_ALONE[0]))
