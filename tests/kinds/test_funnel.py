"""The kind `funnel` against an exhaustive search for chains, on DuckDB and Sail."""

from __future__ import annotations

import calendar
import datetime as dt
import itertools
import statistics
from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kpiengine_plugins.funnel import register_kinds
from kpiengine_plugins.funnel.kind import Funnel
from kpiengine_plugins.funnel.steps import parse_steps

from .conftest import compiled, statement

OPTIONS = {"entity": "lead_id", "time": "entered_at", "stage": "stage"}
FIRST = dt.datetime(2024, 1, 30, 12)
MICROSECOND = dt.timedelta(microseconds=1)
# A month after 30 January 12:00 is later than a month after 31 January 0:00: both end on 29 February.
INSTANTS = [
    FIRST,
    FIRST + MICROSECOND,
    dt.datetime(2024, 1, 30, 18),
    dt.datetime(2024, 1, 31),
    dt.datetime(2024, 1, 31, 12),
    dt.datetime(2024, 2, 29),
    dt.datetime(2024, 2, 29, 0, 0, 0, 1),
    dt.datetime(2024, 2, 29, 12),
]
WINDOWS = [None, "0 seconds", "12 hours", "1 day", "30 days", "1 month", "4 weeks"]
FLAGS = ("p", "q", "s")


def deadline(start: dt.datetime, window: str | None) -> dt.datetime:
    """The last moment of a chain that starts at `start`."""
    if window is None:
        return dt.datetime.max
    count, unit = window.rstrip("s").split()
    if unit == "month":
        month = start.month - 1 + int(count)
        year, month = start.year + month // 12, month % 12 + 1
        return start.replace(year=year, month=month, day=min(start.day, calendar.monthrange(year, month)[1]))
    return start + int(count) * dt.timedelta(**{unit + "s": 1})


Event = dict[str, Any]


def in_sequence(events: list[Event], steps: list[str], order: str) -> Iterator[list[Event]]:
    """All chains of events, each event once and no earlier than the one before."""

    def going_on(chain: list[int], left: tuple[str, ...]) -> Iterator[list[Event]]:
        if chain:
            yield [events[i] for i in chain]
        for at in range(len(left)) if order == "any" else range(min(1, len(left))):
            for i, event in enumerate(events):
                late = not chain or event["time"] >= events[chain[-1]]["time"]
                if i not in chain and late and fits(event, left[at]):
                    yield from going_on([*chain, i], left[:at] + left[at + 1 :])

    return going_on([], tuple(steps))


def side_by_side(events: list[Event], steps: list[str]) -> Iterator[list[Event]]:
    """All chains with no event between, whatever the order of events of one instant."""
    instants = itertools.groupby(sorted(events, key=lambda e: e["time"]), key=lambda e: e["time"])
    for parts in itertools.product(*(list(itertools.permutations(tied)) for _, tied in instants)):
        line = [event for part in parts for event in part]
        for start in range(len(line)):
            for length in range(1, len(steps) + 1):
                chain = line[start : start + length]
                if len(chain) == length and all(map(fits, chain, steps)):
                    yield chain


def fits(event: Event, step: str) -> bool:
    return bool(event[step]) if step in FLAGS else event["stage"] == step


def furthest(events: list[Event], steps: list[str], window: str | None, order: str) -> dict[Any, list[Any]]:
    """By entity: the times of the first chain that gets furthest, and the smallest channel of its first events."""
    found = {}
    for entity in {e["entity"] for e in events} - {None}:
        own = [e for e in events if e["entity"] == entity and e["time"] is not None]
        chains = side_by_side(own, steps) if order == "strict" else in_sequence(own, steps, order)
        best: tuple[Any, ...] | None = None
        for chain in chains:
            times = [e["time"] for e in chain]
            channel = chain[0]["channel"]
            candidate = (-len(chain), times, channel is None, channel)
            if times[-1] <= deadline(times[0], window) and (best is None or candidate < best):
                best = candidate
        if best is not None:
            found[entity] = [best[1], best[3]]
    return found


