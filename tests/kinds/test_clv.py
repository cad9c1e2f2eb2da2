"""The kind `clv` against plain Python, quadrature of the model's definition, and the published CDNOW numbers."""

from __future__ import annotations

import datetime as dt
import importlib.util
import itertools
import math
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

import kpiengine
from kpiengine.errors import DataError, DefinitionError, UsageError
from kpiengine.kind import Cte, KindContext, Rows
from kpiengine_plugins.clv import bgnbd, estimate, history, paretonbd, register_kinds
from kpiengine_plugins.clv.kind import Clv

from .conftest import NoCalendar, compiled, given_rows

TYPES = {"customer": "INTEGER", "time": "TIMESTAMP", "amount": "DECIMAL(12,2)", "purchase": "INTEGER"}
OPTIONS = {"customer": "customer_id", "time": "ordered_at", "amount": "amount"}
DAY_ONE = dt.datetime(2024, 2, 26)
MONTH = 365.25 / 12

orders = st.fixed_dictionaries(
    {
        "customer": st.sampled_from([None, 1, 2, 3, 4]),
        "time": st.one_of(st.none(), st.integers(0, 20 * 24).map(lambda h: DAY_ONE + dt.timedelta(hours=h))),
        "amount": st.one_of(st.none(), st.integers(-300, 2500).map(lambda cents: Decimal(cents) / 100)),
        "purchase": st.one_of(st.none(), st.integers(1, 5)),
    }
)


def seen(rows: Sequence[dict[str, Any]], as_of: dt.date | None) -> dict[Any, list[dict[str, Any]]]:
    """The rows of each customer that are not later than `as_of`."""
    kept = defaultdict(list)
    for row in rows:
        if row["customer"] is not None and (as_of is None or row["time"] is None or row["time"].date() <= as_of):
            kept[row["customer"]].append(row)
    return dict(sorted(kept.items()))


def total(rows: Sequence[dict[str, Any]]) -> Decimal:
    return sum((row["amount"] for row in rows if row["amount"] is not None), Decimal(0))


def to_date(rows: Sequence[dict[str, Any]], options: dict[str, Any], as_of: dt.date | None) -> list[dict[str, Any]]:
    """The table of `historical` by loops."""
    table = []
    for customer, own in seen(rows, as_of).items():
        days = [row["time"].date() for row in own if row["time"] is not None]
        named = {row["purchase"] for row in own} - {None}
        table.append(
            {
                "customer_id": customer,
                "orders": len(named) if options.get("order") else len(own),
                "revenue": total(own),
                "first_order": min(days, default=None),
                "last_order": max(days, default=None),
                "clv": pytest.approx(float(total(own)) * options.get("margin", 1.0)),
            }
        )
    return table


@settings(max_examples=50)
@given(
    rows=st.lists(orders, max_size=20),
    variant=st.fixed_dictionaries({}, optional={"order": st.just("order_id"), "margin": st.just(0.35)}),
    as_of=st.sampled_from([None, 5, 40]),
)
def test_value_to_date_is_what_plain_loops_say(run_kind, rows, variant, as_of):
    until = None if as_of is None else (DAY_ONE + dt.timedelta(days=as_of)).date()
    given_as = {"as_of": until} if len(rows) % 2 else {}
    options = OPTIONS | variant | ({} if given_as else {"as_of": until and until.isoformat()})
    found = run_kind(Clv, TYPES, rows, options, entity="customer_id", **given_as)
    assert found == to_date(rows, options, until)


def test_types_of_whole_amounts_are_whole(run_kind):
    rows = [{"customer": 7, "time": DAY_ONE, "amount": 3}]
    types = {"customer": "BIGINT", "time": "DATE", "amount": "INTEGER"}
    (row,) = run_kind(Clv, types, rows, OPTIONS, entity="Customer ID")
    day = DAY_ONE.date()
    assert row == {"Customer ID": 7, "orders": 1, "revenue": 3, "first_order": day, "last_order": day, "clv": 3.0}
    assert type(row["revenue"]) is int


def history_of(own: Sequence[dict[str, Any]], last_day: dt.date) -> tuple[int, int, int, float | None] | None:
    """x, t_x, T (days) and the mean of the repeat days of one customer."""
    days = defaultdict(list)
    for row in own:
        if row["time"] is not None:
            days[row["time"].date()].append(row)
    if not days:
        return None
    first, *repeats = sorted(days)
    mean = statistics.fmean(float(total(days[day])) for day in repeats) if repeats else None
    return len(repeats), (max(days) - first).days, (last_day - first).days, mean


def last_seen(rows: Sequence[dict[str, Any]], as_of: dt.date | None) -> dt.date | None:
    days = [row["time"].date() for own in seen(rows, as_of).values() for row in own if row["time"] is not None]
    return as_of or max(days, default=None)


