"""One query in a process of its own, for its peak of memory: `python -m bench.child '{"side": "ours", …}'`.

Reads a JSON object from its argument (see `ask`) and prints one: seconds, the peak in MB, how many rows came.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench.venvs import ROOT


def ask(**given: Any) -> dict[str, Any]:
    """Runs a child. `side` is ours or expert; `data`, `threads`, and `expert` (SQL) or `metrics`, `by`, `project`.

    `times` runs it again and takes the median; `export` writes Parquet; `memory` is DuckDB's limit ("2GB").
    """
    command = [sys.executable, "-m", "bench.child", json.dumps(given)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or ["no word"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _main(given: dict[str, Any]) -> dict[str, Any]:
    found = _expert(given) if given["side"] == "expert" else _ours(given)
    return {**found, "peak_mb": round(_peak() / 2**20)}


def _peak() -> int:
    """The most memory that this process had, in bytes. Linux's ru_maxrss begins with that of the parent."""
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(status.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _expert(given: dict[str, Any]) -> dict[str, Any]:
    from bench.sides import Expert

    expert = Expert(Path(given["data"]), given["threads"])
    if given.get("memory"):
        expert.connection.execute(f"SET memory_limit = '{given['memory']}'")
    return _measured(
        lambda: expert.export(given["expert"]) if given.get("export") else expert.arrow(given["expert"]), given
    )


def _ours(given: dict[str, Any]) -> dict[str, Any]:
    from bench.sides import Ours
    from bench.workloads import Workload

    begun = time.perf_counter()
    ours = Ours(
        Path(given["data"]),
        given["threads"],
        None,
        given.get("memory"),
        Path(given["project"]) if "project" in given else None,
    )
    workload = Workload("child", given["metrics"], (), given.get("by"))
    first = ours.query(workload)[0].wall
    opened = time.perf_counter() - begun - first
    compiled = sorted(ours.query(workload)[0].wall for _ in range(3))[1]
    if given.get("times") == 0:
        return {"opened": opened, "first": first, "compiled": compiled}
    run = (lambda: ours.export(workload)) if given.get("export") else (lambda: ours.arrow(workload)[2])
    return {"opened": opened, "first": first, "compiled": compiled, **_measured(run, given)}


def _measured(call: Any, given: dict[str, Any]) -> dict[str, Any]:
    took = []
    rows = None
    for _ in range(given.get("times", 3)):
        begun, before = time.perf_counter(), time.process_time()
        found = call()
        took.append((time.perf_counter() - begun, time.process_time() - before))
        rows = None if found is None else found.num_rows
        del found
    middle = len(took) // 2
    return {"wall": sorted(w for w, _ in took)[middle], "cpu": sorted(c for _, c in took)[middle], "rows": rows}


if __name__ == "__main__":
    print(json.dumps(_main(json.loads(sys.argv[1]))))
