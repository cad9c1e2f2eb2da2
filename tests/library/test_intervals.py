"""Intervals and comparisons of NPS and CSAT against published tables, and what holds for any answers."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kpiengine
from kpiengine.project import Project

Z = 1.959963984540054
MONTHS = (dt.date(2026, 1, 1), dt.date(2026, 2, 1))
Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("survey")
    (folder / "survey.csv").write_text("responded_at,nps,csat\n2026-01-01,1,1\n", encoding="utf-8")
    text = "sources: {survey: {from: survey.csv, time: responded_at}}\n"
    (folder / "kpi.yaml").write_text(text, encoding="utf-8")
    return kpiengine.open(folder)


@pytest.fixture
def ask(project: Project) -> Ask:
    """Rows of metrics over answers: one list a month, of NPS and of CSAT."""

    def asked(metrics: str, *months: Mapping[str, Sequence[Any]], **options: Any) -> list[dict[str, Any]]:
        rows = [
            {"responded_at": day, "nps": None, "csat": None, column: answer}
            for day, answers in zip(MONTHS, months, strict=False)
            for column, given in answers.items()
            for answer in given
        ]
        types = pa.schema([("responded_at", pa.date32()), ("nps", pa.int64()), ("csat", pa.int64())])
        project.bind("survey", pa.Table.from_pylist(rows, schema=types))
        by = options.pop("by", "month" if len(months) > 1 else "none")
        return list(project.query(metrics, by, **options).arrow().to_pylist())

    return asked


def satisfied(x: int, n: int) -> dict[str, list[int]]:
    return {"csat": [5] * x + [2] * (n - x)}


# R. G. Newcombe, Statistics in Medicine 17:857, 1998, table I, method 3 (Wilson's score interval).
WILSON = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0, 0.1611),
    (1, 29, 0.0061, 0.1718),
    (29, 29, 0.8830, 1.0),
]


@pytest.mark.parametrize(("x", "n", "low", "high"), WILSON)
def test_csat_interval_is_newcombe_s_wilson(ask: Ask, x: int, n: int, low: float, high: float) -> None:
    [row] = ask("csat,csat_low,csat_high", satisfied(x, n))
    assert row["csat"] == x / n
    assert (round(row["csat_low"], 4), round(row["csat_high"], 4)) == (low, high)


# R. G. Newcombe, Statistics in Medicine 17:873, 1998, table II, method 10 (hybrid of score intervals).
HYBRID = [
    (56, 70, 48, 80, 0.0524, 0.3339),
    (9, 10, 3, 10, 0.1705, 0.8090),
    (6, 7, 2, 7, 0.0582, 0.8062),
    (5, 56, 0, 29, -0.0381, 0.1926),
    (0, 10, 0, 20, -0.1611, 0.2775),
    (10, 10, 0, 20, 0.6791, 1.0),
    (10, 10, 0, 10, 0.6075, 1.0),
]


@pytest.mark.parametrize(("x", "n", "x0", "n0", "low", "high"), HYBRID)
def test_csat_change_is_newcombe_s_hybrid(ask: Ask, x: int, n: int, x0: int, n0: int, low: float, high: float) -> None:
    metrics = "csat_change,csat_change_low,csat_change_high,csat_change_verdict"
    first, row = ask(metrics, satisfied(x0, n0), satisfied(x, n))
    assert set(first.values()) == {MONTHS[0], None}
    assert row["csat_change"] == pytest.approx(x / n - x0 / n0)
    assert (round(row["csat_change_low"], 4), round(row["csat_change_high"], 4)) == (low, high)
    assert row["csat_change_verdict"] == ("up" if low > 0 else "down" if high < 0 else "noise")


def answers(promoters: int, passives: int, detractors: int) -> dict[str, list[int]]:
    return {"nps": [9, 10] * (promoters // 2) + [9] * (promoters % 2) + [7] * passives + [6] * detractors}


def adjusted(promoters: int, passives: int, detractors: int) -> tuple[float, float]:
    """The middle of the interval and the variance, as the paper writes them."""
    n = promoters + passives + detractors + 3
    p, d = (promoters + 0.75) / n, (detractors + 0.75) / n
    return p - d, (p + d - (p - d) ** 2) / n


@pytest.mark.parametrize("counts", [(5, 3, 2), (1, 0, 0), (0, 0, 3), (60, 30, 10), (0, 9, 0)])
def test_nps_interval_is_the_adjusted_wald(ask: Ask, counts: tuple[int, int, int]) -> None:
    [row] = ask("nps,nps_low,nps_high", answers(*counts))
    middle, variance = adjusted(*counts)
    half = Z * math.sqrt(variance)
    assert row["nps"] == pytest.approx(100 * (counts[0] - counts[2]) / sum(counts))
    assert row["nps_low"] == pytest.approx(max(-100, 100 * (middle - half)))
    assert row["nps_high"] == pytest.approx(min(100, 100 * (middle + half)))


@pytest.mark.parametrize(
    ("before", "now", "verdict"),
    [((10, 10, 10), (12, 10, 8), "noise"), ((10, 10, 40), (40, 10, 10), "up"), ((40, 0, 10), (10, 0, 40), "down")],
)
def test_nps_change(ask: Ask, before: tuple[int, int, int], now: tuple[int, int, int], verdict: str) -> None:
    metrics = "nps_change,nps_change_low,nps_change_high,nps_change_verdict"
    row = ask(metrics, answers(*before), answers(*now))[1]
    (m0, v0), (m1, v1) = adjusted(*before), adjusted(*now)
    assert row["nps_change_low"] == pytest.approx(100 * (m1 - m0 - Z * math.sqrt(v0 + v1)))
    assert row["nps_change_high"] == pytest.approx(100 * (m1 - m0 + Z * math.sqrt(v0 + v1)))
    assert row["nps_change_verdict"] == verdict


def test_the_period_before_is_the_calendar_s(ask: Ask) -> None:
    """Without answers in the month before there is nothing to compare with."""
    rows = ask("nps_change,nps_change_verdict", answers(3, 0, 0), {"csat": [1]}, fill=True)
    assert [row["nps_change"] for row in rows] == [None, None]
    assert [row["nps_change_verdict"] for row in rows] == [None, None]


@settings(max_examples=25)
@given(data=st.data())
def test_what_holds_for_any_answers(project: Project, data: st.DataObject) -> None:
    some = st.lists(st.sampled_from([*range(-1, 12), None]), min_size=1, max_size=30)
    first, second = data.draw(some), data.draw(some)
    days = [MONTHS[0]] * len(first) + [MONTHS[1]] * len(second)
    both = [*first, *second]
    types = pa.schema([("responded_at", pa.date32()), ("nps", pa.int64()), ("csat", pa.int64())])
    rows = [{"responded_at": d, "nps": a, "csat": a} for d, a in zip(days, both, strict=True)]
    project.bind("survey", pa.Table.from_pylist(rows, schema=types))
    metrics = "nps,nps_low,nps_high,nps_promoters,nps_passives,nps_detractors,nps_responses,nps_invalid,csat,csat_low,csat_high"
    months = project.query(metrics, "month").arrow().to_pylist()
    [whole] = project.query(metrics, "none").arrow().to_pylist()
    for row, given_answers in zip([*months, whole], [first, second, both], strict=True):
        assert row["nps_promoters"] + row["nps_passives"] + row["nps_detractors"] == row["nps_responses"]
        assert row["nps_responses"] + row["nps_invalid"] == len(given_answers)
        if row["nps"] is not None:
            assert -100 <= row["nps_low"] < row["nps_high"] <= 100
        if row["csat"] is not None:
            assert 0 <= row["csat_low"] <= row["csat"] + 1e-12 and row["csat"] <= row["csat_high"] + 1e-12 <= 1 + 1e-9
    known = [row["nps"] for row in months if row["nps"] is not None]
    if known:
        assert min(known) - 1e-9 <= whole["nps"] <= max(known) + 1e-9


@pytest.mark.parametrize("metrics", ["nps_low,nps_high", "csat_low,csat_high"])
def test_intervals_shrink_with_more_answers(ask: Ask, metrics: str) -> None:
    low, high = metrics.split(",")
    widths = []
    for times in (1, 4, 16, 64):
        column = {"nps": [9, 9, 7, 3] * times} if low == "nps_low" else {"csat": [5, 5, 3, 1] * times}
        [row] = ask(metrics, column)
        widths.append(row[high] - row[low])
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 3 * widths[-1]