def summary_of(rows: Sequence[dict[str, Any]], as_of: dt.date | None) -> list[tuple[Any, ...]]:
    """Distinct histories and spends with their customers, by loops."""
    counts: dict[tuple[Any, ...], int] = defaultdict(int)
    for own in seen(rows, as_of).values():
        found = history_of(own, last_seen(rows, as_of) or dt.date.min)
        if found is not None:
            counts[(*found[:3], None)] += 1
            if found[0]:
                counts[(found[0], None, None, round(found[3], 6))] += 1
    return sorted(((*key, count) for key, count in counts.items()), key=repr)


class Asked(Exception):
    """Ends a compilation at the moment at which a kind asks for a summary."""


def asked_of(rows: Sequence[dict[str, Any]], as_of: dt.date | None, dialect: str = "") -> exp.Query:
    """The statement of the summary that `bgnbd` is fitted to."""
    statements = []

    def collect(ctes: Sequence[Cte | Rows]) -> Any:
        statements.append(statement_of(ctes, rows))
        raise Asked

    with pytest.raises(Asked):
        compile_bgnbd({}, collect=collect, as_of=as_of, dialect=dialect)
    return statements[0]


def statement_of(ctes: Sequence[Cte | Rows], rows: Sequence[dict[str, Any]]) -> exp.Query:
    query = exp.select("*").from_(ctes[-1].name)
    for name, step in [("given", given_rows(TYPES, rows)), *((cte.name, cte.query) for cte in ctes)]:
        query = query.with_(name, as_=step, copy=False)
    return query


def compile_bgnbd(options: dict[str, Any], **context: Any) -> Any:
    return compiled(Clv, TYPES, OPTIONS | {"model": "bgnbd"} | options, entity="customer_id", **context)[0]


