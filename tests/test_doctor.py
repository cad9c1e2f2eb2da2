"""`kpi doctor`: what is installed, what answers, and what to do otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kpiengine.cli.main import cli
from kpiengine_plugins.engines.postgres import Postgres


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def doctor(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["doctor", *arguments])


def findings(*arguments: str) -> dict[str, dict[str, Any]]:
    return {finding["name"]: finding for finding in json.loads(doctor("--json", *arguments).stdout)}


def test_without_a_project_it_tells_the_installation(folder: Path) -> None:
    found = findings()
    assert {
        name: found[name]["state"] for name in ("kpiengine", "python", "duckdb", "pyarrow", "sqlglot")
    } == dict.fromkeys(("kpiengine", "python", "duckdb", "pyarrow", "sqlglot"), "ok")
    assert found["project"]["state"] == "absent"
    assert found["engine duckdb"]["state"] == "ok"
    assert not any(finding["needed"] for finding in found.values())
    assert found["engine postgres"] == {
        "name": "engine postgres",
        "state": "absent",
        "told": "installed, no settings",
        "cure": "engine: {postgres: {url: …}}",
        "needed": False,
    }
    assert doctor().exit_code == 0


def test_the_projects_engine_answers(folder: Path, postgres_url: str) -> None:
    (folder / "kpi.yaml").write_text(f"name: acme\nengine: {{postgres: {{url: '{postgres_url}'}}}}\nsources: {{}}\n")
    got = doctor()
    assert got.exit_code == 0
    (line,) = [line for line in got.stdout.splitlines() if "engine postgres" in line]
    assert line.startswith("ok ")
    assert line.endswith("  (the project's)")
    assert line.split("PostgreSQL ")[1][0].isdigit()
    assert "s3cret" not in got.output


UNREACHABLE = "postgresql://kpi:s3cret-word@127.0.0.1:1/shop"


def test_the_projects_engine_does_not_answer(folder: Path) -> None:
    (folder / "kpi.yaml").write_text(f"engine: {{postgres: {{url: '{UNREACHABLE}'}}}}\nsources: {{}}\n")
    got = doctor()
    assert got.exit_code == 1
    assert 'WRONG  engine postgres     PostgreSQL at 127.0.0.1:1, database "shop" cannot be used: ' in got.stdout
    assert "→ its settings stand at kpi.yaml:1:9" in got.stdout
    assert "s3cret" not in got.output


def test_another_engine_that_does_not_answer_is_no_failure(folder: Path) -> None:
    (folder / "kpi.yaml").write_text(f"engines: {{postgres: {{url: '{UNREACHABLE}'}}}}\nsources: {{}}\n")
    got = doctor()
    assert got.exit_code == 0
    assert "WRONG  engine postgres" in got.stdout
    assert doctor("--engine", "postgres").exit_code == 1


def test_an_engine_that_is_not_installed_names_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Postgres, "modules", ("no_such_module",))
    found = findings()["engine postgres"]
    assert (found["state"], found["told"]) == ("absent", "PostgreSQL is not installed")
    assert found["cure"] == 'PostgreSQL needs no_such_module: pip install "kpiengine[postgres]"'
    (folder / "kpi.yaml").write_text(f"engine: {{postgres: {{url: '{UNREACHABLE}'}}}}\nsources: {{}}\n")
    assert findings()["engine postgres"]["state"] == "wrong"
    assert doctor().exit_code == 1


def test_a_project_that_cannot_be_opened(folder: Path) -> None:
    (folder / "kpi.yaml").write_text("sorces: {}\nengin: x\n")
    found = findings()["project"]
    assert found["state"] == "wrong"
    assert found["told"].startswith("kpi.yaml:1:1: ")
    assert found["told"].endswith(", and 1 more")
    assert doctor().exit_code == 0


def test_an_engine_that_there_is_not(folder: Path) -> None:
    (folder / "kpi.yaml").write_text("sources: {}\n")
    got = doctor("--engine", "postgress")
    assert got.exit_code == 2
    assert 'did you mean "postgres"?' in got.output


def test_a_cache_that_is_off(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_CACHE", "off")
    assert findings()["cache"]["state"] == "absent"
