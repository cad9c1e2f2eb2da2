"""The kind `rfm` against plain Python, on DuckDB and Sail."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kpiengine
from kpiengine_plugins.rfm import register_kinds
from kpiengine_plugins.rfm.kind import Rfm
from kpiengine_plugins.rfm.segments import DEFAULT_SEGMENTS, LABELS, parse_segments

TYPES = {"customer": "VARCHAR", "time": "TIMESTAMP", "amount": "DECIMAL(12,2)", "purchase": "INTEGER"}
OPTIONS = {"customer": "customer_id", "time": "ordered_at", "amount": "amount"}
BINS = {"recency": [2, 4.5, 9, 12], "frequency": [2, 3, 4, 5], "monetary": [0, 2.5, 10, 20]}
DAY_ONE = dt.datetime(2024, 2, 26)

orders = st.fixed_dictionaries(
    {
        "customer": st.sampled_from([None, "a", "b", "c", "d", "e", "f", "g"]),
        "time": st.one_of(st.none(), st.integers(0, 20 * 24).map(lambda h: DAY_ONE + dt.timedelta(hours=h))),
        "amount": st.one_of(st.none(), st.integers(-300, 2500).map(lambda cents: Decimal(cents) / 100)),
        "purchase": st.one_of(st.none(), st.integers(1, 5)),
    }
)


def quantile(values: list[float], q: float) -> float:
    """The interpolated quantile, as `quantile_cont` defines it."""
    ranked = sorted(values)
    at = (len(ranked) - 1) * q
    low, high = ranked[int(at // 1)], ranked[min(int(-(-at // 1)), len(ranked) - 1)]
    return low + (high - low) * (at - int(at))


def scored(values: dict[str, float | None], options: dict[str, Any], measure: str) -> dict[str, int | None]:
    """The scores of one measure by customer, lowest value first, by LANGUAGE's words."""
    scale, method = options.get("scale", 5), options.get("method", "quantile")
    known = {customer: value for customer, value in values.items() if value is not None}
    if method == "ntile":
        ranked = sorted(known, key=lambda customer: (known[customer], customer))
        small, larger = divmod(len(ranked), scale)
        sizes = [small + (tile < larger) for tile in range(scale)]
        tiles = [tile for tile, size in enumerate(sizes, 1) for _ in range(size)]
        return dict.fromkeys(values) | dict(zip(ranked, tiles, strict=True))
    if method == "bins":
        return {
            c: v if v is None else 1 + sum(v >= bound for bound in options["bins"][measure]) for c, v in values.items()
        }
    edges = [quantile([float(v) for v in known.values()], i / scale) for i in range(1, scale)] if known else []
    return {c: v if v is None else 1 + sum(edge < float(v) for edge in edges) for c, v in values.items()}


def expected(rows: list[dict[str, Any]], options: dict[str, Any], as_of: dt.date | None) -> list[dict[str, Any]]:
    """The whole table by loops."""
    rows = [r for r in rows if r["customer"] is not None]
    if as_of is not None:
        rows = [r for r in rows if r["time"] is None or r["time"].date() <= as_of]
    days = [r["time"].date() for r in rows if r["time"] is not None]
    back_from = as_of or (max(days) + dt.timedelta(days=1) if days else None)
    values: dict[str, dict[str, Any]] = {"recency": {}, "frequency": {}, "monetary": {}}
    for customer in sorted({r["customer"] for r in rows}):
        own = [r for r in rows if r["customer"] == customer]
        last = max((r["time"].date() for r in own if r["time"] is not None), default=None)
        values["recency"][customer] = None if last is None or back_from is None else (back_from - last).days
        named = {r["purchase"] for r in own} - {None}
        values["frequency"][customer] = len(named) if options.get("order") else len(own)
        values["monetary"][customer] = sum((r["amount"] for r in own if r["amount"] is not None), Decimal(0))
    scale = options.get("scale", 5)
    r, f, m = (scored(values[measure], options, measure) for measure in values)
    r = {customer: score if score is None else scale + 1 - score for customer, score in r.items()}
    patterns = parse_segments(options.get("segments") or (DEFAULT_SEGMENTS if scale == 5 else {}), scale)
    table = []
    for c in values["recency"]:
        cell = (r[c], f[c], m[c])
        fit = [
            p.segment
            for p in patterns
            if None not in cell and all(a <= x <= b for x, (a, b) in zip(cell, p.ranges, strict=False))
        ]
        segment = None if None in cell or not patterns else [*fit, "others"][0]
        joined = None if None in cell else ("-" if scale > 9 else "").join(map(str, cell))
        table.append(
            {"customer_id": c}
            | {measure: values[measure][c] for measure in values}
            | {"r": r[c], "f": f[c], "m": m[c], "rfm": joined, "segment": segment}
        )
    return table