def rounded(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return sorted((tuple(round(v, 6) if isinstance(v, float) else v for v in row) for row in rows), key=repr)


@settings(max_examples=40)
@given(rows=st.lists(orders, max_size=25), as_of=st.sampled_from([None, 5, 40]))
def test_summary_is_what_plain_loops_say(rows, as_of):
    until = None if as_of is None else (DAY_ONE + dt.timedelta(days=as_of)).date()
    for dialect in ("", "duckdb"):
        found = duckdb.sql(asked_of(rows, until, dialect).sql("duckdb")).fetchall()
        assert rounded(found) == summary_of(rows, until)


def test_a_first_day_is_taken_off_again_only_where_sums_are_exact():
    rows = [{"customer": 1, "time": DAY_ONE, "amount": Decimal(1), "purchase": None}]
    assert "ARG_MIN" in asked_of(rows, None, "duckdb").sql("duckdb")
    made = history.histories(
        KindContext(
            name="kpi", rows="given", calendar=NoCalendar(), options=OPTIONS | {"unit": "week"},
            types=TYPES | {"amount": "DOUBLE"}, dialect="duckdb",
        ),
        None,
    )  # fmt: skip
    assert not [cte for cte in made if "ARG_MIN" in cte.query.sql("duckdb")]


@pytest.mark.parametrize("model", ["bgnbd", "paretonbd"])
def test_a_fit_that_a_sample_leads_to_is_that_of_all(model):
    np = pytest.importorskip("numpy", reason="the models need scipy")
    random_ = np.random.default_rng(3)
    count = 2 * estimate.MANY + 1
    age, time = random_.uniform(10, 100, count), np.zeros(count)
    rate, leave = random_.gamma(0.9, 1 / 8, count), random_.beta(0.9, 2.5, count)
    repeats, last, here = np.zeros(count), np.zeros(count), np.ones(count, dtype=bool)
    for _ in range(60):
        time = time + random_.exponential(1 / np.maximum(rate, 1e-9))
        here &= time <= age
        repeats, last = repeats + here, np.where(here, time, last)
        here &= random_.random(count) >= leave
    order = np.lexsort((age, last, repeats))
    histories = bgnbd.Histories(repeats[order], last[order], age[order], np.ones(count))
    fitting = {"bgnbd": bgnbd, "paretonbd": paretonbd}[model]
    found = fitting.fit(histories)
    whole = estimate.estimate(fitting.Likelihood(histories), [found.values], fitting.NAMES, float(count))
    assert found.values == pytest.approx(whole.values, rel=1e-5)
    assert found.std_errors == pytest.approx(whole.std_errors, rel=1e-4)
    assert found.log_likelihood == pytest.approx(whole.log_likelihood, rel=1e-12)


# -- the models


def buyers(
    count: int = 400, seed: int = 7, r: float = 0.8, alpha: float = 30.0, a: float = 0.8, b: float = 2.5
) -> list[dict[str, Any]]:
    """Orders over a year of customers who behave as the models say (rates per day)."""
    chance = random.Random(seed)
    rows = []
    for customer in range(count):
        rate, leave = chance.gammavariate(r, 1 / alpha), chance.betavariate(a, b)
        spend = 1 / chance.gammavariate(4.0, 1 / 60.0)
        day = float(chance.randrange(200))
        while day < 365:
            amount = Decimal(f"{chance.gammavariate(6.0, 1 / (6 / 20 / spend / 3)):.2f}")
            rows.append({"customer": customer, "time": DAY_ONE + dt.timedelta(days=int(day)), "amount": amount})
            if len(rows) > 1 and rows[-2]["customer"] == customer and chance.random() < leave:
                break
            day += chance.expovariate(rate)
    return [row | {"purchase": None} for row in rows]


class Collecting:
    """Runs steps over given rows on DuckDB, as the core does for a kind."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        import pyarrow as pa

        columns = {name: [row[name] for row in rows] for name in TYPES}
        arrow = {
            "customer": pa.int32(),
            "time": pa.timestamp("us"),
            "amount": pa.decimal128(12, 2),
            "purchase": pa.int32(),
        }
        self.table = pa.table({name: pa.array(values, arrow[name]) for name, values in columns.items()})
        self.asked = 0

    def __call__(self, ctes: Sequence[Cte | Rows]) -> Any:
        self.asked += 1
        return self.rows(ctes)

    def rows(self, ctes: Sequence[Cte | Rows]) -> Any:
        query = exp.select("*").from_(ctes[-1].name)
        for cte in ctes:
            query = query.with_(cte.name, as_=cte.query, copy=False)
        connection = duckdb.connect()
        connection.register("given", self.table)
        return connection.sql(query.sql("duckdb")).to_arrow_table()


def table_of(rows: Sequence[dict[str, Any]], options: dict[str, Any], **context: Any) -> list[dict[str, Any]]:
    collecting = Collecting(rows)
    made = compile_bgnbd(options, collect=collecting, **context)
    found = collecting.rows(made.ctes).to_pylist()
    assert collecting.asked == 1
    assert list(found[0]) == [column.name for column in made.columns]
    return sorted(found, key=lambda row: row[made.order[0]]) if made.order else found


def fit_of(rows: Sequence[dict[str, Any]], options: dict[str, Any] | None = None, **context: Any) -> dict[str, float]:
    return {row["parameter"]: row["value"] for row in table_of(rows, options or {}, table="fit", **context)}


EARLIER = {"bgnbd": 0, "mbgnbd": 1}
"""Chances to leave before the first repeat purchase."""


def stays_with(fit: dict[str, float], model: str, x: int, last: float, age: float) -> float:
    """P(alive): the model's likelihood of this history with being a customer yet, and without."""
    from scipy.integrate import quad

    if model == "paretonbd":

        def left_at(time: float) -> float:
            rate = ((fit["alpha"] + age) / (fit["alpha"] + time)) ** (fit["r"] + x)
            return rate * fit["s"] / (fit["beta"] + time) * ((fit["beta"] + age) / (fit["beta"] + time)) ** fit["s"]

        return 1 / (1 + quad(left_at, last, age, epsrel=1e-12)[0])
    chances = EARLIER[model] + x
    stays = (fit["alpha"] + age) ** -(fit["r"] + x)
    left = fit["a"] / (fit["b"] + chances - 1) * (fit["alpha"] + last) ** -(fit["r"] + x) if chances else 0.0
    return stays / (stays + left)


def still_buys(fit: dict[str, float], x: int, age: float, within: float, model: str = "bgnbd") -> float:
    """Purchases of one who is a customer yet: the mean over p of (1 - E[exp(-λ p t)]) / p, by quadrature.

    Pareto/NBD: the mean of λ times that of (1 - exp(-μ t)) / μ.
    """
    from scipy.integrate import quad

    if model == "paretonbd":
        s, beta = fit["s"], fit["beta"] + age

        def lasts(mu: float) -> float:
            return -math.expm1(-mu * within) / mu * math.exp(s * math.log(beta * mu) - beta * mu - math.lgamma(s)) / mu

        times = [0, 1e-6, 1e-4, 1e-2, 0.1, 1, 10, 100]
        mean = sum(quad(lasts, low, high, limit=200)[0] for low, high in itertools.pairwise(t / beta for t in times))
        return (fit["r"] + x) / (fit["alpha"] + age) * mean
    leaves, stays = fit["a"], fit["b"] + EARLIER[model] + x
    scale = math.lgamma(leaves + stays) - math.lgamma(leaves) - math.lgamma(stays)

    def bought(odds: float) -> float:
        """Over the logarithm of p's odds, where the density is smooth."""
        p, rest = 1 / (1 + math.exp(-odds)), 1 / (1 + math.exp(odds))
        within_p = -math.expm1(-(fit["r"] + x) * math.log1p(p * within / (fit["alpha"] + age))) / p
        return within_p * math.exp(scale + leaves * math.log(p) + stays * math.log(rest))

    ends = [-700, -150, -40, -15, -6, -2, 2, 6, 15, 40]
    return sum(quad(bought, low, high, limit=200)[0] for low, high in itertools.pairwise(ends))


def expected(rows: Sequence[dict[str, Any]], fit: dict[str, float], options: dict[str, Any]) -> list[dict[str, Any]]:
    """The table of a model from its parameters, each customer alone."""
    per, model = fit["unit_days"], options.get("model", "bgnbd")
    months, rate = options.get("months", 12), options.get("discount", 0.0)
    last_day = last_seen(rows, None)
    assert last_day is not None
    table = []
    for row, own in zip(to_date(rows, options, None), seen(rows, None).values(), strict=True):
        x, last, age, mean = history_of(own, last_day) or pytest.fail("no day")
        last, age = last / per, age / per
        alive = stays_with(fit, model, x, last, age)
        until = [alive * still_buys(fit, x, age, month * MONTH / per, model) for month in range(months + 1)]
        gains = zip(range(1, months + 1), until, until[1:], strict=False)
        discounted = sum((now - before) / (1 + rate) ** (month / 12) for month, before, now in gains)
        value = fit["p"] * (fit["v"] + (x * mean if x else 0)) / (fit["p"] * x + fit["q"] - 1)
        row |= {"p_alive": alive, "expected_orders": until[-1], "expected_value": value}
        row["clv"] = options.get("margin", 1.0) * value * discounted
        table.append({name: pytest.approx(v, rel=1e-6) if isinstance(v, float) else v for name, v in row.items()})
    return table


MODELS = ("bgnbd", "mbgnbd", "paretonbd")


@pytest.mark.parametrize("unit", ["week", "day"])
@pytest.mark.parametrize("model", MODELS)
def test_expectations_are_those_of_the_model(model, unit):
    rows = buyers(100)
    told = {"model": model, "horizon": "3 months", "discount": 0.2, "margin": 0.4, "unit": unit}
    fit = fit_of(rows, told)
    assert table_of(rows, told) == expected(rows, fit, told | {"months": 3})


@pytest.mark.engine
@pytest.mark.parametrize("model", MODELS)
def test_sail_scores_the_same(run_on_sail, model):
    rows = buyers(60)[:150]
    told = OPTIONS | {"model": model, "discount": 0.1}
    context = {"collect": Collecting(rows), "entity": "customer_id"}
    found = run_on_sail(Clv, TYPES, rows, told, **context)
    right = table_of(rows, {"model": model, "discount": 0.1})
    approximately = [
        {n: pytest.approx(v, rel=1e-9) if isinstance(v, float) else v for n, v in r.items()} for r in right
    ]
    assert found == approximately


def test_parameters_come_back_from_data_made_with_them():
    truth = {"r": 0.8, "alpha": 30.0, "a": 0.8, "b": 2.5}
    rows = table_of(buyers(3000), {"unit": "day"}, table="fit")
    fit = {row["parameter"]: (row["value"], row["std_error"]) for row in rows}
    for name, value in truth.items():
        # A day's purchases are one, so that a little is lost: hence four errors, and a tenth of the value.
        assert abs(fit[name][0] - value) < 4 * fit[name][1] + 0.1 * value, name
        assert 0 < fit[name][1] < value
    assert fit["customers"] == (3000, None)


@pytest.mark.parametrize("model", MODELS)
def test_order_of_rows_never_matters(model):
    rows = table_of(buyers(200), {"model": model}, table="fit")
    again = table_of(buyers(200)[::-1], {"model": model}, table="fit")
    for one, other in zip(rows, again, strict=True):
        assert one["value"] == pytest.approx(other["value"], rel=1e-9), one["parameter"]
        assert (one["std_error"] or 0.0) == pytest.approx(other["std_error"] or 0.0, rel=1e-8), one["parameter"]


def test_unit_of_time_changes_alpha_and_nothing_else():
    rows = buyers(200)
    weeks, days = fit_of(rows, {"unit": "week"}), fit_of(rows, {"unit": "day"})
    assert days["alpha"] == pytest.approx(7 * weeks["alpha"], rel=1e-5)
    assert days["b"] == pytest.approx(weeks["b"], rel=1e-4)
    by_week, by_day = (table_of(rows, {"unit": unit, "discount": 0.1}) for unit in ("week", "day"))
    for one, other in zip(by_week, by_day, strict=True):
        assert one["clv"] == pytest.approx(other["clv"], rel=1e-5)


def test_gradients_are_the_slopes():
    import numpy as np

    from kpiengine_plugins.clv import bgnbd, gammagamma, paretonbd

    x, last, age = (
        np.array(values, dtype=float) for values in ([0, 1, 3, 3, 40], [0, 2, 5, 9, 30], [4, 9, 9, 9.5, 31])
    )
    histories = bgnbd.Histories(x, last, age, np.array([5.0, 1, 2, 1, 1]))
    spends = gammagamma.Spends(x[1:], np.array([0.5, 12, 7, 400]), np.array([1.0, 2, 1, 1]))
    for objective, point in (
        (bgnbd.Likelihood(histories), [0.3, 5, 0.7, 2]),
        (bgnbd.Likelihood(histories, 1), [0.3, 5, 0.7, 2]),
        (paretonbd.Likelihood(histories), [0.3, 5, 0.7, 2]),
        (paretonbd.Likelihood(histories), [0.6, 11, 1.3, 90]),
        (gammagamma.Likelihood(spends), [6, 4, 15]),
    ):
        logs = np.log(np.array(point, dtype=float))
        slopes = [(objective(logs + d)[0] - objective(logs - d)[0]) / 2e-6 for d in 1e-6 * np.eye(len(logs))]
        assert objective(logs)[1] == pytest.approx(slopes, abs=1e-7)


@pytest.mark.parametrize("earlier", [0, 1])
def test_likelihood_of_one_history_is_that_of_the_definition(earlier):
    """∬ λ^x (1-p)^(n-1) ((1-p) e^(-λT) + p e^(-λ t_x)) over λ ~ Gamma and p ~ Beta, by quadrature; n chances to leave."""
    import numpy as np
    from scipy.integrate import dblquad

    from kpiengine_plugins.clv import bgnbd

    r, alpha, a, b, x, last, age = 1.3, 4.0, 1.6, 2.5, 2, 3.0, 5.0
    scale = r * math.log(alpha) - math.lgamma(r) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)

    def density(rate: float, p: float) -> float:
        ends = (1 - p) * math.exp(-rate * age) + p * math.exp(-rate * last)
        weight = math.exp(scale - alpha * rate) * rate ** (r - 1) * p ** (a - 1) * (1 - p) ** (b - 1)
        return rate**x * (1 - p) ** (earlier + x - 1) * ends * weight

    right = math.log(dblquad(density, 0, 1, 0, 12)[0])
    one = bgnbd.Likelihood(bgnbd.Histories(*(np.array([float(v)]) for v in (x, last, age, 1))), earlier)
    assert -one(np.log([r, alpha, a, b]))[0] == pytest.approx(right, abs=1e-6)


