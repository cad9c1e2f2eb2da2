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
        if not group.features:
            yield from _in_all(str(group), [_statement(project, query) for query in group.queries])
            return
        together = list(_in_all(str(group), [_asked_first(group, project, list(group.features.values()))]))
        if not any(each.refusal for each in together):
            for name in group.names:
                yield from (Said(name, each.dialect, each.texts) for each in together)
            return
        for name, metric in zip(group.names, group.features.values(), strict=True):
            yield from _in_all(name, [_asked_first(group, project, metric)])


def _in_all(feature: str, statements: list[exp.Query]) -> Iterator[Said]:
    for dialect in TEXT_ALONE:
        try:
            yield Said(feature, dialect, tuple(in_dialect(statement, dialect) for statement in statements))
        except UsageError as refusal:
            yield Said(feature, dialect, refusal=str(refusal).removeprefix(f"{dialect} cannot say "))


def _asked_first(group: Group, project: Project, metrics: str | list[str]) -> exp.Query:
    """What asks for metrics by the first of the group's grains that they can be asked by."""
    for query in group.queries[:-1]:
        try:
            return _statement(project, {**query, "metrics": metrics})
        except UsageError:  # prior() needs a period, say
            continue
    return _statement(project, {**group.queries[-1], "metrics": metrics})


def _statement(project: Project, query: Mapping[str, Any]) -> exp.Query:
    options = dict(query)
    asked = project._asked(options.pop("metrics"), options.pop("by", None), options)  # type: ignore[arg-type]
    return project._runner.statement(project._checked_plan(asked, TEXT_ALONE[0]), dialect=TEXT_ALONE[0])