variants = st.fixed_dictionaries(
    {"method": st.sampled_from(["quantile", "ntile"]), "scale": st.sampled_from([3, 5, 10])},
    optional={"order": st.just("order_id"), "segments": st.just({"best": "3 2-3 3", "gone": ["1 *", "2 1"]})},
) | st.fixed_dictionaries({"method": st.just("bins"), "bins": st.just(BINS)})


@settings(deadline=None, max_examples=50)
@given(rows=st.lists(orders, max_size=25), variant=variants, as_of=st.sampled_from([None, 5, 40]))
def test_rfm_is_what_plain_loops_say(run_kind, rows, variant, as_of):
    until = None if as_of is None else (DAY_ONE + dt.timedelta(days=as_of)).date()
    given_as = {"as_of": until} if len(rows) % 2 else {}
    options = OPTIONS | variant | ({} if given_as else {"as_of": until and until.isoformat()})
    found = run_kind(Rfm, TYPES, rows, options, entity="customer_id", **given_as)
    assert found == expected(rows, options, until)


ROWS = [
    {"customer": c, "time": DAY_ONE + dt.timedelta(days=d, hours=d), "amount": Decimal(a), "purchase": p}
    for c, d, a, p in [
        ("a", 1, "10.50", 1), ("a", 9, "2.25", 2), ("b", 3, "7", 3), ("b", 3, "1", 3), ("c", 0, "99.99", 4),
        ("c", 2, "5", 5), ("c", 17, "4", 6), ("d", 17, "0", 7), ("e", 5, "-3", 8), ("f", 12, "20", 9),
        (None, 19, "8", 10),
    ]
]  # fmt: skip


@pytest.mark.engine
@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"order": "order_id", "scale": 4},
        {"method": "ntile"},
        {"method": "bins", "bins": BINS},
        {"scale": 10, "segments": {"top": "9-10 * 10"}},
    ],
)
@pytest.mark.parametrize("as_of", [None, dt.date(2024, 3, 10)])
def test_sail_gives_the_same(run_on_sail, variant, as_of):
    found = run_on_sail(Rfm, TYPES, ROWS, OPTIONS | variant, entity="customer_id", as_of=as_of)
    assert found == expected(ROWS, OPTIONS | variant, as_of)


def test_order_of_rows_never_matters(run_kind):
    first = run_kind(Rfm, TYPES, ROWS, OPTIONS, entity="customer_id")
    assert first == run_kind(Rfm, TYPES, ROWS[::-1], OPTIONS, entity="customer_id")


def test_types_are_those_of_the_language(run_kind):
    rows = [{"customer": 7, "time": DAY_ONE, "amount": 3}]
    (row,) = run_kind(
        Rfm, {"customer": "BIGINT", "time": "DATE", "amount": "INTEGER"}, rows, OPTIONS, entity="Customer ID"
    )
    assert row == {
        "Customer ID": 7, "recency": 1, "frequency": 1, "monetary": 3, "r": 5, "f": 1, "m": 1, "rfm": "511",
        "segment": "new_customers",
    }  # fmt: skip


def test_default_map_covers_every_cell_once():
    patterns = parse_segments(DEFAULT_SEGMENTS, 5)
    cells = Counter(
        (r, f)
        for pattern in patterns
        for r, f in itertools.product(range(1, 6), repeat=2)
        if all(low <= x <= high for x, (low, high) in zip((r, f), pattern.ranges, strict=True))
    )
    assert cells == dict.fromkeys(itertools.product(range(1, 6), repeat=2), 1)


def test_every_segment_has_a_label_in_both_languages():
    assert {*DEFAULT_SEGMENTS, "others"} == set(LABELS["en"]) == set(LABELS["fa"])
    (segment,) = (column for column in Rfm().columns(OPTIONS) if column.name == "segment")
    assert segment.labels["fa"]["champions"] == "قهرمانان"