def summary(chains: list[list[dt.datetime]], names: list[str]) -> list[dict[str, Any]]:
    """The main table from the chains' times."""
    table = []
    for step, name in enumerate(names, 1):
        reached, before = (sum(len(c) >= n for c in chains) for n in (step, step - 1))
        days = [(c[step - 1] - c[step - 2]) / dt.timedelta(days=1) for c in chains if len(c) >= step > 1]
        first = len(chains)
        table.append(
            {
                "step": step,
                "step_name": name,
                "entities": reached,
                "from_first": reached / first if first else None,
                "from_previous": reached / before if before and step > 1 else None,
                "dropped": before - reached if step > 1 else 0,
                "median_days": statistics.median(days) if days else None,
                "mean_days": statistics.fmean(days) if days else None,
            }
        )
    return table


def same(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Rows are equal, but for the last digits of numbers."""
    assert [list(row) for row in found] == [list(row) for row in expected]
    for row, right in zip(found, expected, strict=True):
        assert {n: v for n, v in row.items() if not isinstance(v, float)} == {
            n: v for n, v in right.items() if not isinstance(v, float)
        }
        assert {n: v for n, v in row.items() if isinstance(v, float)} == pytest.approx(
            {n: v for n, v in right.items() if isinstance(v, float)}, abs=1e-12
        )


def prove(
    run: Any, rows: list[Event], steps: list[str], window: str | None, order: str, by: bool, kind: str = "BIGINT"
) -> None:
    """Both tables are what the search finds. A step is a stage, or one of FLAGS, which are conditions in SQL."""
    given_steps = [{f"is {step}": f"{step} > 0"} if step in FLAGS else step for step in steps]
    names = [f"is {step}" if step in FLAGS else step for step in steps]
    options = OPTIONS | {"steps": given_steps, "window": window, "order": order}
    inputs = {f"step_{steps.index(flag) + 1}": flag for flag in FLAGS if flag in steps}
    types = {"entity": kind, "time": "TIMESTAMP", "stage": "VARCHAR", "channel": "VARCHAR"}
    types |= dict.fromkeys(inputs, "BOOLEAN")
    rows = [row | {name: row.get(flag) for name, flag in inputs.items()} for row in rows]
    context = {"by": ("channel",) if by else (), "entity": "lead_id"}

    chains = furthest(rows, steps, window, order)
    expected = []
    for entity, (times, channel) in sorted(chains.items()):
        row = {"lead_id": entity, "step": len(times), "step_name": names[len(times) - 1]}
        row |= {f"time_{n}": times[n - 1] if n <= len(times) else None for n in range(1, len(steps) + 1)}
        expected.append(row | ({"channel": channel} if by else {}))
    same(run(Funnel, types, rows, options, table="members", **context), expected)

    if not by:
        expected = summary([times for times, _ in chains.values()], names)
    else:
        channels = sorted({channel for _, channel in chains.values()}, key=lambda c: (c is None, c))
        expected = [
            {"channel": channel} | row
            for channel in channels
            for row in summary([times for times, of in chains.values() if of == channel], names)
        ]
    same(run(Funnel, types, rows, options, **context), expected)


@st.composite
def cases(draw: st.DrawFn, most: int) -> tuple[list[Event], list[str]]:
    """Events, `most` an entity, and steps. Few instants and stages make for ties and for chains that get far."""
    instants = draw(st.sampled_from([INSTANTS[:2], INSTANTS[:3], INSTANTS[2:5], INSTANTS]))
    stages = draw(st.sampled_from([["a"], ["a", "b"], ["a", "b", "c"], ["a", "b", "c", None]]))
    no_time = draw(st.sampled_from([[], [None]]))
    event = {
        "time": st.sampled_from(instants + no_time),
        "stage": st.sampled_from(stages),
        "channel": st.sampled_from(["x", "y", None]),
        **{flag: st.sampled_from([True, True, False, None]) for flag in FLAGS},
    }
    distinct = st.permutations(["a", "b", "c"]).flatmap(lambda p: st.integers(1, 3).map(lambda n: p[:n]))
    repeated = st.lists(st.sampled_from([s for s in stages if s]), min_size=2, max_size=4)
    overlapping = st.lists(st.sampled_from(["p", "q", "s", "a"]), min_size=2, max_size=4)
    steps = draw(st.one_of(distinct, repeated, overlapping))
    events = st.lists(st.fixed_dictionaries(event), min_size=draw(st.integers(0, most)), max_size=most)
    entities = draw(st.sampled_from([[1], [1, 2, 3, None]]))
    return [{"entity": entity, **event} for entity in entities for event in draw(events)], steps


def line(*events: tuple[int, str]) -> list[Event]:
    """Events of one entity: the instant's number, and the stage."""
    return [{"entity": 1, "time": INSTANTS[at], "stage": stage, "channel": str(at)} for at, stage in events]


windows = st.sampled_from(WINDOWS)


@settings(deadline=None, max_examples=40)
@given(case=cases(8), window=windows, by=st.booleans())
# The latest start does not have the latest deadline.
@example(case=(line((0, "a"), (3, "a"), (7, "b")), ["a", "b"]), window="1 month", by=False)
# At one instant, steps may follow each other whatever order they are stored in.
@example(case=(line((1, "c"), (1, "b"), (1, "a")), ["a", "b", "c"]), window="0 seconds", by=False)
# One event is not two steps.
@example(case=(line((0, "a"), (1, "b")), ["a", "a", "b"]), window=None, by=True)
# The bound is included, and one microsecond more is too late.
@example(case=(line((0, "a"), (4, "b")), ["a", "b"]), window="1 day", by=False)
@example(case=(line((5, "a"), (7, "b"), (7, "c")), ["a", "b", "c"]), window="12 hours", by=False)
@example(case=(line((3, "a"), (6, "b")), ["a", "b"]), window="1 month", by=False)
def test_ordered_funnel_is_what_a_search_finds(run_kind, case, window, by):
    prove(run_kind, *case, window, "ordered", by)


OLD_AND_LATE = [dt.datetime(1, 1, 1), dt.datetime(1969, 12, 31, 23, 59, 59, 999999), dt.datetime(9998, 12, 31)]


@settings(deadline=None, max_examples=25)
@given(
    events=st.lists(
        st.fixed_dictionaries(
            {
                "entity": st.sampled_from([0, 1, 2, None]),
                "time": st.sampled_from([*INSTANTS[:3], *OLD_AND_LATE, None]),
                "stage": st.sampled_from(["a", "b", "c", None]),
                "channel": st.sampled_from(["x", "y", None]),
            }
        ),
        max_size=10,
    ),
    entities=st.sampled_from(
        [
            ("BIGINT", [-(2**63), -1, 2**63 - 1]),
            ("UTINYINT", [0, 1, 255]),
            ("DOUBLE", [-1e300, -0.5, 0.0]),
            ("VARCHAR", ["", "A", "é"]),
            ("DATE", list(map(dt.datetime.date, OLD_AND_LATE))),
        ]
    ),
    window=windows,
    by=st.booleans(),
)
def test_entities_of_any_type_and_times_long_ago(run_kind, events, entities, window, by):
    kind, values = entities
    rows = [e | {"entity": None if e["entity"] is None else values[e["entity"]]} for e in events]
    prove(run_kind, rows, ["a", "b", "c"], window, "ordered", by, kind)


@pytest.mark.parametrize("window", [None, "2 days", "1 month"])
@pytest.mark.parametrize("entity", ["(n * n) % 5003", "'e' || (n * n) % 5003", "n % 2"])
def test_many_rows_stream_as_they_are_partitioned(window, entity):
    """Rows of many batches, on several threads: what streams through them gives what partitions give."""
    connection = duckdb.connect(config={"threads": 4})
    connection.execute(
        "CREATE TABLE given AS SELECT CASE WHEN n % 97 > 0 THEN entity END AS entity,"
        " CAST('2024-01-01' AS TIMESTAMP) + to_seconds(hash(n) % 20000000) AS time,"
        " substr('abcx', CAST(1 + hash(n + 1000000) % 4 AS INTEGER), 1) AS stage, hash(n + 2000000) % 3 AS channel"
        f" FROM (SELECT range AS n, {entity.replace('n', 'range')} AS entity FROM range(60000))"
    )
    types = {"entity": "VARCHAR", "time": "TIMESTAMP", "stage": "VARCHAR", "channel": "BIGINT"}
    options = OPTIONS | {"steps": ["a", "b", "c"], "window": window}
    tables = []
    for dialect in ("duckdb", ""):
        context = {"entity": "lead_id", "table": "members", "by": ("channel",), "dialect": dialect}
        made, _ = compiled(Funnel, types, options, **context)
        tables.append(connection.execute(statement(made).sql("duckdb")).fetchall())
    assert tables[0] == tables[1]
    assert {row[1] for row in tables[0]} >= ({3} if entity == "n % 2" else {1, 2, 3})
    connection.close()


@settings(deadline=None, max_examples=40)
@given(case=cases(6), window=windows, by=st.booleans())
# Another event of an instant in the middle is always between; at either end it need not be.
@example(case=(line((0, "a"), (1, "b"), (1, "x"), (2, "c")), ["a", "b", "c"]), window=None, by=False)
@example(case=(line((0, "a"), (0, "x"), (1, "b"), (2, "x"), (2, "c")), ["a", "b", "c"]), window=None, by=False)
# Of two runs that start at one instant, the one with more events there is first.
@example(case=(line((0, "a"), (0, "a"), (1, "a"), (1, "a")), ["a", "a", "a"]), window=None, by=False)
def test_strict_funnel_is_what_a_search_finds(run_kind, case, window, by):
    prove(run_kind, *case, window, "strict", by)


@settings(deadline=None, max_examples=40)
@given(case=cases(7), window=windows, by=st.booleans())
# Distinct steps: two events of one step are one, unless the step stands twice.
@example(case=(line((0, "b"), (1, "b"), (2, "a")), ["a", "b", "c"]), window=None, by=False)
@example(case=(line((0, "b"), (1, "b"), (2, "a")), ["a", "b", "b"]), window=None, by=False)
def test_funnel_in_any_order_is_what_a_search_finds(run_kind, case, window, by):
    prove(run_kind, *case, window, "any", by)


ROWS = [
    {"entity": 1, "time": INSTANTS[0], "stage": "a", "channel": "x"},
    {"entity": 1, "time": INSTANTS[1], "stage": "b", "channel": "y"},
    {"entity": 1, "time": INSTANTS[7], "stage": "c", "channel": "y"},
    {"entity": 2, "time": INSTANTS[3], "stage": "b", "channel": None},
    {"entity": 2, "time": INSTANTS[3], "stage": "a", "channel": None},
    {"entity": 2, "time": INSTANTS[5], "stage": "b", "channel": "x"},
    {"entity": 2, "time": INSTANTS[5], "stage": "b", "channel": "x"},
    {"entity": 3, "time": INSTANTS[3], "stage": "a", "channel": "x"},
    {"entity": 3, "time": INSTANTS[0], "stage": "a", "channel": "y"},
    {"entity": 3, "time": INSTANTS[7], "stage": "b", "channel": "y"},
    {"entity": 4, "time": INSTANTS[2], "stage": "c", "channel": "y"},
    {"entity": None, "time": INSTANTS[2], "stage": "a", "channel": "y"},
    {"entity": 4, "time": None, "stage": "a", "channel": "y"},
]
ROWS = [row | {"p": row["stage"] != "b", "q": row["stage"] != "c", "s": row["channel"] == "y"} for row in ROWS]


@pytest.mark.engine
@pytest.mark.parametrize("steps", [["a", "b", "c"], ["a", "b", "b"], ["p", "q", "s"], ["a"]])
@pytest.mark.parametrize(("window", "by"), [(None, True), ("1 month", False), ("12 hours", True)])
@pytest.mark.parametrize("order", ["ordered", "strict", "any"])
def test_sail_finds_the_same(run_on_sail, steps, window, order, by):
    prove(run_on_sail, ROWS, steps, window, order, by)


def test_without_events_every_step_has_a_row_of_zeros(run_kind):
    prove(run_kind, [], ["a", "b"], "1 day", "ordered", by=False)
    prove(run_kind, [], ["a", "b"], "1 day", "ordered", by=True)


def test_counts_never_rise(run_kind):
    options = OPTIONS | {"steps": ["a", "b", "c"], "window": "1 month"}
    types = {"entity": "BIGINT", "time": "TIMESTAMP", "stage": "VARCHAR"}
    counts = [row["entities"] for row in run_kind(Funnel, types, ROWS, options, entity="lead_id")]
    assert counts == [3, 3, 1]
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("INTEGER", [1, 2]),
        ("DOUBLE", [1.0, 2.5]),
        ("BOOLEAN", [True, False]),
        ("VARCHAR", [1, 2]),
        ("DATE", ["2024-01-01"]),
    ],
)
def test_stages_of_any_type(run_kind, kind, values):
    rows = [{"entity": "e", "time": FIRST, "stage": value} for value in values]
    types = {"entity": "VARCHAR", "time": "DATE", "stage": kind}
    found = run_kind(Funnel, types, rows, OPTIONS | {"steps": values}, table="members", entity="Lead ID")
    assert [(row["Lead ID"], row["step"], row["time_1"]) for row in found] == [
        ("e", len(values), FIRST.replace(hour=0))
    ]


