"""A command pays only for what it uses: what is imported before anything is asked for."""

from __future__ import annotations

import subprocess
import sys

HEAVY = {"duckdb", "pyarrow", "sqlglot", "rich", "numpy", "pandas", "polars", "scipy"}

RUN_HELP = """
from kpiengine.cli.main import main
sys.argv = ["kpi", "--help"]
try:
    status = main()
except SystemExit as stop:
    status = stop.code
assert not status, status
"""
IMPORT = "import kpiengine; print(kpiengine.__version__)"


def loaded_by(code: str) -> tuple[set[str], str]:
    """The top-level modules that a fresh interpreter has loaded after running `code`, and what it printed."""
    script = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split()), done.stdout


def test_importing_the_package_is_cheap() -> None:
    loaded, printed = loaded_by(IMPORT)
    assert printed.strip()
    assert "kpiengine" in loaded
    assert not loaded & HEAVY


def test_help_is_cheap() -> None:
    loaded, printed = loaded_by(RUN_HELP)
    assert "Usage" in printed
    assert "click" in loaded
    assert not loaded & HEAVY


def test_the_check_itself_sees_a_heavy_import() -> None:
    loaded, _ = loaded_by("import duckdb")
    assert loaded & HEAVY == {"duckdb"}
