"""What was measured, kept under build/bench for the report: one JSON file for each kind of measurement."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.venvs import BUILD, ROOT

PACKAGES = ("duckdb", "sqlglot", "pyarrow", "polars", "pandas", "chdb")


def save(name: str, rows: list[dict[str, Any]], **about: Any) -> None:
    """Keeps rows of a measurement, with what they were measured on."""
    folder = BUILD / "results"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps({**machine(), **about, "rows": rows}, indent=1))


def load(name: str) -> dict[str, Any] | None:
    """A measurement, where there is one."""
    file: Path = BUILD / "results" / f"{name}.json"
    if not file.exists():
        return None
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def machine() -> dict[str, Any]:
    """Processor, memory, system, versions, commit and day."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        "day": dt.date.today().isoformat(),
        "commit": commit.stdout.strip(),
        "processor": _processor(),
        "processors": os.cpu_count(),
        "memory_gb": round(pages / 2**30),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
