"""Apache Spark: a standalone master, two workers and a Connect server, from the pip-installed pyspark."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from .processes import Server, free_port

OLDEST_JAVA = 17
NO_JAVA = f"Spark needs Java {OLDEST_JAVA} or later (Debian: apt install openjdk-17-jre-headless)"


def java() -> str | None:
    """Java's folder (JAVA_HOME), or "" for the one on the PATH; None where there is none that is new enough."""
    debian = sorted(Path("/usr/lib/jvm").glob("java-1.17.*/bin/java"))
    places = [os.environ.get("JAVA_HOME"), *(str(path.parent.parent) for path in debian), ""]
    return next((place for place in places if place is not None and _version(place) >= OLDEST_JAVA), None)


def _version(home: str) -> int:
    program = f"{home}/bin/java" if home else shutil.which("java")
    if not program or not Path(program).exists():
        return 0
    told = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    return int(found[1]) if found else 0


@dataclass(frozen=True)
class Cluster:
    """A running cluster: `remote` is what a client calls it (`sc://…`), `ui` the address of its REST interface."""

    remote: str
    ui: str
    servers: Mapping[str, Server]

    def executors(self) -> list[int]:
        """The process ids of the executors that run at the moment: Java's, started by the workers."""
        workers = {server.process.pid for name, server in self.servers.items() if name.startswith("worker")}
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended meanwhile
                if b"CoarseGrainedExecutorBackend" in (place / "cmdline").read_bytes():
                    found.append(int(place.name))
        return [number for number in found if os.getpgid(number) in workers]


@contextmanager
def cluster(folder: Path, memory: str = "700m", **settings: str) -> Iterator[Cluster]:
    """A cluster whose files are below `folder`: `memory` for the driver and for each of two executors of one core.

    `settings` are Spark's, with `_` for `.`. All its processes end with the block, whatever ends it.
    """
    home = java()
    if home is None:
        pytest.skip(NO_JAVA)
    import pyspark

    spark = Path(pyspark.__file__).parent
    env = {
        **({"JAVA_HOME": home} if home else {}),
        "SPARK_HOME": str(spark),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_LOCAL_HOSTNAME": "127.0.0.1",
        "SPARK_LOCAL_DIRS": str(folder / "local"),
        "SPARK_WORKER_DIR": str(folder / "work"),
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": "-XX:+UseSerialGC",
    }
    master_port, connect_port, ui_port = free_port(), free_port(), free_port()
    with ExitStack() as stack:
        servers: dict[str, Server] = {}

        def start(name: str, command: list[str], **more: str) -> Server:
            servers[name] = Server(command, folder / f"{name}.log", {**env, **more})
            stack.callback(servers[name].stop)
            return servers[name]

        run = str(spark / "bin" / "spark-class")
        master = ["org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(master_port)]
        start("master", [run, *master, "--webui-port", "0"]).wait_for("I have been elected leader", 60)
        address = f"spark://127.0.0.1:{master_port}"
        worker = ["org.apache.spark.deploy.worker.Worker", "--host", "127.0.0.1", "--webui-port", "0"]
        for number in (1, 2):
            start(f"worker{number}", [run, *worker, "-c", "1", "-m", "2g", address])
        chosen = {**_settings(memory, connect_port, ui_port, folder), **_dotted(settings)}
        connect = [str(spark / "bin" / "spark-submit"), "--name", "kpiengine tests", "--master", address]
        for name, value in chosen.items():
            connect += ["--conf", f"{name}={value}"]
        connect += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal"]
        start("connect", connect, SPARK_DAEMON_MEMORY=memory).wait_for(connect_port, 120)
        yield Cluster(f"sc://127.0.0.1:{connect_port}", f"http://127.0.0.1:{ui_port}", servers)


def _settings(memory: str, connect_port: int, ui_port: int, folder: Path) -> dict[str, str]:
    return {
        "spark.driver.memory": memory,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.executor.memory": memory,
        "spark.executor.cores": "1",
        "spark.connect.grpc.binding.address": "127.0.0.1",
        "spark.connect.grpc.binding.port": str(connect_port),
        "spark.ui.port": str(ui_port),
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        # For the few rows of a test; each partition is a task.
        "spark.sql.shuffle.partitions": "2",
        "spark.default.parallelism": "2",
    }


def _dotted(settings: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "."): value for name, value in settings.items()}


@pytest.fixture(scope="session")
def spark_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of real Spark, for all tests of the group `spark`."""
    with cluster(tmp_path_factory.mktemp("spark")) as running:
        yield running


@pytest.fixture(scope="session")
def spark_remote(request: pytest.FixtureRequest) -> str:
    """`sc://127.0.0.1:port` of real Spark; `KPI_TEST_SPARK` names a server that is running already."""
    running: Cluster | None = None
    if "KPI_TEST_SPARK" not in os.environ:
        running = request.getfixturevalue("spark_cluster")
    return running.remote if running else os.environ["KPI_TEST_SPARK"]
