"""Run in a peer's environment: `python -m bench.peers.child PEER DATA THREADS PAIRS`. Prints a JSON object a line."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import duckdb

from bench.compare import difference
from bench.measure import Took, ratio, timed
from bench.workloads import TABLES, WORKLOADS


def main(peer: str, data: Path, threads: int, pairs: int) -> None:
    """Compares each answer with the expert's, then times pairs of the two statements on one connection."""
    views = [f"CREATE VIEW {table} AS FROM '{data / table}.parquet'" for table in TABLES]
    form: Any = import_module(f"bench.peers.with_{peer}")
    statements = form.statements(views)
    connection = duckdb.connect(config={"threads": threads})
    for view in views:
        connection.execute(view)

    def rows(statement: str) -> Any:
        return connection.sql(statement).to_arrow_table()

    for workload in WORKLOADS:
        if workload.name not in statements:
            print(json.dumps({"workload": workload.name, "peer": peer, "told": "cannot express it"}), flush=True)
            continue
        told = difference(rows(statements[workload.name]), rows(workload.expert), workload.keys)
        if told:
            print(json.dumps({"workload": workload.name, "peer": peer, "told": f"another answer: {told}"}), flush=True)
            continue
        its: list[Took] = []
        experts: list[Took] = []
        for turn in range(pairs):
            for side in ("its", "expert") if turn % 2 else ("expert", "its"):
                took = timed(rows, workload.expert if side == "expert" else statements[workload.name])[0]
                (experts if side == "expert" else its).append(took)
        wall = ratio([t.wall for t in its], [t.wall for t in experts])
        cpu = ratio([t.cpu for t in its], [t.cpu for t in experts])
        found = {"ratio": wall.median, "low": wall.low, "high": wall.high, "cpu": cpu.median}
        print(json.dumps({"workload": workload.name, "peer": peer, **found}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
