"""A client of Spark Connect that cases are run by."""

from __future__ import annotations

import itertools
import logging
import warnings
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpiengine.testing import CaseEngine

if TYPE_CHECKING:
    import pyarrow as pa

    from kpiengine.project import Project

_OURS = {"spark.sql.session.timeZone": "UTC", "spark.sql.timestampType": "TIMESTAMP_NTZ"}


class SparkConnect(CaseEngine):
    """What speaks Spark Connect: real Spark, or Sail. Cases become views over their Parquet files."""

    def __init__(self, name: str, remote: str, settings: Mapping[str, str] | None = None) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pandas' version, which nothing here goes through
            from pyspark.sql.connect.session import SparkSession
        logging.getLogger("SQLQueryContextLogger").disabled = True
        self.name = name  # type: ignore[misc]
        self.session = SparkSession.builder.remote(remote).create()
        for key, value in {**_OURS, **(settings or {})}.items():
            self.session.conf.set(key, value)
        self.numbers = itertools.count(1)

    def execute(self, sql: str) -> pa.Table:
        # Not toArrow(): its cast to the types foretold fails where Sail foretells none.
        return self.session.sql(sql)._to_table()[0]

    def answer(self, project: Project, query: Mapping[str, Any], files: Mapping[str, Path]) -> pa.Table:
        number = next(self.numbers)
        views = {name: f"{name}_{number}" for name in files}
        for name, path in files.items():
            self.execute(f"CREATE OR REPLACE TEMP VIEW `{views[name]}` AS SELECT * FROM parquet.`{path}`")
        try:
            return self.execute(project.sql(**query, dialect="spark", tables=views))
        finally:
            with suppress(Exception):  # what went wrong before is to be told
                for view in views.values():
                    self.execute(f"DROP VIEW `{view}`")

    def close(self) -> None:
        self.session.stop()
