"""The engine agrees with plain Python loops, whatever the tables hold and whatever is asked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml
from hypothesis import event, given, settings
from hypothesis import strategies as st

import kpiengine
from kpiengine.passes import ENGINES, PASSES
from kpiengine.testing import difference
from kpiengine.testing.compare import rows_of

from .oracle import All, Compare, Either, IsNull, Not, Question, Table, answer
from .oracle.answer import column_names
from .oracle.pool import AROUND, COSTS, CUSTOMERS, DERIVED, FILTERED, METRICS, ORDERS
from .oracle.texts import condition_text, metric_yaml

if TYPE_CHECKING:
    from kpiengine.project import Project

SCHEMAS = {
    "orders": {
        "order_id": pa.int64(),
        "customer_id": pa.int64(),
        "status": pa.string(),
        "channel": pa.string(),
        "amount": pa.decimal128(10, 2),
        "qty": pa.int64(),
        "price": pa.float64(),
        "ordered_at": pa.timestamp("us"),
    },
    "costs": {
        "spent_at": pa.date32(),
        "channel": pa.string(),
        "customer_id": pa.int64(),
        "amount": pa.decimal128(10, 2),
    },
    "customers": {
        "customer_id": pa.int64(),
        "channel": pa.string(),
        "region_id": pa.int64(),
        "acquired_at": pa.date32(),
    },
    "regions": {"region_id": pa.int64(), "zone": pa.string()},
}
SOURCES: dict[str, dict[str, Any]] = {
    "orders": {"time": "ordered_at", "joins": {"customers": "customer_id"}},
    "costs": {"time": "spent_at", "joins": {"customers": "customer_id"}},
    "customers": {"key": "customer_id", "time": "acquired_at", "joins": {"regions": "region_id"}},
    "regions": {"key": "region_id"},
}
World = dict[str, Table]
CLUSTER = "always," + ",".join(each.__name__ for each in ENGINES["spark"])
CHOSEN = ["none", "always", "always", CLUSTER, *(f"always,{each.__name__}" for each in PASSES)]
FORMS = st.sampled_from(CHOSEN)
"""Plans as they are made, after all passes, and after each alone."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with every metric of the pool, whose tables are bound for each example."""
    with opened(tmp_path_factory.mktemp("oracle"), {}) as found:
        assert [str(p) for p in found.check()] == []
        yield found


@pytest.fixture(scope="module")
def saturday_project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """The same, where weeks start on Saturday."""
    with opened(tmp_path_factory.mktemp("saturday"), {"week_starts": "saturday"}) as found:
        yield found


def opened(folder: Path, settings: dict[str, Any]) -> Project:
    """A project with every metric of the pool, made in a folder."""
    for name, schema in SCHEMAS.items():
        pyarrow.parquet.write_table(pa.schema(list(schema.items())).empty_table(), folder / f"{name}.parquet")
    sources = {name: {"from": f"{name}.parquet", **spec} for name, spec in SOURCES.items()}
    metrics = {name: metric_yaml(metric) for name, metric in METRICS.items()}
    (folder / "kpi.yaml").write_text(yaml.safe_dump({**settings, "sources": sources}, sort_keys=False))
    (folder / "metrics").mkdir()
    (folder / "metrics" / "pool.yaml").write_text(yaml.safe_dump({"metrics": metrics}, sort_keys=False))
    return kpiengine.open(folder)


# -- tables


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(strategy, strategy, strategy, st.none())


# Month ends, a leap day, and days enough for look-backs to meet something.
MARKED = (
    "2023-01-31",
    "2023-02-28",
    "2023-12-31",
    "2024-01-01",
    "2024-01-31",
    "2024-02-29",
    "2024-03-01",
    "2024-03-31",
)
DAYS = st.one_of(
    st.sampled_from([dt.date.fromisoformat(day) for day in MARKED]),
    st.dates(dt.date(2023, 12, 20), dt.date(2024, 4, 10)),
)
TIMES = st.sampled_from([dt.time(), dt.time(12, 30), dt.time(23, 59, 59, 999999)])
CHANNELS = st.sampled_from(["x", "y", None])
CENTS = st.integers(-2000, 5000).map(lambda cents: Decimal(cents).scaleb(-2))
ORDER = st.fixed_dictionaries(
    {
        "order_id": maybe(st.integers(1, 3)),
        "customer_id": st.sampled_from([1, 2, 3, 9, None]),
        "status": st.sampled_from(["a", "b", None]),
        "channel": CHANNELS,
        "amount": maybe(CENTS),
        "qty": maybe(st.integers(-2, 5)),
        "price": maybe(st.integers(-8, 20).map(lambda quarters: quarters / 4)),
        "ordered_at": maybe(st.builds(dt.datetime.combine, DAYS, TIMES)),
    }
)
COST = st.fixed_dictionaries(
    {
        "spent_at": maybe(DAYS),
        "channel": CHANNELS,
        "customer_id": st.sampled_from([1, 2, 9, None]),
        "amount": maybe(CENTS),
    }
)


