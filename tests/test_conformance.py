"""What every engine has to give as DuckDB does."""

from __future__ import annotations

from pathlib import Path

import yaml

from kpiengine.testing.conformance import conformance

REFUSED = yaml.safe_load((Path(__file__).parent / "refusals.yaml").read_text("utf-8"))

test_postgres = conformance(
    "postgres", lambda request: {"url": request.getfixturevalue("postgres_url")}, REFUSED["postgres"]
)
test_clickhouse = conformance("clickhouse", refuses=REFUSED["clickhouse"])
test_datafusion = conformance("datafusion", refuses=REFUSED["datafusion"])
# Sail stands in for Spark, whose own cluster runs a sample of cases.
test_sail = conformance("spark", lambda request: {"remote": request.getfixturevalue("sail_remote")}, REFUSED["spark"])
