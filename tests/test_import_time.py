"""A command pays only for what it uses: what is imported before anything is asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from kpiengine.cache import identities
from kpiengine.cli.main import COMMANDS
from kpiengine.cli.scaffold import make_starter

HEAVY = {"duckdb", "pyarrow", "sqlglot", "rich", "numpy", "pandas", "polars", "scipy"}

RUN_HELP = """
from kpiengine.cli.main import main
sys.argv = ["kpi", "--help"]
main()
"""
RUN_BARE_HELP = """
import click
@click.group()
def kpi(): "Commands."
sys.argv = ["kpi", "--help"]
try:
    kpi()
except SystemExit:
    pass
"""
IMPORT = "import kpiengine; print(kpiengine.__version__)"

NOT_WHEN_COMPILED = (HEAVY - {"duckdb"}) | {"pluggy", "yaml", "kpiengine_connectors", "kpiengine_plugins"}
NOT_WHEN_NEW = (HEAVY - {"duckdb", "sqlglot"}) | {
    f"kpiengine_plugins.{kind}.kind" for kind in ("clv", "cohort", "funnel", "rfm")
}
RUN_QUERY = RUN_HELP.replace('"--help"', '"query", "revenue", "--by", "month", "--format", "csv"')
COLLECTING_ENDS_IT = """
import gc, os
gc.callbacks.append(lambda phase, info: os._exit(9))
sys.argv ="""


def all_loaded_by(code: str) -> tuple[set[str], str]:
    """All modules that a fresh interpreter has loaded after running `code`, and what it printed."""
    told = "atexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    script = f"import atexit, sys\n{told}\n{code}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split()), done.stdout


def loaded_by(code: str) -> tuple[set[str], str]:
    """The top-level modules, and what was printed."""
    loaded, printed = all_loaded_by(code)
    return {name.split(".")[0] for name in loaded}, printed


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


def test_help_loads_what_a_bare_group_of_click_loads() -> None:
    (bare, _), (kpi, _) = all_loaded_by(RUN_BARE_HELP), all_loaded_by(RUN_HELP)
    assert kpi - bare == {"kpiengine", "kpiengine.cli", "kpiengine.cli.main", "kpiengine.cli.state", "gc"}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_loads_no_engine(command: str) -> None:
    loaded, printed = loaded_by(RUN_HELP.replace('"--help"', f'"{command}", "--help"'))
    assert "Usage" in printed
    assert not loaded & (HEAVY | {"pluggy", "yaml"})


def test_a_query_that_was_compiled_before_loads_duckdb_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_CACHE", str(tmp_path / "cache"))
    make_starter(tmp_path / "shop")
    monkeypatch.chdir(tmp_path / "shop")
    while not identities((tmp_path / "shop" / "data").iterdir()):
        pass  # a file that was written to just now is known by nothing
    loaded, first = all_loaded_by(RUN_QUERY.replace("sys.argv =", COLLECTING_ENDS_IT))
    assert {"sqlglot", "yaml"} <= loaded
    assert not loaded & NOT_WHEN_NEW
    loaded, second = loaded_by(RUN_QUERY)
    assert second == first
    assert "duckdb" in loaded
    assert not loaded & NOT_WHEN_COMPILED


def test_the_check_itself_sees_a_heavy_import() -> None:
    loaded, _ = loaded_by("import duckdb")
    assert loaded & HEAVY == {"duckdb"}
