"""Queries of kinds with less: run as they are and narrowed, the columns that are read are the same."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pytest
from sqlglot import exp, parse_one

import kpiengine
from kpiengine.passes.given import gives_one_row, narrowed, reads_of

TABLES = """
create table t as from (values (1, 'a', 2.5), (2, 'b', null), (3, 'b', 4.0), (3, null, 1.0)) t(k, g, x);
create table one as select max(x) as most, min(x) as least from t;
"""
ONE_ROW = {"one": {"most", "least"}}


def query(text: str) -> exp.Query:
    found = parse_one(text, dialect="duckdb")
    assert isinstance(found, exp.Query)
    return found


@pytest.mark.parametrize(
    ("text", "read", "columns", "without"),
    [
        ("select k, g, x from t", {"g"}, ["g"], []),
        ("select k, x + 1 as y, y * 2 as z from t", {"z"}, ["y", "z"], []),  # z is made of y
        ("select k, x from t", set(), ["x"], []),  # rows stay: one column is left
        ("select g, sum(x) as s, count(*) as n from t group by g", {"n"}, ["g", "n"], []),
        ("select sum(x) as s, count(*) as n from t", {"n"}, ["n"], []),
        ("select sum(x) as s, 1 as one from t", {"one"}, ["s", "one"], []),  # without sum(x) it had four rows
        ("select k, row_number() over (order by k, x) as place from t", {"k"}, ["k"], []),
        ("select k, sum(sum(x)) over () as share from t group by k", {"k"}, ["k"], []),
        ("select k, most from t cross join one", {"k"}, ["k"], ["one"]),
        ("select k, one.most from t cross join one where t.x < one.least + 1", {"k"}, ["k"], []),
        ("select t.k, t2.g from t cross join t as t2", {"k"}, ["k"], []),  # of more than one row
        ("select k, unnest([1, 2]) as n from t", {"k"}, ["k", "n"], []),
        ("select distinct k, g from t", {"k"}, ["k", "g"], []),
        ("select k, g from t group by 1, 2", {"g"}, ["k", "g"], []),
        ("select k, g from t group by k, g having max(x) > 2 order by g", {"k"}, ["k", "g"], []),
        ("select * from t", {"k"}, ["k", "g", "x"], []),
        ("select a, b from (select max(k) as a, max(x) as b from t) as s", {"a"}, ["a"], ["max(x)"]),
        ("select k, x from t qualify row_number() over (partition by k order by x) = 1", {"k"}, ["k", "x"], []),
        ("select k, g from t union all select 4, 'c'", {"k"}, ["k", "g"], []),
    ],
)
def test_what_is_read_stays(text, read, columns, without):
    before = query(text)
    after = narrowed(before, read, ONE_ROW)
    with duckdb.connect() as connection:
        connection.execute(TABLES)
        rows = [connection.sql(q.sql("duckdb")) for q in (before, after)]
        assert sorted(rows[1].columns) == sorted(columns)
        kept = [", ".join(sorted(read) or ["1"])] * 2
        values = [sorted(rel.project(names).fetchall(), key=str) for rel, names in zip(rows, kept, strict=True)]
    assert values[0] == values[1]
    assert before == query(text)  # the tree itself is left alone
    assert not [word for word in without if word in after.sql("duckdb").lower()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select max(x) as a from t", True),
        ("select max(x) as a from t where k > 1", True),
        ("select max(x) as a from t group by k", False),
        ("select max(x) as a from t having count(*) > 9", False),
        ("select max(x) over () as a from t", False),
        ("select (select max(x) from t) as a from t", False),
        ("select max(x) as a from t limit 0", False),
        ("select k from t", False),
    ],
)
def test_one_row_is_known(text, expected):
    assert gives_one_row(query(text)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select a.k, b.x from t as a left join u as b on a.k = b.k", {"t": {"k"}, "u": {"x", "k"}}),
        ("select k from t where x in (select y from u)", {"t": {"k", "x", "y"}, "u": {"k", "x", "y"}}),
        ("select p.* from (select *, 1 as n from (select k from t) as o) as p", {"t": {"k"}}),
        ("select *, 1 as n from t", {"t": None}),
        ("select t.*, 1 as n from t cross join u", {"t": None, "u": None}),
        ("select k from t union all select k from u", {"t": None, "u": None}),
    ],
)
def test_what_a_query_reads(text: str, expected: dict[str, set[str] | None]):
    found = {name: names if names is None else names - {"*"} for name, names in reads_of(query(text))}
    assert found == expected


def test_each_name_is_read_by_someone():
    """A bare name may be of any table: it is never taken for nobody's."""
    text = "select k, u.y from t cross join u"
    read: Callable[[str], set[str] | None] = dict(reads_of(query(text))).__getitem__
    assert read("u") == {"k", "y"}
    assert read("t") == {"k"}


def test_scores_that_nobody_asks_for_are_not_computed(tmp_path, monkeypatch):
    monkeypatch.setenv("KPI_PASSES", "always")
    (tmp_path / "orders.csv").write_text("id,who,day,amount\n1,7,2026-01-05,10\n2,8,2026-01-09,5\n3,8,2026-02-01,5\n")
    (tmp_path / "kpi.yaml").write_text(
        "sources:\n  orders: {from: orders.csv, time: day, joins: {people: who}}\n"
        "  people: {from: people.csv, key: who}\n"
    )
    (tmp_path / "people.csv").write_text("who\n7\n8\n9\n")
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "all.yaml").write_text(
        "metrics:\n"
        "  scores: {kind: rfm, source: orders, customer: who, time: day, amount: amount, method: ntile}\n"
        "  people_seen: {source: people, formula: count(*)}\n"
    )
    with kpiengine.open(tmp_path) as project:
        segments = project.query("people_seen", by="scores.segment")
        everything = project.query("scores")
    assert "monetary_groups" not in segments.sql and "recency_groups" in segments.sql
    assert "monetary_groups" in everything.sql