@st.composite
def keyed(draw: st.DrawFn, key: str, others: dict[str, st.SearchStrategy[Any]]) -> list[dict[str, Any]]:
    """Rows with unique keys, and some without one."""
    keys: list[int | None] = [k for k in (1, 2, 3) if draw(st.booleans())]
    keys += [None] * draw(st.integers(0, 2))
    return [{key: k, **{name: draw(strategy) for name, strategy in others.items()}} for k in keys]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    rows: dict[str, list[dict[str, Any]]] = {
        "orders": draw(st.lists(ORDER, max_size=10)),
        "costs": draw(st.lists(COST, max_size=5)),
        "customers": draw(
            keyed(
                "customer_id",
                {"channel": CHANNELS, "region_id": st.sampled_from([1, 2, 9, None]), "acquired_at": maybe(DAYS)},
            )
        ),
        "regions": draw(keyed("region_id", {"zone": st.sampled_from(["n", "s", None])})),
    }
    if rows["orders"] and draw(st.booleans()):  # a row that is there twice counts twice
        rows["orders"].append(rows["orders"][0])
    return {
        name: Table(
            name,
            rows[name],
            key=spec.get("key"),
            time=spec.get("time"),
            joins={to: (to, on) for to, on in spec.get("joins", {}).items()},
        )
        for name, spec in SOURCES.items()
    }


# -- questions

EVERYWHERE = [("channel",), ("customers", "channel"), ("customers", "regions", "zone")]
PATHS = st.sampled_from(EVERYWHERE)
SIMPLE = st.one_of(
    st.builds(
        Compare, st.sampled_from(EVERYWHERE[:2]), st.sampled_from(["=", "<>", ">="]), st.sampled_from(["x", "y"])
    ),
    st.builds(Compare, st.just(EVERYWHERE[2]), st.sampled_from(["=", "<>"]), st.sampled_from(["n", "s"])),
    st.builds(IsNull, PATHS),
)
CONDITIONS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(st.builds(Not, inner), st.builds(All, inner, inner), st.builds(Either, inner, inner)),
    max_leaves=3,
)
PERIODS = st.sampled_from(["day", "week", "month", "quarter", "year"])
# The order of these is exact: nothing that two engines may round to two sides of each other.
ORDERABLE = {
    "orders_n",
    "amount",
    "buyers",
    "pieces",
    "worth",
    "priced",
    "cost",
    "entries",
    "customers_n",
    "north_amount",
}


@st.composite
def questions(
    draw: st.DrawFn, names: list[str], periods: st.SearchStrategy[str | None], week_starts: int = 0
) -> Question:
    metrics = tuple(draw(st.lists(st.sampled_from(names), min_size=1, max_size=4, unique=True)))
    by: list[tuple[str, ...]] = draw(st.lists(PATHS, max_size=2, unique=True))
    period = draw(periods)
    if period is not None:
        by.insert(draw(st.integers(0, len(by))), (period,))
    where = tuple(draw(st.lists(CONDITIONS, max_size=2)))
    since, until = draw(st.sampled_from([(False, False), (False, False), (True, False), (False, True), (True, True)]))
    first = st.sampled_from([dt.date(2024, 1, 1), dt.date(2024, 2, 15)])
    last = st.sampled_from([dt.date(2024, 4, 1), dt.date(2024, 3, 10)])
    orderable = sorted(ORDERABLE & set(metrics))
    order = draw(st.sampled_from([None, *((name, down) for name in orderable for down in (True, False))]))
    return Question(
        metrics,
        tuple(by),
        where,
        since=draw(first) if since else None,
        until=draw(last) if until else None,
        descending=order,
        limit=draw(st.sampled_from([None, None, None, 1, 3])),
        totals=draw(st.sampled_from([False, False, True])),
        fill=period is not None and draw(st.sampled_from([False, False, True])),
        as_of=draw(st.sampled_from([None, None, None, dt.date(2024, 2, 29)])),
        having=draw(st.sampled_from([None, None, *((name, op, 1) for name in orderable for op in (">", "<="))])),
        week_starts=week_starts,
    )


