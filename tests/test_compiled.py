"""A query that was compiled before: the same bytes, and never once anything that it stands on has changed."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import kpiengine
from kpiengine import cache, compiled
from kpiengine.cli.again import answer_again
from kpiengine.cli.formats import Rows, Target, writer
from kpiengine.cli.formats.plain import WRITERS
from kpiengine.cli.main import cli
from kpiengine.cli.output import Destination, looks
from kpiengine.cli.state import State
from kpiengine.compiled import Asked, CompiledQuery
from kpiengine.testing import Case, load_cases

CASES = [
    case
    for path in sorted((Path(__file__).parent / "cases").glob("*.yaml"))
    for case in load_cases(path)
    if case.error is None and "duckdb" not in case.not_on
][::4]
"""Every fourth case: each takes two compilations and a file."""


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SETTLED", 0)
    monkeypatch.setattr(cache, "SETTLED_COARSE", 0)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def state() -> Iterator[State]:
    made = State()
    yield made
    made.close()


READ_ELSEWHERE = ("a query over a file", "a query that reads nothing of the project")
"""Cases whose `{sql: …}` reads what is no source."""


def reads_arrow(case: Case) -> bool:
    """Whether a kind fits a model in Python, whose numbers come to the statement as rows."""
    return any(name in json.dumps([case.kpi, case.metrics, case.query], default=str) for name in ("bgnbd", "pareto"))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_was_compiled_before_writes_the_same_bytes(case: Case, tmp_path: Path, state: State) -> None:
    case.write(tmp_path)
    query = dict(case.query or {})
    asked = Asked.of(tmp_path, {"query": json.dumps(query, default=str)})
    assert asked is not None
    assert asked.find() is None
    with kpiengine.open(tmp_path) as project:
        result = project.query(**query)
        table = result.arrow()
        result.keep(asked, table.num_rows)
    found = asked.find()
    if reads_arrow(case) or case.name in READ_ELSEWHERE:
        assert found is None
        return
    assert found is not None
    assert found.statement == result.sql
    name = ("table", "csv", "json")[CASES.index(case) % 3]
    expected, place = io.BytesIO(), tmp_path / f"out.{name}"
    writer(name)(Rows(table.schema, iter(table.to_batches())), looks(result.columns), Target(expected))
    assert answer_again(asked, found, Destination(name, place), state)
    assert place.read_bytes() == expected.getvalue()


# -- a project to change

KPI = """
name: shop
sources:
  orders: {from: ORDERS, time: ordered_at, joins: {customers: customer_id}}
  customers: {from: customers.csv, key: customer_id}
metrics:
  amount: {source: orders, formula: sum(amount), filters: ["channel <> '${WITHOUT:-none}'"]}
"""
MORE = "metrics:\n  orders: {source: orders, formula: count(*)}\n"
ORDERS = "customer_id,amount,channel,ordered_at\n1,10,web,2026-01-05\n2,20,shop,2026-02-10\n"
QUESTION = ("query", "amount", "--by", "month,customers.country", "--format", "csv")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "metrics").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "kpi.yaml").write_text(KPI.replace("ORDERS", "orders.csv"))
    (folder / "metrics" / "more.yaml").write_text(MORE)
    (folder / "orders.csv").write_text(ORDERS)
    (folder / "customers.csv").write_text("customer_id,country\n1,DE\n2,FR\n")
    return folder


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Grows by one whenever a project is opened: whenever a query is compiled."""
    seen: list[object] = []
    really = kpiengine.open

    def watched(path: Any = ".", engine: str | None = None) -> Any:
        seen.append(path)
        return really(path, engine)

    monkeypatch.setattr(kpiengine, "open", watched)
    return seen


def kpi(folder: Path, *arguments: str) -> str:
    got = CliRunner().invoke(cli, ["-C", str(folder), *(arguments or QUESTION)])
    assert got.exit_code == 0, got.output
    return got.stdout


def test_the_second_time_nothing_is_compiled(shop: Path, opened: list[object]) -> None:
    first = kpi(shop)
    assert first == "month,country,amount\n2026-01-01,DE,10\n2026-02-01,FR,20\n"
    assert kpi(shop) == first
    assert kpi(shop) == first
    assert len(opened) == 1


def test_another_format_is_the_same_query(shop: Path, opened: list[object], tmp_path: Path) -> None:
    kpi(shop)
    kpi(shop, *QUESTION[:-1], "parquet", "--out", str(tmp_path / "a.parquet"))
    assert pq.read_table(tmp_path / "a.parquet").to_pylist()[1]["amount"] == 20
    assert json.loads(kpi(shop, *QUESTION[:-1], "json"))[0]["country"] == "DE"
    assert len(opened) == 1


