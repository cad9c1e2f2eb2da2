"""The benchmark at a hundredth of its size: every answer is the expert's, and no ratio is out of all proportion.

Ratios of processor time in one process; seconds are never looked at. The bounds that count are those of `make bench`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
EACH, ALL = 12.0, 4.0
"""What one workload and the geometric mean must stay below: fixed costs count for much at this size."""

pytestmark = [pytest.mark.slow, pytest.mark.bench]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        from bench.data import make

        make(folder, 0.01)
    return folder


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.syspath_prepend(ROOT)
    from bench.run import run

    return run


def test_answers_are_the_experts_and_ratios_stay_in_proportion(data: Path, bench: Callable[..., Any]) -> None:
    from bench.measure import geometric_mean

    found = bench(data, None, 2, [], 1)
    assert {one.workload.name: one.cpu.median for one in found if one.cpu.median > EACH} == {}
    assert geometric_mean([one.cpu.median for one in found]) < ALL


def test_an_answer_that_differs_is_told(data: Path, bench: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import sides
    from bench.run import Different

    real = sides.Expert.arrow
    monkeypatch.setattr(
        sides.Expert, "arrow", lambda self, text: real(self, text.replace("lag(revenue, 12)", "lag(revenue, 11)"))
    )
    with pytest.raises(Different, match=r"year_to_date: .*revenue_year_before"):
        bench(data, ["year_to_date"], 1, [], 1)


def test_tables_are_the_same_on_every_run(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    import duckdb

    from bench.data import make

    make(tmp_path, 0.01)
    for table in ("orders", "customers", "spend", "survey", "events"):
        one, other = (f"'{folder / table}.parquet'" for folder in (data, tmp_path))
        assert duckdb.sql(f"FROM {one} EXCEPT ALL FROM {other}").fetchall() == []
        assert (
            duckdb.sql(f"SELECT count(*) FROM {one}").fetchall()
            == duckdb.sql(f"SELECT count(*) FROM {other}").fetchall()
        )


@pytest.mark.parametrize("library", ["polars", "pandas", "chdb"])
def test_others_give_the_experts_answers(library: str, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from importlib import import_module

    from bench.compare import difference
    from bench.run import chosen
    from bench.sides import Expert

    form, expert = import_module(f"bench.others.with_{library}"), Expert(data, 1)
    told = {
        one.name: difference(form.answer(one.name, data), expert.arrow(one.expert), one.keys)
        for one in chosen(list(form.FORMS))
    }
    assert {name: text for name, text in told.items() if text} == {}


def test_a_ratio_is_beyond_its_bound_only_when_its_noise_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)
    from bench.bounds import beyond
    from bench.measure import Ratio

    assert beyond("x", Ratio((1.0, 1.2, 1.3, 1.4, 1.5)), 1.05) == []
    assert beyond("x", Ratio((1.1, 1.2, 1.3, 1.4, 1.5)), 1.05) == ["x: 1.30 (at least 1.10), bound 1.05"]
    # with more pairs the outermost say less
    assert (Ratio((1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6)).low, Ratio((1.0,) + (1.1,) * 8).low) == (1.0, 1.1)