@pytest.mark.parametrize(("x", "last"), [(0, 0.0), (2, 3.0)])
def test_likelihood_of_pareto_nbd_is_that_of_the_definition(x, last):
    """∬ λ^x (μ e^(-(λ+μ) t_x) + λ e^(-(λ+μ) T)) / (λ + μ) over λ ~ Gamma and μ ~ Gamma, by quadrature."""
    import numpy as np
    from scipy.integrate import dblquad

    from kpiengine_plugins.clv import bgnbd, paretonbd

    r, alpha, s, beta, age = 1.3, 4.0, 1.6, 2.5, 5.0
    scale = r * math.log(alpha) - math.lgamma(r) + s * math.log(beta) - math.lgamma(s)

    def density(rate: float, leaving: float) -> float:
        both = rate + leaving
        ends = (leaving * math.exp(-both * last) + rate * math.exp(-both * age)) / both
        weight = math.exp(scale - alpha * rate - beta * leaving) * rate ** (r - 1) * leaving ** (s - 1)
        return rate**x * ends * weight

    right = math.log(dblquad(density, 0, 16, 0, 12)[0])
    one = paretonbd.Likelihood(bgnbd.Histories(*(np.array([float(v)]) for v in (x, last, age, 1))))
    assert -one(np.log([r, alpha, s, beta]))[0] == pytest.approx(right, abs=1e-6)


