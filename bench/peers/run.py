"""`python -m bench peers`: semantic layers that install from PyPI, to the expert's SQL, each in its own environment."""

from __future__ import annotations

import json
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.results import save
from bench.venvs import ROOT, environment

PEERS = ("sidemantic", "bsl")
LEFT_OUT = "metricflow: left out, since what it needs (dbt-core) fetches a file from outside PyPI while it is installed"


def peers(data: Path, pairs: int, threads: int) -> list[dict[str, Any]]:
    """Rows with `workload`, `peer` and a ratio, or `told` why there is none; prints a line each."""
    found = []
    for peer in PEERS:
        form: Any = import_module(f"bench.peers.with_{peer}")
        try:
            python = environment(f"peer-{peer}", form.REQUIRES)
        except subprocess.CalledProcessError as error:
            print(f"{peer}: does not install here ({error})", flush=True)
            continue
        command = [str(python), "-m", "bench.peers.child", peer, str(data.resolve()), str(threads), str(pairs)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"{peer}: {(done.stderr.strip().splitlines() or ['ended without a word'])[-1]}", flush=True)
        for row in map(json.loads, done.stdout.splitlines()):
            shown = f"{row['ratio']:.2f} ({row['low']:.2f}–{row['high']:.2f})" if "ratio" in row else row["told"]
            print(f"{row['workload']:<16} {peer:<11} {shown}", flush=True)
            found.append(row)
    print(LEFT_OUT, flush=True)
    save("peers", found, pairs=pairs)
    return found
