"""Sail: Spark Connect's protocol and Spark's SQL in one small process, up in a moment."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from .processes import Server, free_port

# Sail 0.7 asks the pyspark beside it for its version, and answers to none later than 4.1; the protocol is the same.
_SERVE = """
import sys, pyspark
pyspark.__version__ = "4.1.1"
from pysail.spark import SparkConnectServer
SparkConnectServer("127.0.0.1", int(sys.argv[1])).start(background=False)
"""


def started_sail(folder: Path) -> tuple[Server, str]:
    """A server, and what a client calls it: `sc://127.0.0.1:port`. The caller stops it."""
    port = free_port()
    server = Server([sys.executable, "-c", _SERVE, str(port)], folder / f"sail-{port}.log")
    try:
        server.wait_for(port, 60)
    except BaseException:
        server.stop()
        raise
    return server, f"sc://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def sail_remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`sc://127.0.0.1:port` of a Sail server."""
    server, remote = started_sail(tmp_path_factory.mktemp("sail"))
    yield remote
    server.stop()
