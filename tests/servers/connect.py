"""Spark, real or Sail, as cases are run on it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kpiengine
from kpiengine.testing import CaseEngine
from kpiengine_plugins.engines._spark_session import SparkEngineSession

if TYPE_CHECKING:
    import pyarrow as pa

    from kpiengine.project import Project


class SparkConnect(CaseEngine):
    """What speaks Spark Connect. Each case's project is opened once more, to run there."""

    def __init__(self, name: str, remote: str) -> None:
        self.name = name  # type: ignore[misc]
        self.remote = remote
        self.session = SparkEngineSession(remote, {}, True)

    def execute(self, sql: str) -> pa.Table:
        return self.session.reader(sql).read_all()

    def answer(self, project: Project, query: Mapping[str, Any], files: Mapping[str, Path]) -> pa.Table:
        with (project.root / "kpi.yaml").open("a", encoding="utf-8") as stream:
            stream.write(f"\nengines: {{spark: {{remote: '{self.remote}'}}}}\n")
        with kpiengine.open(project.root, engine="spark") as there:
            return there.query(**query).arrow()

    def close(self) -> None:
        self.session.close()