def test_first_match_wins(run_kind):
    options = OPTIONS | {"segments": {"one": "5 *", "all": "* *", "never": "1-5 1-5 1-5"}}
    assert {row["segment"] for row in run_kind(Rfm, TYPES, ROWS, options, entity="customer_id")} == {"one", "all"}


@pytest.mark.parametrize(
    ("options", "option", "message"),
    [
        ({"scale": 1}, "scale", "scale must be a whole number from 2 to 10, not 1"),
        ({"scale": 11}, "scale", "scale must be a whole number from 2 to 10, not 11"),
        ({"as_of": "soon"}, "as_of", 'as_of must be a date such as 2026-03-31, not "soon"'),
        ({"segments": {"top": "5"}}, "segments", '"5" of top must be two or three scores'),
        ({"segments": {"top": "6 1"}}, "segments", '"6" of top must run upwards within 1 to 5'),
        ({"segments": {"top": "5-4 1"}}, "segments", '"5-4" of top must run upwards'),
        ({"segments": {"top": "x 1"}}, "segments", '"x" of top is neither a score (4) nor a range (4-5) nor *'),
        ({"bins": BINS}, "bins", "bins are for method: bins, and the method is quantile"),
        ({"method": "bins"}, "bins", "method: bins needs bins:"),
        ({"method": "bins", "bins": {"recency": [1, 2, 3, 4]}}, "bins", "must give recency, frequency and monetary"),
        ({"method": "bins", "bins": BINS | {"monetary": [1, 3, 2, 4]}}, "bins", "monetary must be 4 ascending numbers"),
        ({"method": "bins", "bins": BINS | {"recency": [1, 2]}}, "bins", "recency must be 4 ascending numbers"),
        ({"method": "bins", "bins": BINS | {"recency": 3}}, "bins", "recency must be 4 ascending numbers"),
    ],
)
def test_wrong_options_are_told_clearly(options, option, message):
    problems = Rfm().check(OPTIONS | options)
    assert list(problems) == [option]
    assert message in problems[option]


def test_the_plugin_brings_the_kind():
    assert Rfm in register_kinds()
    assert Rfm().inputs(OPTIONS | {"order": "order_id"}) == {
        "customer": "customer_id", "time": "ordered_at", "amount": "amount", "purchase": "order_id",
    }  # fmt: skip
    assert [column.name for column in Rfm().columns(OPTIONS)] == [
        "customer_id", "recency", "frequency", "monetary", "r", "f", "m", "rfm", "segment",
    ]  # fmt: skip


LINES = [(1, 7, "2026-01-05", 10), (1, 7, "2026-01-05", 5), (2, 7, "2026-02-01", 1), (3, 8, "2026-02-03", 2)]


@pytest.mark.parametrize("kind", ["rfm", "clv"])
def test_orders_are_counted_by_the_key_without_looking_for_others_alike(tmp_path, kind):
    """A source with a key has an order a row; one without may have several rows of it."""
    (tmp_path / "kpi.yaml").write_text(
        "sources:\n  orders: {from: orders.csv, key: order_id, time: at}\n  lines: {from: lines.csv, time: at}\n"
    )
    (tmp_path / "metrics").mkdir()
    given = f"kind: {kind}, customer: customer_id, time: at, amount: amount, order: order_id"
    (tmp_path / "metrics" / "m.yaml").write_text(
        f"metrics:\n  of_orders: {{source: orders, {given}}}\n  of_lines: {{source: lines, {given}}}\n"
    )
    head, texts = "order_id,customer_id,at,amount\n", [",".join(map(str, line)) + "\n" for line in LINES]
    (tmp_path / "lines.csv").write_text(head + "".join(texts))
    (tmp_path / "orders.csv").write_text(head + "".join(texts[1:]))
    counted = {"rfm": "frequency", "clv": "orders"}[kind]
    with kpiengine.open(tmp_path) as project:
        of_orders, of_lines = project.query("of_orders"), project.query("of_lines")
        for result in (of_orders, of_lines):
            rows = result.arrow().to_pylist()
            assert [(row["customer_id"], row[counted]) for row in rows] == [(7, 2), (8, 1)]
        assert "DISTINCT" not in of_orders.sql
        assert "DISTINCT" in of_lines.sql