@pytest.mark.parametrize("parameters", [(0.3, 5, 0.7, 2), (0.5, 100, 0.2, 0.1), (2, 0.05, 3, 50), (20, 1, 0.01, 1e-4)])
@pytest.mark.parametrize(
    "history", [(0, 0, 4), (0, 0, 150), (1, 0.14, 40), (40, 30, 31), (300, 0.14, 150), (300, 140, 150), (5, 9, 9)]
)
def test_chance_of_being_alive_is_right_for_histories_of_any_kind(parameters, history):
    import numpy as np

    from kpiengine_plugins.clv import bgnbd, paretonbd

    one = bgnbd.Histories(*(np.array([float(v)]) for v in (*history, 1)))
    (found,) = paretonbd.probabilities_alive(parameters, one)
    fit = dict(zip(paretonbd.NAMES, parameters, strict=True))
    # From t_x on the integrand falls within some thousandth of a unit: found in pieces.
    assert found == pytest.approx(alive_in_pieces(fit, *history), rel=1e-9)


def alive_in_pieces(fit: dict[str, float], x: int, last: float, age: float) -> float:
    """P(alive) under Pareto/NBD; the integral over the logarithm of τ - t_x, in pieces."""
    from scipy.integrate import quad

    def left_at(log_past: float) -> float:
        past = math.exp(log_past)
        rate = (fit["r"] + x) * math.log((fit["alpha"] + age) / (fit["alpha"] + last + past))
        stay = fit["s"] * math.log((fit["beta"] + age) / (fit["beta"] + last + past))
        return fit["s"] / (fit["beta"] + last + past) * past * math.exp(min(rate + stay, 700))

    if age == last:
        return 1.0
    ends = [math.log(age - last) - n for n in range(40, -1, -1)]
    left = sum(quad(left_at, low, high, epsabs=0, epsrel=1e-11)[0] for low, high in itertools.pairwise(ends))
    return 1 / (1 + left)


