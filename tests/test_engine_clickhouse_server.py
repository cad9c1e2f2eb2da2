"""ClickHouse servers as an engine, against chDB behind ClickHouse's HTTP interface (tests/servers/clickhouse.py)."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest

import kpiengine
from kpiengine.doctor import findings
from kpiengine.engine import EngineContext
from kpiengine.errors import DataError, EngineError, KpiError
from kpiengine.plugins import installed
from kpiengine.project import Project
from kpiengine.testing import Case, OnEngine, load_cases, run_case
from kpiengine_plugins.engines._clickhouse_server import ServerSession
from kpiengine_plugins.engines.clickhouse import ClickHouse

pytestmark = pytest.mark.engine

CASES = [case for path in sorted((Path(__file__).parent / "cases").glob("*.yaml")) for case in load_cases(path)]
LONG = "SELECT sum(cityHash64(number)) FROM numbers(60000000000)"


# A sample of what the embedded engine is asked.
@pytest.mark.parametrize("case", [c for c in CASES if c.error is None and "clickhouse" not in c.not_on][::30], ids=str)
def test_case(case: Case, tmp_path: Path, clickhouse_url: str) -> None:
    run_case(case, OnEngine("clickhouse", {"url": clickhouse_url}), tmp_path)


@pytest.fixture
def session(clickhouse_url: str) -> Iterator[ServerSession]:
    opened = ClickHouse().open({"url": clickhouse_url}, EngineContext(Path()))
    assert isinstance(opened, ServerSession)
    yield opened
    opened.close()


def project(folder: Path, options: str, source: str, formula: str = "sum(id)") -> Project:
    (folder / "metrics").mkdir(exist_ok=True)
    (folder / "kpi.yaml").write_text(
        f"engine: {{clickhouse: {options}}}\nsources:\n  orders: {{from: {source}, time: at}}\n"
    )
    (folder / "metrics" / "m.yaml").write_text(f'metrics:\n  m: {{source: orders, formula: "{formula}"}}\n')
    return kpiengine.open(folder)


def told(error: type[KpiError], folder: Path, options: str, source: str) -> str:
    with project(folder, options, source) as opened, pytest.raises(error) as caught:
        opened.query("m").arrow()
    return str(caught.value)


def test_tables_stay_there(tmp_path: Path, clickhouse_url: str) -> None:
    with clickhouse_connect.get_client(dsn=clickhouse_url) as client:
        client.command("CREATE DATABASE IF NOT EXISTS shop")
        client.command(
            "CREATE OR REPLACE TABLE shop.orders (id Int64, at Nullable(Date), kind Enum('a' = 1)) ENGINE = Memory"
        )
        client.command("INSERT INTO shop.orders VALUES (7, '2026-01-05', 'a'), (1, NULL, 'a')")
    with project(tmp_path, f"{{url: '{clickhouse_url}'}}", "{table: shop.orders}") as opened:
        result = opened.query("m", ["month", "kind"])
        assert "shop.orders" in result.sql
        first, last = result.rows()
        assert first == {"month": dt.date(2026, 1, 1), "kind": "a", "m": 7}
        assert last == {"month": None, "kind": "a", "m": 1}


def test_rows_are_handed_over_to_the_session(tmp_path: Path, clickhouse_url: str) -> None:
    (tmp_path / "o.csv").write_text("id,at,price\n1,2026-01-05,1.5\n2,,\n")
    with project(tmp_path, f"{{url: '{clickhouse_url}'}}", "o.csv") as opened:
        assert opened.query("m", "month").rows()[-1] == {"month": None, "m": 2}
        assert opened.query("m").rows() == [{"m": 3}]


def test_a_statement_may_run_while_another_is_read(session: ServerSession) -> None:
    rows = session.reader("SELECT number FROM numbers(200000)")
    first = rows.read_next_batch().num_rows
    assert session.rows("SELECT 2") == [(2,)]
    assert first + sum(batch.num_rows for batch in rows) == 200000


def test_what_runs_is_stopped_by_its_id(session: ServerSession) -> None:
    threading.Timer(0.5, session.interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        session.rows(LONG)
    assert session.rows("SELECT 3") == [(3,)]


def test_no_answer_in_time(clickhouse_url: str) -> None:
    session = ClickHouse().open({"url": clickhouse_url, "timeout": 1}, EngineContext(Path()))
    try:
        with pytest.raises(EngineError, match=r"gave no answer within 1 s; timeout: in kpi.yaml takes more seconds"):
            session.rows(LONG)
    finally:
        session.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("s3cret", "wr0ng"), "cannot be used: kpi: Authentication failed: password is incorrect; its url stands in"),
        (("127.0.0.1:", "127.0.0.1:1/?"), "ClickHouse at 127.0.0.1:1 cannot be used: Connection refused"),
        (("http:", "clickhouse:"), "the url of a server's HTTP interface is http://host:8123 or https://host:8443"),
    ],
)
def test_no_connection(change: tuple[str, str], message: str, tmp_path: Path, clickhouse_url: str) -> None:
    error = told(EngineError, tmp_path, f"{{url: '{clickhouse_url.replace(*change)}'}}", "{table: shop.orders}")
    assert error.startswith("kpi.yaml:1:")
    assert message in error
    assert "s3cret" not in error and "wr0ng" not in error


def test_no_such_table(tmp_path: Path, clickhouse_url: str) -> None:
    error = told(DataError, tmp_path, f"{{url: '{clickhouse_url}'}}", "{table: default.nothing}")
    assert "default.nothing" in error and "In scope" not in error


def test_no_such_database(tmp_path: Path, clickhouse_url: str) -> None:
    error = told(DataError, tmp_path, f"{{url: '{clickhouse_url}'}}", "{table: nowhere.orders}")
    assert "Database nowhere does not exist" in error


def test_a_server_or_a_folder(tmp_path: Path, clickhouse_url: str) -> None:
    error = told(EngineError, tmp_path, f"{{url: '{clickhouse_url}', path: x}}", "{table: shop.orders}")
    assert "url is a server's and path is chDB's" in error


def test_the_doctor_asks_the_server(tmp_path: Path, clickhouse_url: str) -> None:
    project(tmp_path, f"{{url: '{clickhouse_url}'}}", "{table: shop.orders}").close()
    found = {finding.name: finding for finding in findings(tmp_path, installed())}["engine clickhouse"]
    assert found.state == "ok" and found.told.startswith("ClickHouse 2")