def test_a_day_is_24_hours_when_the_clocks_change(run_kind):
    rows = [
        {"entity": 1, "time": "2024-03-30 12:00:00+01", "stage": "a"},
        {"entity": 1, "time": "2024-03-31 13:00:00+02", "stage": "b"},
        {"entity": 1, "time": "2024-03-31 13:00:00.000001+02", "stage": "c"},
    ]
    types = {"entity": "BIGINT", "time": "TIMESTAMP WITH TIME ZONE", "stage": "VARCHAR"}
    found = run_kind(Funnel, types, rows, OPTIONS | {"steps": ["a", "b", "c"], "window": "1 day"}, entity="id")
    assert [row["entities"] for row in found] == [1, 1, 0]
    assert found[1]["median_days"] == 1.0


@pytest.mark.parametrize(
    ("steps", "clusters"),
    [
        (["a", "b", "a"], ((1,), (2,))),
        ({"a": "stage = 'lead' and x > 1", "b": "'won' = Stage", "c": "stage in ('lost', 'gone')"}, ((1,), (2,), (3,))),
        ({"a": "stage in ('lead', 'won')", "b": "stage = 'won'", "c": "stage = 'lost'"}, ((1, 2), (3,))),
        ({"a": "amount = '1'", "b": "amount = '1.0'"}, ((1, 2),)),
        ({"a": "stage = 'lead' or x > 1", "b": "stage = 'won'"}, ((1, 2),)),
        ({"a": "x > 1", "b": "x  >  1", "c": "y"}, ((1, 2),)),
        ({"a": "flag = 'true'", "b": "flag = 'yes'"}, ((1, 2),)),
    ],
)
def test_conditions_that_one_event_may_fit_are_known(steps, clusters):
    assert parse_steps(steps).clusters == clusters


