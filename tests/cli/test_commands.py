"""The commands beside the queries, the help, and the making of projects."""

from __future__ import annotations

import json
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

import kpiengine.plugins
from kpiengine import __version__
from kpiengine.cli.main import COMMANDS, PLANNED, cli
from kpiengine.errors import Place, Problem
from kpiengine.plugins import PluginInfo


def test_help_lists_every_command_and_marks_what_is_not_there(kpi):
    got = kpi("--help")
    assert got.exit_code == 0
    there, planned = got.output.split("Not there yet:")
    assert all(f"\n  {name} " in there for name in COMMANDS)
    assert all(f"\n  {name} " in planned for name in PLANNED)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_there_with_its_help_and_an_example(kpi, name):
    got = kpi(name, "--help")
    assert got.exit_code == 0
    assert f"Examples:\n    kpi {name}" in got.output
    command = cli.get_command(None, name)
    assert command.name == name
    # the static text of `kpi --help` and the command's own first sentence must not contradict each other
    assert COMMANDS[name].split()[0] == command.help.split()[0]


@pytest.mark.parametrize("name", PLANNED)
def test_planned_commands_say_so_whatever_they_are_given(kpi, name):
    got = kpi(name, "--out", "x.html", "y")
    assert (got.exit_code, got.stdout, got.stderr) == (1, "", f"kpi {name} is not there yet\n")
    assert kpi(name, "--help").exit_code == 0


def test_version(kpi):
    assert kpi("--version").output == f"kpiengine {__version__}\n"


def test_list_says_what_is_lacking(kpi, project):
    lines = kpi("list").stdout.splitlines()
    assert lines[0].split() == ["metric", "unit", "grain", "state", "what", "it", "is"]
    assert lines[2].split() == ["revenue", "EUR", "month", "ready", "Money", "in."]
    assert "needs source: survey" in lines[3]


def test_list_json(kpi, project):
    first, second = json.loads(kpi("list", "--json").stdout)
    assert first == {
        "name": "revenue", "label": "Revenue", "description": "Money in.", "unit": "EUR", "grain": ["month"],
        "kind": None, "sources": ["orders"], "library": None, "tags": [], "owner": None, "needs": [],
        "place": "metrics/sales.yaml:3:5",
    }  # fmt: skip
    assert second["needs"] == ["source: survey"]


def test_show(kpi, project):
    text = kpi("show", "revenue").stdout
    assert text.startswith("revenue – Revenue\nMoney in.\n")
    for line in ("defined in: metrics/sales.yaml:3:5", "  formula: sum(amount)", "  SELECT 1"):
        assert f"{line}\n" in text
    assert "lineage:\n  aov\n    revenue ← source orders\n" in kpi("show", "aov").stdout
    found = json.loads(kpi("show", "revenue", "--json").stdout)
    assert (found["sql"], found["definition"]["formula"]) == ("SELECT 1", "sum(amount)")


def test_plugins_needs_no_project_and_names_what_cannot_be_loaded(kpi, monkeypatch):
    infos = [
        PluginInfo("csv", "kpiengine", "1", ("connector csv",)),
        PluginInfo("bad", "other", "2", (), "ImportError: no numpy"),
    ]
    monkeypatch.setattr(kpiengine.plugins, "installed", lambda: SimpleNamespace(infos=lambda: infos))
    assert kpi("plugins").stdout.splitlines()[2].split() == ["csv", "kpiengine", "1", "connector", "csv"]
    assert "NOT LOADED: ImportError: no numpy" in kpi("plugins").stdout
    assert json.loads(kpi("plugins", "--json").stdout)[1]["error"] == "ImportError: no numpy"


def test_check_without_problems_counts(kpi, project):
    got = kpi("check")
    assert got.exit_code == 0
    assert got.stdout.startswith("ok: 1 source, 2 metrics, 1 export (1 library metric waiting")
    assert project.calls[-1] == ("check", False, {})


def test_check_with_problems_names_each_and_fails(kpi, project):
    project.problems = [Problem(Place("kpi.yaml", 2, 3), "key is not unique"), Problem(Place(), "no such file")]
    got = kpi("check", "--data")
    assert (got.exit_code, got.stdout) == (1, "")
    assert got.stderr == "kpi.yaml:2:3: key is not unique\nno such file\n2 problems\n"
    assert project.calls[-1] == ("check", True, {})


