"""`plain_text(x)`: written out once for each text that a statement looks at, and the same wherever it stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import kpiengine
from kpiengine.project import Project

KPI = """
sources:
  survey: {from: survey.csv, time: responded_at, joins: {cities: city}}
  cities: {from: cities.csv, key: city, columns: {told: plain_text(name)}}
metrics:
  twice: {source: survey, formula: count(*) where plain_text(plain_text(csat)) = 'good'}
  either: {source: survey, formula: count(*) where plain_text(cities.name) = 'qom' or plain_text(cities.name) = 'yazd'}
  told: {source: survey, formula: count(*) where cities.told = 'qom'}
  longest: {source: survey, formula: max(length(plain_text(csat)))}
"""
SURVEY = "responded_at,csat,city\n2026-01-05, GOOD ,1\n2026-01-06,good,2\n2026-01-07,۵,1\n2026-02-01,عالي,3\n"
CITIES = "city,name\n1, Qom\n2,YAZD \n3,\n"
WRITTEN_OUT = "TRANSLATE("


@pytest.fixture(params=["none", "always"])
def project(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.setenv("KPI_PASSES", request.param)
    for name, text in (("kpi.yaml", KPI), ("survey.csv", SURVEY), ("cities.csv", CITIES)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    with kpiengine.open(tmp_path) as found:
        yield found


def rows(project: Project, metrics: str, **options: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in project.query(metrics, **options).arrow().to_pylist()]


def test_each_text_is_written_out_once(project: Project) -> None:
    metrics = "csat_excellent,csat_good,csat_responses,csat,csat_low"
    for options in ({"by": "month"}, {"by": "month", "where": "plain_text(csat) <> 'x'"}, {}):
        assert project.sql(metrics, **options).count(WRITTEN_OUT) <= 1 + ("where" in options)
    assert project.sql("csat", dialect="spark").count(WRITTEN_OUT) == 1
    assert project.sql("either").count(WRITTEN_OUT) == 1


def test_numbers(project: Project) -> None:
    assert rows(project, "csat_excellent,csat_good,csat_responses", by="month")[0][1:] == (1, 2, 3)
    assert rows(project, "csat_responses", where="plain_text(csat) = 'عالی'") == [(1,)]
    assert rows(project, "twice,either,told,longest") == [(2, 3, 2, 4)]