@pytest.mark.parametrize("a", [0.05, 0.8, 1.0, 30.0])
@pytest.mark.parametrize("x", [0, 2, 300])
def test_forecast_is_right_where_the_closed_form_is_not(a, x):
    import numpy as np

    from kpiengine_plugins.clv.bgnbd import expected_purchases

    fit = {"r": 0.24, "alpha": 4.4, "a": a, "b": 2.4}
    found = expected_purchases(tuple(fit.values()), x, np.array([0.0, 38.86]), np.array([4.3, 1500.0]))
    right = [[still_buys(fit, x, age, within) for within in (4.3, 1500.0)] for age in (0.0, 38.86)]
    assert found.tolist() == [pytest.approx(row, rel=1e-6) for row in right]


def test_searching_a_sample_first_finds_the_same(monkeypatch):
    rows = buyers(300)
    whole = fit_of(rows)
    monkeypatch.setattr("kpiengine_plugins.clv.estimate.MANY", 20)
    assert fit_of(rows) == {name: pytest.approx(value, rel=1e-6) for name, value in whole.items()}


# -- what the data cannot carry


def regular(count: int, days: Sequence[int], amount: Any) -> list[dict[str, Any]]:
    return [
        {"customer": c, "time": DAY_ONE + dt.timedelta(days=d), "amount": Decimal(str(amount(c, d))), "purchase": None}
        for c in range(count)
        for d in days
    ]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], "0 of 0 customers bought on more than one day"),
        (regular(500, [3], lambda c, d: c + 1), "0 of 500 customers bought on more than one day"),
        (regular(9, [3, 9], lambda c, d: c + 1) + buyers(1), "needs 10 at least"),
        (regular(40, [0, 5, 11], lambda c, d: 7), "amount has no variance"),
        (regular(40, [0, 5, 11], lambda c, d: -1 - c), "0 customers with a repeat purchase spent more than 0"),
        (regular(40, [0, 5, 11], lambda c, d: c + d + 1), "BG/NBD does not converge"),
    ],
)
def test_data_that_cannot_carry_the_model_are_refused(rows, told):
    with pytest.raises(DataError, match=f'"kpi": .*{told}.*model: historical'):
        table_of(rows, {})


@pytest.mark.parametrize(("model", "title"), [("mbgnbd", "MBG/NBD"), ("paretonbd", "Pareto/NBD")])
def test_other_models_are_refused_by_their_name(model, title):
    with pytest.raises(DataError, match=f"{title} does not converge on these data"):
        table_of(regular(40, [0, 5, 11], lambda c, d: c + d + 1), {"model": model})
    with pytest.raises(DataError, match=f"model: {model} needs 10 at least"):
        table_of([], {"model": model})


def test_customers_whose_repeat_days_brought_nothing_have_no_expected_value():
    rows = buyers(200)
    back = next(row["customer"] for row in rows if history_of(seen(rows, None)[row["customer"]], dt.date.max)[0] > 1)
    refunded = [row | {"amount": Decimal(-5)} if row["customer"] == back else row for row in rows]
    found = {row["customer_id"]: row for row in table_of(refunded, {})}
    assert found[back]["expected_value"] is None and found[back]["clv"] is None
    assert found[back]["expected_orders"] > 0
    assert sum(row["clv"] is None for row in found.values()) == 1
    whole, rest = fit_of(rows), fit_of(refunded)
    assert rest["spenders"] == whole["spenders"] - 1 == rest["repeaters"] - 1