@pytest.mark.parametrize(
    ("options", "option", "message"),
    [
        ({"steps": []}, "steps", "a funnel needs at least one step"),
        ({"steps": ["a", None]}, "steps", "step 2 must be a value of stage, or one name with its SQL"),
        ({"steps": [{"a": "x", "b": "y"}]}, "steps", "step 1 must be a value of stage, or one name with its SQL"),
        ({"steps": {"a": 1}}, "steps", "step 1 must be a value of stage, or one name with its SQL"),
        (
            {"steps": {f"s{n}": f"x > {n}" for n in range(9)}},
            "steps",
            "9 conditions may fit one event at once, 8 at most",
        ),
        ({"stage": None}, "stage", "steps that are values need stage, the column that holds them"),
        ({"window": "soon"}, "window", 'window must be a span such as "30 days" (units: second, minute, hour, day'),
        ({"window": "1.5 days"}, "window", 'window must be a span such as "30 days"'),
        ({"window": "-1 day"}, "window", 'window must be a span such as "30 days"'),
    ],
)
def test_wrong_options_are_told_clearly(options, option, message):
    problems = Funnel().check(OPTIONS | {"steps": ["a", "b"]} | options)
    assert list(problems) == [option]
    assert message in problems[option]


def test_the_plugin_brings_the_kind():
    assert list(register_kinds()) == [Funnel]
    options = OPTIONS | {"steps": ["lead", {"big": "amount > 10"}, {"paid": "amount > 10"}], "by": "month"}
    assert Funnel().inputs(options) == {
        "entity": "lead_id",
        "time": "entered_at",
        "stage": "stage",
        "step_2": "amount > 10",
    }
    assert [column.name for column in Funnel().columns(options)] == [
        "month", "step", "step_name", "entities", "from_first", "from_previous", "dropped", "median_days", "mean_days",
    ]  # fmt: skip
    assert [column.name for column in Funnel().columns(options, "members")] == [
        "lead_id", "step", "step_name", "time_1", "time_2", "time_3", "month",
    ]  # fmt: skip