def results():
    return [
        SimpleNamespace(name="good", passed=True, message="", place=Place("kpi.yaml", 1, 1)),
        SimpleNamespace(
            name="refunds <do not> count", passed=False, message="- 10\n+ 17", place=Place("kpi.yaml", 9, 3)
        ),
    ]


def test_test_prints_the_difference_and_fails(kpi, project):
    project.tests = results()
    got = kpi("test")
    assert got.exit_code == 1
    assert got.stdout == "FAILED kpi.yaml:9:3: refunds <do not> count\n  - 10\n  + 17\n\n1 passed, 1 failed\n"


def test_test_passes(kpi, project):
    project.tests = results()[:1]
    got = kpi("test")
    assert (got.exit_code, got.stdout) == (0, "1 passed, 0 failed\n")


def test_test_json_and_junit(kpi, project, tmp_path):
    project.tests = results()
    got = kpi("test", "--json", "--junit", str(tmp_path / "x.xml"))
    assert got.exit_code == 1
    assert [r["passed"] for r in json.loads(got.stdout)] == [True, False]
    suite = ElementTree.parse(tmp_path / "x.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert suite.findall("testcase")[1].find("failure").text == "- 10\n+ 17"


def test_export_prints_what_was_written(kpi, project):
    got = kpi("export", "monthly", "--out", "/tmp/x", "--full")
    assert got.stdout.splitlines()[2].split() == ["monthly", "out/monthly", "1,200", "45.3", "kB", "0.50"]
    name, exports, asked = project.calls[-1]
    assert (name, exports, str(asked["out"]), asked["full"]) == ("export", ("monthly",), "/tmp/x", True)


def test_export_by_hand(kpi, project):
    kpi("export", "--metric", "revenue,aov", "--by", "month", "--since", "2026")
    asked = project.calls[-1][2]
    assert (asked["metrics"], asked["by"], asked["since"]) == (("revenue,aov",), ("month",), "2026")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("monthly", "--metric", "revenue"), "not both"),
        (("--by", "month"), "--by goes with --metric"),
        (("monthly", "--as-of", "2026"), "--as-of goes with --metric"),
    ],
)
def test_export_options_that_contradict(kpi, project, arguments, says):
    got = kpi("export", *arguments)
    assert got.exit_code == 2
    assert says in got.stderr


def test_export_without_any_says_how(kpi, project):
    project.spec.exports = {}
    got = kpi("export")
    assert got.exit_code == 2
    assert "--metric" in got.stderr


def test_init_writes_a_starter_and_never_overwrites(kpi, tmp_path):
    folder = tmp_path / "my acme"
    got = kpi("init", str(folder))
    assert got.exit_code == 0, got.output
    assert f"kpi -C '{folder}' query revenue" in got.stdout
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert set(files) == {"kpi.yaml", "metrics/sales.yaml", "data/orders.csv", "data/README.md"}
    again = kpi("init", str(folder))
    assert again.exit_code == 2
    assert "nothing was written" in again.stderr
    assert all((folder / name).read_bytes() == held for name, held in files.items())


def test_init_beside_other_files_is_fine_and_refuses_a_part(kpi, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    assert kpi("init", str(tmp_path)).exit_code == 0
    (tmp_path / "kpi.yaml").unlink()
    got = kpi("init", str(tmp_path))
    assert got.exit_code == 2
    assert not (tmp_path / "kpi.yaml").exists()


def test_demo_refuses_a_folder_with_something_in_it(kpi, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    got = kpi("demo", str(tmp_path))
    assert got.exit_code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_completion_offers_metric_names_of_the_project(kpi, tmp_path, monkeypatch):
    kpi("init", str(tmp_path / "acme"))
    monkeypatch.chdir(tmp_path / "acme" / "data")
    from kpiengine.cli.complete import complete_metric

    ctx = cli.make_context("kpi", ["query"], resilient_parsing=True)
    assert complete_metric(ctx, None, "revenue_g") == ["revenue_growth"]
    assert "aov,buyers" in complete_metric(ctx, None, "aov,b")