def test_without_scipy_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(DataError, match=r'pip install "kpiengine\[clv\]"'):
        compile_bgnbd({}, collect=lambda ctes: pytest.fail("rows were read"))


def test_historical_has_no_fit(run_kind):
    with pytest.raises(UsageError, match="model: bgnbd"):
        run_kind(Clv, TYPES, [], OPTIONS, entity="customer_id", table="fit")


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"horizon": "12 monts"}, "horizon"),
        ({"horizon": "soon"}, "horizon"),
        ({"margin": 0.0}, "margin"),
        ({"margin": math.nan}, "margin"),
        ({"discount": -0.1}, "discount"),
        ({"as_of": "yesterday"}, "as_of"),
    ],
)
def test_wrong_options_are_told(options, wrong):
    defaults = {name: option.default for name, option in Clv.options.items()}
    assert list(Clv().check(defaults | OPTIONS | options)) == [wrong]


def test_it_is_registered():
    assert register_kinds() == [Clv]


# -- CDNOW, through a project


def project(folder: Path, metrics: str, csv: str) -> kpiengine.Project:
    (folder / "metrics").mkdir()
    (folder / "orders.csv").write_text(csv)
    (folder / "kpi.yaml").write_text("sources:\n  orders: {from: orders.csv, time: ordered_at}\n")
    (folder / "metrics" / "value.yaml").write_text(f"metrics:\n{metrics}\n")
    return kpiengine.open(folder)


SOURCE = "kind: clv, source: orders, customer: customer_id, time: ordered_at, amount: amount"


@pytest.fixture(scope="module")
def cdnow(tmp_path_factory):
    """A project over CDNOW's sample, whose calibration period ends on 30 September 1997."""
    # Of the package lifetimes the data alone is read: it is installed without what its code would need.
    found = importlib.util.find_spec("lifetimes")
    assert found and found.submodule_search_locations, "CDNOW's sample is missing: make install"
    sample = Path(found.submodule_search_locations[0]) / "datasets" / "CDNOW_sample.txt"
    lines = [line.split() for line in sample.read_text().splitlines() if line.strip()]
    csv = "\n".join(f"{own},{d[:4]}-{d[4:6]}-{d[6:]},{amount}" for _, own, d, _, amount in lines)
    calibration = f"{SOURCE}, model: bgnbd, as_of: 1997-09-30"
    metrics = f"  life: {{{calibration}, horizon: 39 weeks}}\n  daily: {{{calibration}, unit: day}}\n"
    for model in ("mbgnbd", "paretonbd"):
        metrics += f"  {model}: {{{SOURCE}, model: {model}, as_of: 1997-09-30, horizon: 39 weeks}}\n"
    metrics += f"  pareto_now: {{{SOURCE}, model: paretonbd}}\n"
    metrics += "  revenue: {source: orders, formula: sum(amount)}"
    with project(tmp_path_factory.mktemp("cdnow"), metrics, f"customer_id,ordered_at,amount\n{csv}") as opened:
        yield opened


def test_cdnow_parameters_are_the_published_ones(cdnow):
    rows = cdnow.query("life.fit").arrow().to_pylist()
    fit = {row["parameter"]: row["value"] for row in rows}
    # Fader, Hardie, Lee 2005a (BG/NBD) and 2005b, 2013 (Gamma-Gamma).
    assert fit["r"] == pytest.approx(0.243, abs=0.0005)
    assert fit["alpha"] == pytest.approx(4.414, abs=0.0005)
    assert fit["a"] == pytest.approx(0.793, abs=0.0005)
    assert fit["b"] == pytest.approx(2.426, abs=0.0005)
    assert fit["log_likelihood"] == pytest.approx(-9582.4, abs=0.05)
    assert (fit["p"], fit["q"], fit["v"]) == pytest.approx((6.25, 3.74, 15.44), abs=0.006)
    assert (fit["customers"], fit["repeaters"], fit["spenders"]) == (2357, 946, 946)
    assert all((row["std_error"] is not None) == (row["parameter"] in set("rabpqv") | {"alpha"}) for row in rows)


def test_cdnow_expectations_are_the_published_ones(cdnow):
    rows = cdnow.query("life").arrow().to_pylist()
    first = rows[0]  # x = 2, t_x = 30.43, T = 38.86
    assert (first["orders"], first["first_order"], first["last_order"]) == (3, dt.date(1997, 1, 1), dt.date(1997, 8, 2))
    assert first["expected_orders"] == pytest.approx(1.226, abs=0.0005)
    assert all(row["p_alive"] == 1 for row in rows if row["first_order"] == row["last_order"])
    assert len(rows) == 2357