def test_results_are_read_each_time(shop: Path, opened: list[object]) -> None:
    (shop / "kpi.yaml").write_text(KPI.replace("ORDERS", "orders.csv").replace("sum(amount)", "max(random())"))
    assert kpi(shop, "query", "orders", "--by", "none", "--format", "csv") == "orders\n2\n"


CHANGES: Mapping[str, Callable[[Path], object]] = {
    "kpi.yaml": lambda shop: (shop / "kpi.yaml").write_text((shop / "kpi.yaml").read_text() + "\n# more\n"),
    "a file of metrics": lambda shop: (shop / "metrics" / "more.yaml").write_text(MORE + "# more\n"),
    "a new file of metrics": lambda shop: (shop / "metrics" / "new.yml").write_text("metrics: {}\n"),
    "a metric's file gone": lambda shop: (shop / "metrics" / "more.yaml").unlink(),
    "rows": lambda shop: (shop / "orders.csv").write_text(ORDERS + "2,5,web,2026-03-01\n"),
    "the joined rows": lambda shop: (shop / "customers.csv").write_text("customer_id,country\n1,DE\n2,IT\n"),
    "another file moved there": lambda shop: _moved(shop / "orders.csv"),
}


def _moved(file: Path) -> None:
    """A file of the same size and time."""
    other, before = file.with_name("other"), file.stat()
    other.write_text(file.read_text().replace("20", "30", 1).replace("30", "20", 1))
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(file)


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(shop: Path, opened: list[object], change: str) -> None:
    kpi(shop)
    CHANGES[change](shop)
    with kpiengine.open(shop) as project:
        truth = project.query("amount", by="month,customers.country").rows()
    opened.clear()
    shown = kpi(shop)
    assert [float(line.split(",")[-1]) for line in shown.splitlines()[1:]] == [row["amount"] for row in truth]
    assert len(opened) == 1


def test_a_key_that_became_double_is_told(shop: Path) -> None:
    kpi(shop)
    (shop / "customers.csv").write_text("customer_id,country\n1,DE\n1,FR\n")
    got = CliRunner().invoke(cli, ["-C", str(shop), *QUESTION])
    assert got.exit_code == 1
    assert "has 2 rows with customer_id = 1" in got.stderr


def test_a_file_that_is_gone_is_told(shop: Path) -> None:
    kpi(shop)
    (shop / "orders.csv").unlink()
    got = CliRunner().invoke(cli, ["-C", str(shop), *QUESTION])
    assert got.exit_code == 1
    assert "no such file" in got.stderr


@pytest.mark.parametrize(
    ("options", "variables"),
    [
        (("--where", "amount > 15"), {}),
        ((), {"WITHOUT": "web"}),
        ((), {"KPI_PLUGINS_BLOCK": "excel"}),
        ((), {"OTHER": "1"}),
    ],
)
def test_another_question_or_environment_is_another_query(
    shop: Path, opened: list[object], monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], variables: dict[str, str]
) -> None:  # fmt: skip
    kpi(shop)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    kpi(shop, *QUESTION, *options)
    assert len(opened) == (1 if "OTHER" in variables else 2)


@pytest.mark.parametrize("pattern", ["data/*.csv", "data/**/*.csv", "[data/a.csv, data/b*.csv]"])
def test_a_new_file_of_a_pattern_is_seen(shop: Path, opened: list[object], pattern: str) -> None:
    (shop / "data" / "a.csv").write_text(ORDERS)
    (shop / "data" / "b.csv").write_text(ORDERS)
    source = pattern if pattern.startswith("[") else f'"{pattern}"'
    (shop / "kpi.yaml").write_text(KPI.replace("from: ORDERS", f"from: {{csv: {{path: {source}}}}}"))
    first = kpi(shop)
    assert first.splitlines()[1] == "2026-01-01,DE,20"
    assert kpi(shop) == first
    assert len(opened) == 1
    (shop / "data" / "b2.csv").write_text(ORDERS)
    assert kpi(shop).splitlines()[1] == "2026-01-01,DE,30"
    (shop / "data" / "b2.csv").unlink()
    assert kpi(shop) == first


def test_a_new_file_of_a_folder_is_seen(shop: Path, opened: list[object]) -> None:
    rows = pa.table({"customer_id": [1], "amount": [10], "channel": ["web"], "ordered_at": ["2026-01-05"]})
    for month in ("01", "02"):
        (shop / "data" / f"month={month}").mkdir()
        pq.write_table(rows, shop / "data" / f"month={month}" / "a.parquet")
    (shop / "kpi.yaml").write_text(KPI.replace("ORDERS", "{parquet: data}").replace("time: ordered_at, ", ""))
    question = ("query", "amount", "--by", "none", "--format", "csv")
    assert kpi(shop, *question) == kpi(shop, *question) == "amount\n20\n"
    assert len(opened) == 1
    (shop / "data" / "month=03").mkdir()
    pq.write_table(rows, shop / "data" / "month=03" / "a.parquet")
    assert kpi(shop, *question) == "amount\n30\n"


