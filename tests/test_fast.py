"""Cases on `sqlglot[c]`, compiled: it knows no subclasses, and is stricter about what it is given."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .test_cases import CASES

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "fast.txt"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    """Variables with which sqlglot is the compiled one, installed below build/ as it is locked."""
    made_of = LOCK.read_bytes() + sys.version.encode()
    folder = ROOT / "build" / f"fast-{hashlib.sha256(made_of).hexdigest()[:12]}"
    if not (folder / "made").exists():
        options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--upgrade", "--quiet"]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "install", *options, "--target", str(folder), "--requirement", str(LOCK)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"sqlglot[c] cannot be had: {done.stderr.strip().splitlines()[-1]}")
        (folder / "made").touch()
    return {**os.environ, "PYTHONPATH": str(folder)}


def test_it_is_the_compiled_one(environment: dict[str, str]) -> None:
    code = "import sqlglot.expressions.core as core; print(core.__file__)"
    told = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip().endswith((".so", ".pyd"))
    assert "fast-" in told.stdout


def test_a_sample_of_the_cases(environment: dict[str, str], tmp_path: Path) -> None:
    """Every sixth case as it is planned, the ones between after all passes, and those of plain texts."""
    passed = [case for case in CASES if case.error is None]
    chosen = [f"test_duckdb[{case}]" for case in CASES[::6]]
    chosen += [f"test_duckdb_after_all_passes[{case}]" for case in passed[3::6]]
    names = [f"tests/test_cases.py::{name}" for name in chosen]
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--tb=short", f"--basetemp={tmp_path}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *names, "tests/test_plain_text.py"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    counts = re.findall(r"(\d+) (?:passed|skipped)", done.stdout.splitlines()[-1])
    assert sum(map(int, counts)) == len(chosen) + 4
