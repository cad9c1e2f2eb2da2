"""Fixtures: golden files, and Sail, the second engine that every case runs on."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlglot
from hypothesis import HealthCheck, settings
from sqlglot import exp

from kpiengine.testing import CaseEngine, Golden

from .servers.postgres import postgres_url  # noqa: F401  (a fixture)

if TYPE_CHECKING:
    import pyarrow as pa

    from kpiengine.project import Project

GOLDEN = Path(__file__).parent / "cases" / "golden"

settings.register_profile(
    "here", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
# The same examples on every run: a red build is a change's fault.
settings.register_profile("ci", settings.get_profile("here"), derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing them")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests find out stays theirs, and what was found out before does not reach into them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KPI_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def golden(request: pytest.FixtureRequest) -> Golden:
    return Golden(GOLDEN, update=request.config.getoption("--update-golden"))


class Sail(CaseEngine):
    """Sail over Flight SQL, which speaks Spark's SQL. Cases become views over their Parquet files."""

    name = "sail"

    def __init__(self, address: str) -> None:
        from adbc_driver_flightsql import dbapi

        self.connection = dbapi.connect(address, autocommit=True)
        self.numbers = itertools.count(1)

    def execute(self, sql: str) -> pa.Table:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetch_arrow_table()

    def answer(self, project: Project, query: Mapping[str, Any], files: Mapping[str, Path]) -> pa.Table:
        number = next(self.numbers)
        views = {name: f"{name}_{number}" for name in files}
        for name, path in files.items():
            self.execute(f"CREATE OR REPLACE TEMP VIEW `{views[name]}` AS SELECT * FROM parquet.`{path}`")
        try:
            return self.execute(_dividing_safely(project.sql(**query, dialect="spark", tables=views)))
        finally:
            for view in views.values():
                self.execute(f"DROP VIEW `{view}`")

    def close(self) -> None:
        self.connection.close()


def _dividing_safely(sql: str) -> str:
    """Sail 0.7 now and then raises "Division by zero" for a divisor that is NULL, guarded or not: x·y⁻¹ in place of x / y.

    It depends on how rows fall into batches. DOUBLE only, which divisions of metrics are.
    """
    tree = sqlglot.parse_one(sql, dialect="spark")
    for node in reversed(list(tree.find_all(exp.Div))):
        if isinstance(node.expression, exp.Nullif):
            divisor = exp.paren(node.expression.this.copy())
            power = exp.Pow(this=divisor.copy(), expression=exp.Literal.number(-1))
            held = exp.NEQ(this=divisor, expression=exp.Literal.number(0))
            node.replace(exp.Case(ifs=[exp.If(this=held, true=exp.Mul(this=node.this.copy(), expression=power))]))
    return tree.sql("spark")


@pytest.fixture(scope="session")
def sail() -> Iterator[Sail]:
    from pysail.flight import FlightSqlServer

    server = FlightSqlServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    host, port = server.listening_address
    engine = Sail(f"grpc://{host}:{port}")
    yield engine
    engine.close()
    server.stop()