def test_a_database_is_read_again_when_it_is_written_to(shop: Path, opened: list[object]) -> None:
    with duckdb.connect(str(shop / "shop.duckdb")) as database:
        database.execute("CREATE TABLE orders AS FROM read_csv(?)", [str(shop / "orders.csv")])
    (shop / "kpi.yaml").write_text(KPI.replace("ORDERS", "{duckdb: {path: shop.duckdb, table: orders}}"))
    first = kpi(shop)
    assert kpi(shop) == first
    assert len(opened) == 1
    with duckdb.connect(str(shop / "shop.duckdb"), config={"checkpoint_threshold": "1TB"}) as database:
        database.execute("PRAGMA disable_checkpoint_on_shutdown")
        database.execute("UPDATE orders SET amount = amount + 1")
    assert (shop / "shop.duckdb.wal").exists()
    assert kpi(shop) != first
    kpi(shop)
    assert len(opened) == 3


def test_a_database_with_views_is_compiled_each_time(shop: Path, opened: list[object]) -> None:
    with duckdb.connect(str(shop / "shop.duckdb")) as database:
        database.execute(f"CREATE VIEW orders AS FROM read_csv('{shop / 'orders.csv'}')")
    (shop / "kpi.yaml").write_text(KPI.replace("ORDERS", "{duckdb: {path: shop.duckdb, table: orders}}"))
    kpi(shop)
    kpi(shop)
    assert len(opened) == 2


@pytest.mark.parametrize(
    "source",
    [
        "{sql: \"select * from read_csv('orders.csv')\"}",
        "{sql: \"select * from 'orders.csv'\"}",
        "{csv: {path: latin.csv, encoding: cp1252}}",
        "{arrow: orders.arrow}",
    ],
)
def test_what_duckdb_does_not_read_itself_is_compiled_each_time(shop: Path, opened: list[object], source: str) -> None:
    (shop / "latin.csv").write_text(ORDERS + "2,1,Köln,2026-01-01\n", encoding="cp1252")
    table = duckdb.sql(f"FROM read_csv('{shop / 'orders.csv'}')").to_arrow_table()
    with pa.ipc.new_file(shop / "orders.arrow", table.schema) as file:
        file.write_table(table)
    (shop / "kpi.yaml").write_text(KPI.replace("ORDERS", source))
    assert kpi(shop) == kpi(shop)
    assert len(opened) == 2


def test_a_query_over_other_sources_is_known_by_their_files(shop: Path, opened: list[object]) -> None:
    text = KPI.replace("ORDERS", '{sql: "select * from raw where amount > 0"}')
    (shop / "kpi.yaml").write_text(text.replace("sources:", "sources:\n  raw: {from: orders.csv}"))
    first = kpi(shop)
    assert kpi(shop) == first
    assert len(opened) == 1
    (shop / "orders.csv").write_text(ORDERS.replace("20", "25"))
    assert kpi(shop) != first


def test_a_source_that_comes_later_is_seen(shop: Path) -> None:
    """A metric has a substitute as long as its source is not there."""
    extra = "  other: {source: gone, formula: sum(amount), otherwise: {source: orders, formula: sum(amount)}}\n"
    (shop / "kpi.yaml").write_text(KPI.replace("ORDERS", "orders.csv") + extra)
    question = ("query", "other", "--by", "none", "--format", "csv")
    assert kpi(shop, *question) == kpi(shop, *question) == "other\n30\n"
    (shop / "gone.csv").write_text("amount\n7\n")
    text = (shop / "kpi.yaml").read_text().replace("sources:", "sources:\n  gone: {from: gone.csv}")
    (shop / "kpi.yaml").write_text(text)
    assert kpi(shop, *question) == kpi(shop, *question) == "other\n7\n"


# -- days


@pytest.mark.parametrize(
    ("options", "moves"),
    [
        (("--since", "-90d"), True),
        (("--until", "today"), True),
        (("--as-of", "-3 months"), True),
        (("--since", "2026-01-01", "--until", "2026-03"), False),
        (("--since", "jalali:1404-10-11"), False),
    ],
)
def test_a_date_that_moves_is_counted_from_its_own_day(
    shop: Path, opened: list[object], monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], moves: bool
) -> None:
    kpi(shop, *QUESTION, *options)
    kpi(shop, *QUESTION, *options)
    assert len(opened) == 1
    monkeypatch.setattr(compiled, "today_in", lambda zone, now=None: "2999-01-01")
    kpi(shop, *QUESTION, *options)
    assert len(opened) == (2 if moves else 1)