PLAIN = sorted([*ORDERS, *FILTERED])
SEVERAL = sorted([*ORDERS, *FILTERED, *COSTS, *CUSTOMERS, *DERIVED])


def agree(project: Project, world: World, question: Question, form: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KPI_PASSES", form)
        compare(project, world, question)


def compare(project: Project, world: World, question: Question) -> None:
    for name, table in world.items():
        schema = pa.schema(list(SCHEMAS[name].items()))
        project.bind(name, pa.Table.from_pylist(table.rows, schema=schema))
    order = None
    if question.descending is not None:
        order = f"{question.descending[0]}:{'desc' if question.descending[1] else 'asc'}"
    result = project.query(
        list(question.metrics),
        by=[".".join(path) for path in question.by] or "none",
        where=[condition_text(c) for c in question.where],
        since=question.since,
        until=question.until,
        order=order,
        limit=question.limit,
        totals=question.totals,
        fill=question.fill,
        as_of=question.as_of,
        having=None if question.having is None else " ".join(map(str, question.having)),
    )
    expected = [tuple(column_names(question)), *answer(world, METRICS, question)]
    event("no rows" if len(expected) == 1 else "one row" if len(expected) == 2 else "rows")
    differs = difference(rows_of(result.arrow()), expected)
    assert differs is None, f"{differs}\n{result.sql}"


@settings(max_examples=100)
@given(worlds(), questions(PLAIN, st.one_of(st.none(), PERIODS)), FORMS)
def test_one_source(project: Project, world: World, question: Question, form: str) -> None:
    agree(project, world, question, form)


@settings(max_examples=100)
@given(worlds(), questions(SEVERAL, st.one_of(st.none(), PERIODS)), FORMS)
def test_several_sources(project: Project, world: World, question: Question, form: str) -> None:
    agree(project, world, question, form)


@settings(max_examples=120)
@given(worlds(), questions(sorted(AROUND), st.just("month")), FORMS)
def test_time_functions_by_month(project: Project, world: World, question: Question, form: str) -> None:
    agree(project, world, question, form)


@settings(max_examples=40)
@given(
    worlds(),
    questions(
        sorted(n for n in AROUND if n.startswith(("running", "ytd", "trailing", "closing_", "qtd"))),
        st.sampled_from(["day", "week"]),
    ),
    FORMS,
)
def test_time_functions_by_day_and_week(project: Project, world: World, question: Question, form: str) -> None:
    agree(project, world, question, form)


SATURDAY = 5


@settings(max_examples=40)
@given(worlds(), questions(sorted(AROUND), st.just("week"), SATURDAY), FORMS)
def test_weeks_that_start_on_saturday(saturday_project: Project, world: World, question: Question, form: str) -> None:
    agree(saturday_project, world, question, form)


def test_the_oracle_itself() -> None:
    """Small enough to be checked by eye."""
    rows = [
        {"customer_id": 1, "channel": "x", "amount": Decimal("1.50"), "spent_at": dt.date(2024, 1, 31)},
        {"customer_id": 9, "channel": None, "amount": Decimal("2.50"), "spent_at": dt.date(2024, 3, 1)},
        {"customer_id": None, "channel": "x", "amount": None, "spent_at": None},
    ]
    customers = [{"customer_id": 1, "channel": "y", "region_id": None, "acquired_at": None}]
    world = {
        "costs": Table("costs", rows, time="spent_at", joins={"customers": ("customers", "customer_id")}),
        "customers": Table("customers", customers, key="customer_id", time="acquired_at"),
    }
    by_channel = Question(("cost", "entries", "customers_n"), by=(("customers", "channel"),))
    assert answer(world, METRICS, by_channel) == [("y", Decimal("1.50"), 1, 1), (None, Decimal("2.50"), 2, 0)]
    by_month = Question(("before_cost", "running_profit"), by=(("month",),))
    assert answer({**world, "orders": Table("orders", [], time="ordered_at")}, METRICS, by_month) == [
        (dt.date(2024, 1, 1), None, None),
        (dt.date(2024, 2, 1), Decimal("1.50"), None),
        (dt.date(2024, 3, 1), None, None),
        (None, None, None),
    ]