@pytest.mark.parametrize(
    ("model", "names", "values", "log_likelihood"),
    [
        # BTYDplus (Platzer) and lifetimes agree on these for MBG/NBD; the log-likelihood is that of lifetimes there.
        ("mbgnbd", ("r", "alpha", "a", "b"), (0.525, 6.183, 0.891, 1.614), -9582.13),
        # Fader, Hardie, Lee 2005a, table 2: log-likelihood -9595.0.
        ("paretonbd", ("r", "alpha", "s", "beta"), (0.553, 10.578, 0.606, 11.669), -9594.98),
    ],
)
def test_cdnow_parameters_of_the_other_models(cdnow, model, names, values, log_likelihood):
    rows = cdnow.query(f"{model}.fit").arrow().to_pylist()
    assert tuple(row["parameter"] for row in rows[:4]) == names
    assert tuple(row["value"] for row in rows[:4]) == pytest.approx(values, abs=0.0015)
    fit = {row["parameter"]: row["value"] for row in rows}
    assert fit["log_likelihood"] == pytest.approx(log_likelihood, abs=0.01)
    assert fit["p"] == pytest.approx(6.25, abs=0.006)


def test_cdnow_expectations_of_the_other_models(cdnow):
    """x = 2, t_x = 30.43, T = 38.86, over 39 weeks: what lifetimes gives with the same parameters."""
    modified, pareto = (cdnow.query(model).arrow().to_pylist()[0] for model in ("mbgnbd", "paretonbd"))
    assert (modified["p_alive"], modified["expected_orders"]) == pytest.approx((0.7061, 1.2627), abs=0.0005)
    assert (pareto["p_alive"], pareto["expected_orders"]) == pytest.approx((0.8691, 1.4551), abs=0.0005)


def test_cdnow_customers_who_never_came_back_may_have_left(cdnow):
    """One who bought on 1 January 1997 alone (T = 38.86): BG/NBD is sure of them, the others are not."""
    for model, low, high in (("life", 1, 1), ("mbgnbd", 0.38, 0.40), ("paretonbd", 0.29, 0.30)):
        rows = cdnow.query(model, where="orders = 1 and first_order = date '1997-01-01'").arrow().to_pylist()
        assert rows and all(low <= row["p_alive"] <= high for row in rows)


def test_rows_that_a_model_made_are_read_and_not_written_out(cdnow, monkeypatch):
    """Thousands of them would make a statement of megabytes."""
    written = []
    query = Rows.query.fget
    monkeypatch.setattr(Rows, "query", property(lambda rows: written.append(rows.table.num_rows) or query(rows)))
    assert len(cdnow.query("pareto_now").arrow()) == 2357
    assert set(written) == {0}  # for their types


def test_unit_of_a_project_is_the_kinds_and_not_the_metrics(cdnow):
    fit = {row["parameter"]: row["value"] for row in cdnow.query("daily.fit").arrow().to_pylist()}
    assert fit["unit_days"] == 1
    assert fit["alpha"] == pytest.approx(7 * 4.4136, abs=0.01)
    (daily,) = (metric for metric in cdnow.list() if metric.name == "daily")
    assert daily.unit is None


def test_as_of_of_a_query_moves_the_last_day(cdnow):
    fit = {row["parameter"]: row["value"] for row in cdnow.query("life.fit", as_of="1997-06-30").arrow().to_pylist()}
    assert fit["repeaters"] < 946


def test_metrics_are_filtered_by_what_is_expected(cdnow):
    (likely,) = cdnow.query("revenue", where="life.p_alive > 0.9").arrow().to_pylist()
    (unlikely,) = cdnow.query("revenue", where="life.p_alive <= 0.9").arrow().to_pylist()
    (whole,) = cdnow.query("revenue").arrow().to_pylist()
    assert 0 < likely["revenue"] < whole["revenue"] == pytest.approx(likely["revenue"] + unlikely["revenue"])


def test_historical_through_a_project(tmp_path):
    csv = "customer_id,ordered_at,amount\n1,2026-01-05,10\n1,2026-02-01,20\n2,2026-03-01,5\n,2026-03-02,99\n"
    with project(tmp_path, f"  past: {{{SOURCE}, margin: 0.5}}", csv) as opened:
        rows = opened.query("past", as_of="2026-02-15").arrow().to_pylist()
    assert [(row["customer_id"], row["orders"], row["revenue"], row["clv"]) for row in rows] == [(1, 2, 30, 15.0)]


def test_wrong_unit_is_told_by_its_place(tmp_path):
    with pytest.raises(DefinitionError, match=r'value.yaml:2:.*"unit" of metric "past".*one of week, day'):
        project(tmp_path, f"  past: {{{SOURCE}, unit: month}}", "customer_id,ordered_at,amount\n1,2026-01-05,10\n")
