"""Engines that plugins bring: sources as they read them, rows handed over, results in DuckDB's types."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest

from kpiengine.connector import SqlRelation
from kpiengine.engine import Engine, EngineContext, EngineSession
from kpiengine.errors import DefinitionError, EngineError, KpiError, UsageError
from kpiengine.hooks import hookimpl
from kpiengine.plugins import Plugins
from kpiengine.project import Project

MONTHS = [dt.date(2026, 1, 1), dt.date(2026, 2, 1)]


class Twin(Engine):
    """A DuckDB of its own, that gives every number as a text, and has a table `shop.sales`."""

    name, title, dialect = "twin", "Twin", "duckdb"
    options: ClassVar[Mapping[str, type]] = {"threads": int}
    loads: ClassVar[list[str]] = []
    columns_loaded: ClassVar[list[tuple[str, list[str]]]] = []
    sessions = 0

    def open(self, options: Mapping[str, Any], context: EngineContext) -> EngineSession:
        Twin.sessions += 1
        return TwinSession()


class TwinSession(EngineSession):
    version = "1.0"

    def __init__(self) -> None:
        self.connection = duckdb.connect()
        self.connection.execute("CREATE SCHEMA shop")
        self.connection.execute(
            "CREATE TABLE shop.sales AS FROM (VALUES (1, DATE '2026-01-05', 10.50::DECIMAL(10,2), 'a'),"
            " (2, DATE '2026-02-01', 5.25, 'b')) AS t(id, ordered_at, amount, customer)"
        )

    def columns(self, table: Any) -> Mapping[str, str]:
        rows = self.connection.execute(f"DESCRIBE {table.sql('duckdb')}").fetchall()
        return {row[0]: row[1] for row in rows}

    def reader(self, statement: str) -> pa.RecordBatchReader:
        table = self.connection.sql(statement).to_arrow_table()
        texts = [c.cast(pa.string()) if pa.types.is_decimal(c.type) else c for c in table.columns]
        return pa.Table.from_arrays(texts, names=[f"C{n}" for n in range(len(texts))]).to_reader()

    def load(self, name: str, rows: pa.RecordBatchReader) -> None:
        Twin.loads.append(name)
        Twin.columns_loaded.append((name, rows.schema.names))
        self.connection.register("given", rows)
        self.connection.execute(f"CREATE TABLE {name} AS FROM given")

    def close(self) -> None:
        self.connection.close()


class Brings:
    @hookimpl
    def register_engines(self) -> list[type[Engine]]:
        return [Twin]


@pytest.fixture
def plugins() -> Plugins:
    Twin.loads, Twin.columns_loaded, Twin.sessions = [], [], 0
    built_in = {point.name: point.load() for point in entry_points(group="kpiengine")}
    return Plugins.of({**built_in, "twin": Brings()})


def project(folder: Path, plugins: Plugins, kpi: str, metrics: str = "", engine: str | None = None) -> Project:
    (folder / "metrics").mkdir(exist_ok=True)
    (folder / "kpi.yaml").write_text(kpi)
    (folder / "metrics" / "m.yaml").write_text(
        metrics or "metrics:\n  revenue: {source: orders, formula: sum(amount)}\n"
    )
    return Project.open(folder, plugins, engine)


TABLE = "engine: twin\nsources:\n  orders: {from: {table: shop.sales}, key: id, time: ordered_at}\n"


def test_a_table_of_the_engine_is_a_source(tmp_path: Path, plugins: Plugins) -> None:
    with project(tmp_path, plugins, TABLE) as opened:
        result = opened.query("revenue", by="month")
        assert "shop.sales" in result.sql
        assert result.arrow().schema == pa.schema({"month": pa.date32(), "revenue": pa.decimal128(38, 2)})
        assert result.arrow()["revenue"].to_pylist() == [Decimal("10.50"), Decimal("5.25")]
        assert not Twin.loads


def test_rows_that_the_engine_does_not_read_are_loaded_once(tmp_path: Path, plugins: Plugins) -> None:
    (tmp_path / "orders.csv").write_text("ordered_at,amount\n2026-01-05,1.5\n2026-02-05,2\n")
    kpi = "engine: twin\nsources:\n  orders: {from: orders.csv, time: ordered_at}\n"
    with project(tmp_path, plugins, kpi) as opened:
        assert '-- kpi_orders holds the rows of "orders"' in opened.sql("revenue", by="month")
        assert Twin.sessions == 0  # the statement alone needs no engine
        assert opened.query("revenue", by="month").rows() == [
            {"month": MONTHS[0], "revenue": 1.5},
            {"month": MONTHS[1], "revenue": 2.0},
        ]
        opened.query("revenue", by="none").arrow()
        assert Twin.loads == ["kpi_orders"]


def test_the_columns_that_are_named_are_handed_over(tmp_path: Path, plugins: Plugins) -> None:
    (tmp_path / "orders.csv").write_text("Ordered_At,amount,note,customer\n2026-01-05,1.5,a,1\n2026-02-05,2,b,2\n")
    (tmp_path / "customers.csv").write_text("customer,country,born\n1,DE,1990\n2,FR,1991\n")
    kpi = (
        "engine: twin\nsources:\n"
        "  orders: {from: orders.csv, time: ordered_at, joins: {customers: customer}}\n"
        "  customers: {from: customers.csv, key: customer}\n"
        '  big: {from: {sql: "select * from orders where amount > 1.7"}, time: ordered_at}\n'
    )
    metrics = (
        "metrics:\n  revenue: {source: orders, formula: sum(amount)}\n  rows: {source: orders, formula: count(*)}\n"
        "  big: {source: big, formula: count(distinct note)}\n"
    )
    with project(tmp_path, plugins, kpi, metrics) as opened:
        assert opened.query("rows", by="none").rows() == [{"rows": 2}]
        by_country = opened.query("revenue", by="customers.country")
        assert [row["revenue"] for row in by_country.rows()] == [1.5, 2.0]
        assert opened.query("revenue", by="month").arrow()["revenue"].to_pylist() == [1.5, 2.0]
        assert opened.query("big", by="none").rows() == [{"big": 1}]
    assert Twin.columns_loaded == [
        ("kpi_orders", ["Ordered_At"]),
        ("kpi_customers", ["country", "customer"]),
        ("kpi_orders_2", ["Ordered_At", "amount", "note", "customer"]),  # all: no third time
    ]


def test_files_that_the_engine_reads_itself_stay_where_they_are(tmp_path: Path, plugins: Plugins, monkeypatch) -> None:
    pa.parquet.write_table(pa.table({"ordered_at": MONTHS, "amount": [1, 2]}), tmp_path / "orders.parquet")
    seen: list[SqlRelation] = []

    def native(self: Twin, relation: SqlRelation, options: Mapping[str, Any]) -> Any:
        seen.append(relation)
        return relation.expression

    monkeypatch.setattr(Twin, "native", native)
    with project(
        tmp_path, plugins, "engine: twin\nsources:\n  orders: {from: orders.parquet, time: ordered_at}\n"
    ) as opened:
        assert opened.query("revenue", by="month").arrow()["revenue"].to_pylist() == [1, 2]
    assert not Twin.loads
    assert (seen[0].format, seen[0].files, seen[0].hive) == ("parquet", (tmp_path / "orders.parquet",), False)


def test_a_query_over_sources_and_files_and_tables(tmp_path: Path, plugins: Plugins) -> None:
    (tmp_path / "rates.csv").write_text("customer,rate\na,2\nb,10\n")
    kpi = TABLE + (
        '  converted:\n    from: {sql: "select o.ordered_at, o.amount * r.rate as amount from orders as o'
        " join 'rates.csv' as r using (customer) join shop.sales as s using (id)\"}\n    time: ordered_at\n"
    )
    metrics = "metrics:\n  revenue: {source: converted, formula: sum(amount)}\n"
    with project(tmp_path, plugins, kpi, metrics) as opened:
        assert opened.query("revenue", by="month").arrow()["revenue"].to_pylist() == [
            Decimal("21.00"),
            Decimal("52.50"),
        ]
        assert Twin.loads == ["kpi_converted_files"]


def test_rows_are_bound_and_keys_are_checked_on_the_engine(tmp_path: Path, plugins: Plugins) -> None:
    kpi = TABLE + "  customers: {from: {arrow: customers.arrow}, key: customer}\n"
    kpi = kpi.replace("time: ordered_at}", "time: ordered_at, joins: {customers: customer}}")
    with (
        pa.OSFile(str(tmp_path / "customers.arrow"), "wb") as file,
        pa.ipc.new_file(file, pa.schema({"customer": pa.string(), "country": pa.string()})) as writer,
    ):
        writer.write_table(pa.table({"customer": ["a", "b"], "country": ["FR", "DE"]}))
    with project(tmp_path, plugins, kpi) as opened:
        rows = opened.query("revenue", by="customers.country").rows()
        assert [row["country"] for row in rows] == ["DE", "FR"]
        opened.bind("customers", pa.table({"customer": ["a", "a"], "country": ["FR", "DE"]}))
        with pytest.raises(KpiError, match="has 2 rows with customer = a"):
            opened.query("revenue", by="customers.country").arrow()
        assert [p.message for p in opened.check(data=True)] == [
            'source "customers": the key customer is not unique: 1 values stand in 2 rows'
        ]


def test_rows_that_were_handed_over_prove_nothing_of_files_that_changed_since(tmp_path: Path, plugins: Plugins) -> None:
    kpi = TABLE.replace("time: ordered_at}", "time: ordered_at, joins: {customers: customer}}")
    kpi += "  customers: {from: customers.csv, key: customer}\n"
    (tmp_path / "customers.csv").write_text("customer,country\na,FR\nb,DE\n")
    with project(tmp_path, plugins, kpi) as opened:
        assert len(opened.query("revenue", by="customers.country")) == 2
        (tmp_path / "customers.csv").write_text("customer,country\na,FR\na,DE\n")
        assert len(opened.query("revenue", by="customers.country")) == 2
    with project(tmp_path, plugins, kpi) as opened, pytest.raises(KpiError, match="has 2 rows with customer = a"):
        opened.query("revenue", by="customers.country").arrow()


def test_an_export_is_streamed_and_its_footer_names_the_engine(tmp_path: Path, plugins: Plugins) -> None:
    with project(tmp_path, plugins, TABLE) as opened:
        done = opened.export(metrics="revenue", by="month", out=tmp_path / "out.parquet")
        assert (done[0].rows, done[0].files) == (2, 1)
    found = pa.parquet.read_table(tmp_path / "out.parquet")
    assert found["revenue"].to_pylist() == [Decimal("10.50"), Decimal("5.25")]
    assert pa.parquet.read_metadata(tmp_path / "out.parquet").metadata[b"kpiengine_engine"] == b"twin 1.0"


def test_an_export_that_fails_in_its_middle_leaves_the_old_one(tmp_path: Path, plugins: Plugins, monkeypatch) -> None:
    with project(tmp_path, plugins, TABLE) as opened:
        opened.export(metrics="revenue", by="month", out=tmp_path / "out.parquet")
        before = (tmp_path / "out.parquet").read_bytes()

        def lost(self: TwinSession, statement: str) -> pa.RecordBatchReader:
            schema = pa.schema({"a": pa.date32(), "b": pa.string()})

            def batches() -> Any:
                yield pa.record_batch([pa.array(MONTHS), pa.array(["1", "2"])], schema=schema)
                raise EngineError("Twin: the connection was lost")

            return pa.RecordBatchReader.from_batches(schema, batches())

        monkeypatch.setattr(TwinSession, "reader", lost)
        with pytest.raises(EngineError, match=r"^Twin: the connection was lost$"):
            opened.export(metrics="revenue", by="month", out=tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_does_not_fit_is_named(tmp_path: Path, plugins: Plugins, monkeypatch) -> None:
    def rough(self: TwinSession, statement: str) -> pa.RecordBatchReader:
        return pa.table({"a": MONTHS, "b": ["1.005", "2.00"]}).to_reader()

    monkeypatch.setattr(TwinSession, "reader", rough)
    with (
        project(tmp_path, plugins, TABLE) as opened,
        pytest.raises(EngineError, match='Twin gave column "revenue" as string'),
    ):
        opened.query("revenue", by="month").arrow()


def test_metric_tests_run_on_the_engine(tmp_path: Path, plugins: Plugins) -> None:
    test = (
        "  - name: sums {0}\n    given: {{orders: [{{id: 1, amount: {0}, ordered_at: 2026-01-05}}]}}\n"
        "    query: {{metrics: [revenue]}}\n    expect: [{{revenue: 2}}]\n"
    )
    with project(tmp_path, plugins, f"{TABLE}tests:\n{test.format(2)}{test.format(3)}") as opened:
        assert [(r.name, r.passed) for r in opened.test()] == [("sums 2", True), ("sums 3", False)]
        assert Twin.loads == ["kpi_orders", "kpi_orders_2"]
        assert Twin.sessions == 1  # for all of them
        assert [r.passed for r in opened.test("sums 2")] == [True]
        assert Twin.sessions == 2  # and closed


def test_an_engine_is_chosen(tmp_path: Path, plugins: Plugins) -> None:
    kpi = "engines:\n  twin: {threads: 2}\n  duckdb: {threads: 1}\nsources:\n  orders: {from: {table: shop.sales}, time: ordered_at}\n"
    with project(tmp_path, plugins, kpi, engine="TWIN") as opened:
        assert opened.query("revenue").rows() == [{"revenue": Decimal("15.75")}]
    with (
        project(tmp_path, plugins, kpi) as opened,
        pytest.raises(DefinitionError, match="DuckDB in memory has none of its own"),
    ):
        opened.query("revenue").rows()


@pytest.mark.parametrize(
    ("kpi", "told"),
    [
        ("engine: twni\n", 'kpi.yaml:1:9: there is no engine "twni"  (did you mean "twin"?)'),
        ("engine: {twin: {thread: 2}}\n", 'kpi.yaml:1:17: unknown key "thread" in engine "twin"  (did you mean "threads"?)'),
        ("engine: twin\nengines: {twin: {threads: many}}\n", '"threads" of engine "twin" must be a whole number, not "many"'),
        ("engine: {twin: {threads: 1}}\nengines: {twin: {threads: 2}}\n", 'engine "twin" has settings here and under engines: give them once'),
        ("engines: {abacus: {}}\n", 'kpi.yaml:1:11: there is no engine "abacus"'),
    ],
)  # fmt: skip
def test_what_is_wrong_with_engines(tmp_path: Path, plugins: Plugins, kpi: str, told: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        project(tmp_path, plugins, kpi + "sources: {}\n", "metrics: {}\n")
    assert told in str(caught.value)
    assert len(caught.value.problems) == 1


def test_an_engine_on_the_command_line_that_there_is_not(tmp_path: Path, plugins: Plugins) -> None:
    with pytest.raises(UsageError, match=r'^there is no engine "twun"  \(did you mean "twin"\?\)$'):
        project(tmp_path, plugins, "sources: {}\n", "metrics: {}\n", engine="twun")


def test_an_engine_that_is_not_installed_says_what_to_install(tmp_path: Path, plugins: Plugins, monkeypatch) -> None:
    monkeypatch.setattr(Twin, "modules", ("no_such_module", "duckdb"))
    monkeypatch.setattr(Twin, "extra", "kpiengine[twin]")
    with project(tmp_path, plugins, TABLE) as opened, pytest.raises(EngineError) as caught:
        opened.query("revenue")
    assert str(caught.value) == 'kpi.yaml:1:9: Twin needs no_such_module: pip install "kpiengine[twin]"'
