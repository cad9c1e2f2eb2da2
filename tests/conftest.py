"""Fixtures: golden files, and the servers of other engines."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from kpiengine.testing import Golden
from kpiengine.testing.conformance import Group

from .servers.connect import SparkConnect
from .servers.postgres import postgres_url  # noqa: F401  (a fixture)
from .servers.sail import sail_remote  # noqa: F401
from .servers.spark import spark_cluster, spark_remote  # noqa: F401

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


@pytest.fixture(scope="session")
def sail(sail_remote: str) -> Iterator[SparkConnect]:  # noqa: F811
    """Sail, the second engine that every case runs on."""
    engine = SparkConnect("sail", sail_remote)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def spark(spark_remote: str) -> Iterator[SparkConnect]:  # noqa: F811
    """Real Spark, for a sample."""
    engine = SparkConnect("spark", spark_remote)
    yield engine
    engine.close()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Engines that are asked the same go to one worker, where DuckDB is asked it once."""
    for item in items:
        group = getattr(item, "callspec", None) and item.callspec.params.get("group")  # type: ignore[attr-defined]
        if isinstance(group, Group):
            item.add_marker(pytest.mark.xdist_group(f"conformance: {group}"))