def test_the_day_is_that_of_the_time_zone() -> None:
    evening = 1_774_994_400_000_000_000  # 2026-03-31 22:00 UTC
    assert compiled.today_in("UTC", evening) == "2026-03-31"
    assert compiled.today_in("Asia/Tehran", evening) == "2026-04-01"


# -- what is kept


def test_no_secret_is_kept(shop: Path, opened: list[object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WITHOUT", "hunter2-the-secret")
    kpi(shop)
    kpi(shop)
    assert len(opened) == 2
    for file in (tmp_path / "cache").rglob("*"):
        assert file.is_dir() or b"hunter2" not in file.read_bytes()


def test_off_keeps_nothing(shop: Path, opened: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_CACHE", "off")
    kpi(shop)
    kpi(shop)
    assert len(opened) == 2


def test_a_file_written_to_while_it_was_compiled_is_not_believed(shop: Path) -> None:
    asked = Asked.of(shop, {})
    assert asked is not None
    with kpiengine.open(shop) as project:
        result = project.query("amount", by="month")
        result.arrow()
        (shop / "orders.csv").write_text(ORDERS)
        result.keep(asked, 2)
    assert asked.find() is None


def test_a_project_written_to_while_it_was_compiled_is_not_believed(shop: Path) -> None:
    asked = Asked.of(shop, {})
    assert asked is not None
    (shop / "kpi.yaml").write_text((shop / "kpi.yaml").read_text().replace("sum(amount)", "max(amount)"))
    with kpiengine.open(shop) as project:
        result = project.query("amount", by="month")
        result.keep(asked, 2)
    assert asked.find() is None


def test_another_installation_is_another_key(shop: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "plugin-1.0.dist-info").mkdir()
    keys = [asked.key for asked in (Asked.of(shop, {}), Asked.of(shop, {})) if asked is not None]
    assert len(keys) == 2 and keys[0] == keys[1]
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    another = Asked.of(shop, {})
    assert another is not None and another.key != keys[0]


def test_a_plugin_that_was_edited_is_seen(shop: Path, tmp_path: Path) -> None:
    code = tmp_path / "plugin"
    code.mkdir()
    (code / "kind.py").write_text("x = 1")
    query = CompiledQuery("SELECT 1", (), (), (), code=((str(code), cache.tree_stamp(code)),))
    assert query.holds()
    (code / "kind.py").write_text("x = 10")
    assert not query.holds()


def test_every_plugin_is_known_by_its_code() -> None:
    from kpiengine.plugins import installed

    plugins = installed()
    plugins.metric_packages()
    names = {place.name for place in plugins.code()}
    assert {"kpiengine_plugins", "kpiengine_connectors", "kpiengine_metrics"} <= names


def test_a_query_comes_back_as_it_was(shop: Path) -> None:
    asked = Asked.of(shop, {})
    assert asked is not None
    query = CompiledQuery(
        "SELECT 1", (compiled.Column("درآمد", "metric", "EUR"), compiled.Column("month", "period", None)),
        ("SET x = 1",), (), (("nothing/*.here", ()),), (), ("Asia/Tehran", compiled.today_in("Asia/Tehran")), 12,
    )  # fmt: skip
    asked.keep(query)
    assert asked.find() == query


# -- where it does not go as before


def test_a_statement_that_fails_is_compiled_again(shop: Path, opened: list[object]) -> None:
    first = kpi(shop)
    options = {"metrics": ["amount"], "engine": None, "by": ["month,customers.country"]}
    asked = Asked.of(shop, options)
    found = asked.find() if asked is not None else None
    assert asked is not None and found is not None
    asked.keep(CompiledQuery("SELECT no_such_function(1)", found.columns, found.before, found.files, rows=2))
    assert kpi(shop) == first
    assert len(opened) == 2


def test_many_rows_come_by_arrow(shop: Path, opened: list[object]) -> None:
    lines = [f"1,{n},c{n},2026-01-05" for n in range(3000)]
    (shop / "orders.csv").write_text("customer_id,amount,channel,ordered_at\n" + "\n".join(lines) + "\n")
    question = ("query", "amount", "--by", "channel", "--format", "csv")
    first = kpi(shop, *question)
    assert len(first.splitlines()) == 3001
    assert kpi(shop, *question) == first
    assert len(opened) == 1


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "table"])
def test_few_rows_more_than_were_thought_come_whole(shop: Path, name: str, state: State, tmp_path: Path) -> None:
    asked = Asked.of(shop, {})
    assert asked is not None
    query = CompiledQuery("SELECT i FROM range(2000) AS r(i)", (), (), (), rows=5)
    assert answer_again(asked, query, Destination(name, tmp_path / "out"), state)
    assert (tmp_path / "out").read_text().count("\n") >= 2000
    kept = asked.find()
    assert kept is not None and kept.rows == 2000
