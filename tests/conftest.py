"""Fixtures: golden files, and the servers of other engines."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from kpiengine.testing import Golden
from kpiengine.testing.conformance import Group

from .servers.clickhouse import clickhouse_url  # noqa: F401
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


GROUPS = {
    "test_spark.py": "spark",
    "test_packaging.py": "wheel",
    "test_third_party.py": "wheel",
    "test_bench.py": "bench",
    "test_library.py": "library",
    "test_fast.py": "fast",
    "test_said.py": "said",
}
"""Files whose tests run in one process, one after the other: what they set up takes long, or much memory."""


_EXPORT_BY_SPARK = re.compile(r"test_export_\w+\.py::\w+(_on_spark$|\[spark\])")


def group_of(nodeid: str) -> str:
    """The group of a test, or the test itself."""
    if _EXPORT_BY_SPARK.search(nodeid):
        return "spark"
    return GROUPS.get(Path(nodeid.split("::", 1)[0]).name, nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Groups by file, the largest first. (pytest 9.2 does not see the names that xdist 3.8 gives to marked groups.)"""
    from xdist.scheduler import LoadScopeScheduling

    class Grouped(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return Grouped(config, log) if config.getvalue("dist") == "loadgroup" else None


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
