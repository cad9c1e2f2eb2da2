"""What footers of Parquet files tell of a source: bounds that hold, or nothing."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlglot import exp

import kpiengine
import kpiengine_connectors.parquet
import kpiengine_plugins.calendars
from kpiengine.hooks import hookimpl
from kpiengine.kind import Cte, Kind, KindColumn, KindContext, KindOption, KindTable
from kpiengine.model import ModelStatistics
from kpiengine.plugins import Plugins
from kpiengine.project import Project
from kpiengine.statistics import Bounds

UTC = dt.UTC
KPI = """
sources:
  orders:
    from: {connector}
    columns: {{customer_id: Customer, double_amount: amount * 2}}
    key: n
"""


def known(folder: Path, connector: str = "orders.parquet") -> ModelStatistics:
    (folder / "kpi.yaml").write_text(KPI.format(connector=connector), encoding="utf-8")
    project = kpiengine.open(folder)
    return ModelStatistics(project.model)


def orders(**columns: pa.Array) -> pa.Table:
    rows = len(next(iter(columns.values()))) if columns else 3
    plain = {"n": pa.array(range(rows)), "Customer": pa.array([7] * rows), "amount": pa.array([1] * rows)}
    return pa.table(plain | columns)


def written(path: Path, table: pa.Table, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, **options)


DAY, NOON = dt.date(2026, 1, 31), dt.datetime(2026, 1, 31, 12, 0, 0, 500000)
COLUMNS = {
    "tiny": (pa.array([-3, None, 5], pa.int8()), Bounds(-3, 5, True)),
    "big": (pa.array([2**62, -(2**63), 1]), Bounds(-(2**63), 2**62, False)),
    "unsigned": (pa.array([2**64 - 1, 0, 1], pa.uint64()), Bounds(0, 2**64 - 1, False)),
    "money": (
        pa.array([Decimal("-1.50"), Decimal("20.25"), None], pa.decimal128(12, 2)),
        Bounds(Decimal("-1.50"), Decimal("20.25"), True),
    ),
    "wide": (
        pa.array([Decimal("-1.50"), Decimal(10) ** 30, None], pa.decimal128(38, 2)),
        Bounds(Decimal("-1.50"), Decimal(10) ** 30, True),
    ),
    "day": (pa.array([DAY, dt.date(1969, 12, 31), DAY]), Bounds(dt.date(1969, 12, 31), DAY, False)),
    "time": (pa.array([NOON, None, NOON], pa.timestamp("us")), Bounds(NOON, NOON, True)),
    "milli": (pa.array([NOON, None, NOON], pa.timestamp("ms")), Bounds(NOON, NOON, True)),
    "zoned": (
        pa.array([NOON, None, NOON], pa.timestamp("us", "Europe/Berlin")),
        Bounds(NOON.replace(tzinfo=UTC), NOON.replace(tzinfo=UTC), True),
    ),
    "nothing": (pa.array([None, None, None], pa.int64()), Bounds(None, None, True)),
    "nano": (pa.array([NOON, None, NOON], pa.timestamp("ns")), None),
    "text": (pa.array(["a", "b", None]), None),
    "float": (pa.array([1.0, float("nan"), 2.0]), None),
    "far": (pa.array([3_000_000, 1, 2], pa.date32()), None),
    "struct": (pa.array([{"n": 1}, {"n": 2}, None]), None),
    "list": (pa.array([[1], [2], None]), None),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_bounds_of_each_type(tmp_path, name):
    values, expected = COLUMNS[name]
    written(tmp_path / "orders.parquet", orders(**{name: values}), row_group_size=2)
    assert known(tmp_path).bounds("orders", name) == expected


def test_bounds_are_under_the_names_that_metrics_use_and_expressions_have_none(tmp_path):
    written(tmp_path / "orders.parquet", orders())
    found = known(tmp_path)
    assert found.rows("orders") == 3
    assert found.bounds("orders", "customer_id") == found.bounds("orders", "CUSTOMER") == Bounds(7, 7, False)
    assert found.bounds("orders", "double_amount") is None
    assert found.bounds("orders", "missing") is None
    assert found.bounds("elsewhere", "n") is None and found.rows("elsewhere") is None


def test_a_file_without_statistics_tells_its_rows_alone(tmp_path):
    written(tmp_path / "orders.parquet", orders(), write_statistics=False)
    found = known(tmp_path)
    assert found.rows("orders") == 3
    assert found.bounds("orders", "n") is None


def test_one_row_group_without_statistics_leaves_the_column_unknown(tmp_path):
    written(tmp_path / "a.parquet", orders())
    written(tmp_path / "b.parquet", orders(), write_statistics=False)
    assert known(tmp_path, "'*.parquet'").bounds("orders", "n") is None


def test_int96_has_no_order(tmp_path):
    times = pa.array([NOON, NOON, NOON], pa.timestamp("ns"))
    written(tmp_path / "orders.parquet", orders(time=times), use_deprecated_int96_timestamps=True)
    assert known(tmp_path).bounds("orders", "time") is None


def test_bounds_span_all_files(tmp_path):
    written(tmp_path / "a.parquet", orders(n=pa.array([1, 2])))
    written(tmp_path / "b.parquet", orders(n=pa.array([-5, None, 9])))
    found = known(tmp_path, "'*.parquet'")
    assert found.rows("orders") == 5
    assert found.bounds("orders", "n") == Bounds(-5, 9, True)


def test_a_column_that_a_file_lacks_is_unknown(tmp_path):
    written(tmp_path / "a.parquet", orders(more=pa.array([1, 2, 3])))
    written(tmp_path / "b.parquet", orders())
    assert known(tmp_path, "'*.parquet'").bounds("orders", "more") is None


def test_a_folder_that_names_a_column_hides_the_one_in_the_files(tmp_path):
    written(tmp_path / "data" / "amount=5" / "a.parquet", orders())
    found = known(tmp_path, "{parquet: data}")
    assert found.bounds("orders", "amount") is None
    assert found.bounds("orders", "n") == Bounds(0, 2, False)


def test_a_file_whose_name_is_a_pattern(tmp_path):
    written(tmp_path / "or[d]er*s?.parquet", orders())
    assert known(tmp_path, "'or[d]er*s?.parquet'").bounds("orders", "n") == Bounds(0, 2, False)


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "orders.parquet"
    written(path, orders())
    found = known(tmp_path)
    assert found.bounds("orders", "n") == Bounds(0, 2, False)
    written(path, orders(n=pa.array([10, 20, 30])))
    os.utime(path, ns=(1, 1))
    assert found.bounds("orders", "n") == Bounds(10, 30, False)


def test_other_connectors_tell_nothing(tmp_path):
    (tmp_path / "orders.csv").write_text("n,Customer,amount\n1,2,3\n", encoding="utf-8")
    found = known(tmp_path, "orders.csv")
    assert found.rows("orders") is None and found.bounds("orders", "n") is None


def test_distinct_values_are_those_of_a_dictionary_or_at_most_the_width_of_the_bounds(tmp_path):
    import duckdb

    path = str(tmp_path / "orders.parquet")
    with duckdb.connect() as connection:
        made = "SELECT i AS n, i % 3 AS Customer, 1 AS amount, 'x' || i % 5 AS word FROM range(1000) AS t (i)"
        connection.sql(made).write_parquet(path)
    found = known(tmp_path)
    assert found.distinct("orders", "word") == 5
    assert found.distinct("orders", "customer_id") == 3
    assert found.distinct("orders", "n") == 1000
    assert found.distinct("orders", "double_amount") is None


class Watcher(Kind):
    """Keeps the context that it is given."""

    name = "watcher"
    options = {"source": KindOption(str), "customer": KindOption(str, "customer_id", column=True)}  # noqa: RUF012
    seen: list[KindContext] = []  # noqa: RUF012

    def inputs(self, options):
        return {"customer": options["customer"], "twice": "n * 2", "channel": "people.number"}

    def entity(self, options):
        return "customer"

    def time(self, options):
        return None

    def columns(self, options, table=None):
        return (KindColumn(options["customer"], entity=True),)

    def compile(self, context):
        self.seen.append(context)
        query = exp.select(exp.column("customer").as_(context.entity)).from_(context.rows)
        return KindTable((Cte(f"{context.name}_all", query),), self.columns(context.options))


class WatcherPlugin:
    @hookimpl
    def register_kinds(self) -> Iterable[type[Kind]]:
        return [Watcher]


def test_a_kind_is_told_what_is_proven_of_its_inputs(tmp_path):
    written(tmp_path / "orders.parquet", orders())
    written(tmp_path / "people.parquet", pa.table({"id": [1, 7], "number": [10, 20]}))
    (tmp_path / "kpi.yaml").write_text(
        "sources:\n  orders: {from: orders.parquet, key: n, columns: {customer_id: Customer},"
        " joins: {people: customer_id}}\n  people: {from: people.parquet, key: id}\n"
        "metrics: {seen: {kind: watcher, source: orders}}\n",
        encoding="utf-8",
    )
    built_in = {"parquet": kpiengine_connectors.parquet, "calendars": kpiengine_plugins.calendars}
    plugins = Plugins.of({**built_in, "watcher": WatcherPlugin()})
    with Project.open(tmp_path, plugins=plugins) as project:
        project.query("seen")
        told = Watcher.seen[-1]
        assert (told.row_count, told.dialect) == (3, "duckdb")
        assert told.bounds("customer") == Bounds(7, 7, False)
        assert told.bounds("channel") == Bounds(10, 20, True)
        assert told.bounds("twice") is None and told.bounds("nothing") is None
        project.sql("seen", dialect="spark")
        assert Watcher.seen[-1].dialect == "spark"
        project.sql("seen", tables={"orders": "other"})
        told = Watcher.seen[-1]
        assert (told.row_count, told.dialect, told.bounds("customer")) == (None, "", None)
