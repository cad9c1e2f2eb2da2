"""A third party's distribution, as a wheel beside kpiengine's wheel in a venv of its own: the plugin interface
proved from outside."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ACME = ROOT / "examples" / "kpiengine-acme"
LEDGER = """\
20260105C0000012990AC100042Invoice 7
20260106C0000100000AC100001Invoice 8
20260131D0000050000AC900000Rent
20260203C0000001000AC100003Invoice 9
20260203C0000000500        Cash
"""
PROJECT = """\
name: acme
sources:
  bank: {from: data/2026.ledger, time: booked_on}
metrics:
  top_payers: {kind: pareto, source: bank, entity: account, amount: amount, filters: [amount > 0]}
  entries: {source: bank, formula: count(*)}
"""

pytestmark = pytest.mark.slow


class Installation:
    """A venv that holds two wheels, and a project that uses them."""

    def __init__(self, folder: Path, project: Path) -> None:
        self.bin = folder / ("Scripts" if os.name == "nt" else "bin")
        self.project = project
        # Neither this checkout nor the settings of this test run may be seen from there.
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "KPI_", "VIRTUAL_ENV"))}

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.bin / program), *arguments],
            cwd=self.project, env=self.environment, capture_output=True, text=True, encoding="utf-8", check=False,
        )  # fmt: skip

    def kpi(self, *arguments: str) -> str:
        done = self.run("kpi", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def rows(self, *arguments: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO(self.kpi("query", *arguments, "--format", "csv"))))


def build_wheel(source: Path, out: Path) -> Path:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = out.glob("*.whl")
    return wheel


def dependencies(here: Path, into: Path) -> None:
    """Makes what is installed here importable there, kpiengine itself left out: links to all other packages.

    No index is needed, and an editable kpiengine cannot stand in for the wheel.
    """
    for entry in here.iterdir():
        own = entry.name.lower().replace("-", "_").lstrip("_")
        if own.startswith(("kpiengine", "pip", "setuptools")) or entry.suffix == ".pth" or entry.name == "__pycache__":
            continue
        if not (into / entry.name).exists():
            (into / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    base = tmp_path_factory.mktemp("third-party")
    wheels = [build_wheel(ROOT, base / "core"), build_wheel(ACME, base / "acme")]
    venv.create(base / "venv", with_pip=False)
    project = base / "project"
    (project / "data").mkdir(parents=True)
    (project / "kpi.yaml").write_text(PROJECT, "utf-8")
    (project / "data" / "2026.ledger").write_text(LEDGER, "utf-8")
    made = Installation(base / "venv", project)
    paths = made.run("python", "-c", "import sysconfig, json; print(json.dumps(sysconfig.get_paths()))")
    there = Path(json.loads(paths.stdout)["purelib"])
    dependencies(Path(pytest.__file__).parent.parent, there)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(made.bin / "python"), "install", "--no-deps", "--no-index",
         "--quiet", *map(str, wheels)],
        env=made.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return made


def test_both_wheels_are_what_is_imported(acme: Installation) -> None:
    code = "import kpiengine, kpiengine_acme; print(kpiengine.__file__); print(kpiengine_acme.__file__)"
    for line in acme.run("python", "-c", code).stdout.splitlines():
        assert Path(line).is_relative_to(acme.bin.parent)


def test_plugins_are_listed_with_what_they_add(acme: Installation) -> None:
    plugins = {plugin["name"]: plugin for plugin in json.loads(acme.kpi("plugins", "--json"))}
    for name, adds in (
        ("ledger", "connector ledger"),
        ("pareto", "kind pareto"),
        ("acme", "metrics kpiengine_acme.metrics"),
    ):
        assert plugins[name] == {
            "name": name, "distribution": "kpiengine-acme", "version": "1.0.0", "adds": [adds], "error": None,
        }  # fmt: skip
    assert plugins["csv"]["distribution"] == "kpiengine"


def test_connector_and_metrics(acme: Installation) -> None:
    rows = acme.rows("cash_in", "cash_out", "net_cash_flow", "cash_balance", "--by", "month")
    assert [list(row.values()) for row in rows] == [
        ["2026-01-01", "1129.90", "500.00", "629.90", "629.90"],
        ["2026-02-01", "15.00", "", "15.00", "644.90"],
    ]


def test_kind(acme: Installation) -> None:
    rows = acme.rows("top_payers")
    assert [(row["account"], float(row["amount"]), row["rank"], row["class"]) for row in rows] == [
        ("AC100001", 1000.0, "1", "A"), ("AC100042", 129.9, "2", "B"), ("AC100003", 10.0, "3", "C"),
    ]  # fmt: skip
    assert [round(float(row["cumulated_share"]), 4) for row in rows] == [0.8773, 0.9912, 1.0]


def test_kind_as_a_dimension(acme: Installation) -> None:
    """Entries that no payer made (the rent, the cash) stay, in the group without a class."""
    rows = acme.rows("entries", "--by", "top_payers.class")
    assert [(row["class"], row["entries"]) for row in rows] == [("A", "1"), ("B", "1"), ("C", "1"), ("", "2")]


def test_connector_tells_what_is_wrong_with_a_file(acme: Installation) -> None:
    (acme.project / "data" / "bad.ledger").write_text("20260105X0000012990AC100042Invoice 7\n", "utf-8")
    (acme.project / "kpi.yaml").write_text(PROJECT.replace("2026.ledger", "bad.ledger"), "utf-8")
    try:
        done = acme.run("kpi", "query", "entries")
    finally:
        (acme.project / "kpi.yaml").write_text(PROJECT, "utf-8")
    assert done.returncode == 1
    assert "bad.ledger is no ledger" in done.stderr
    assert "Traceback" not in done.stderr
