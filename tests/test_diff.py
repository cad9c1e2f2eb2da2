"""`kpi diff REV`: what changed in what the definitions say, whatever they look like."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

import kpiengine
from kpiengine.cli.main import cli
from kpiengine.diff import Difference, MetricChange, compare, moved, project_at
from kpiengine.errors import DefinitionError, UsageError

SALES = """\
name: sales
sources:
  orders:
    from: data/orders.csv
    key: id
    time: day
    columns: {amount: price * pieces, client: customer}
    filters: [pieces > 0, state <> 'void']
    joins: {customers: client}
  customers: {from: data/customers.csv, key: id}
metrics:
  sales: {source: orders, formula: sum(amount), grain: month, label: Sales}
  sold: {source: orders, formula: count(*), filters: [state = 'paid', price > 1]}
  per_sale: {formula: sales / sold}
  growth: {formula: "sales / prior(sales, 1, month) - 1"}
  pieces: {source: orders, formula: sum(pieces)}
"""
ORDERS = (
    "id,customer,day,price,pieces,state\n1,1,2026-01-05,10,2,paid\n2,1,2026-02-05,5,1,paid\n3,2,2026-02-07,7,3,open\n"
)


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project in a folder of a repository, committed; its data is not in git."""
    root = tmp_path / "work" / "sales"
    (root / "data").mkdir(parents=True)
    (root / "data" / "orders.csv").write_text(ORDERS, encoding="utf-8")
    (root / "data" / "customers.csv").write_text("id,country\n1,DE\n2,FR\n", encoding="utf-8")
    (root / "kpi.yaml").write_text(SALES, encoding="utf-8")
    git(root.parent, "init", "--quiet")
    git(root.parent, "add", "sales/kpi.yaml")
    git(root.parent, "commit", "--quiet", "-m", "first")
    return root


@pytest.fixture
def differ(folder: Path) -> Callable[..., Difference]:
    """The difference after replacing texts of kpi.yaml; the library's metrics are left out."""

    def run(*replaced: tuple[str, str]) -> Difference:
        text = (folder / "kpi.yaml").read_text(encoding="utf-8")
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        (folder / "kpi.yaml").write_text(text, encoding="utf-8")
        with kpiengine.open(folder) as project, project_at(folder, "HEAD") as before:
            found = compare(before, project)
        own = tuple(m for m in found.metrics if not m.place.path.startswith("kpiengine_metrics"))
        return Difference(own, found.sources, found.settings)

    return run


def told(difference: Difference) -> dict[str, str]:
    return {metric.name: metric.change for metric in difference.metrics}


def test_nothing_changed(differ: Callable[..., Difference]) -> None:
    assert differ() == Difference((), {}, ())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("sum(amount)", "SUM( Amount )"),
        ("sales / sold", "((sales) / (sold))"),
        ("price * pieces", "(price  *  PIECES)"),
        ("[state = 'paid', price > 1]", "[price > 1, (state = 'paid')]"),
        ("label: Sales", "label: Turnover, description: What we sold., owner: finance, tags: [money]"),
        ("grain: month", "grain: Month"),
        ("columns: {amount", "columns: {discount: price / 10, amount"),
        ("name: sales", "name: other"),
    ],
)
def test_what_is_only_written_otherwise_is_no_change(differ: Callable[..., Difference], old: str, new: str) -> None:
    assert told(differ((old, new))) == {}


def test_a_formula_changes_its_metric_and_all_that_are_made_of_it(differ: Callable[..., Difference]) -> None:
    found = differ(("sum(amount)", "sum(amount) - 1"))
    assert told(found) == {"sales": "changed", "per_sale": "changed", "growth": "changed"}
    by_name = {metric.name: metric for metric in found.metrics}
    assert [str(key) for key in by_name["sales"].keys] == ["formula: sum(amount) → sum(amount) - 1"]
    assert by_name["per_sale"].through == ("sales",)
    assert (by_name["sales"].old or {})["formula"] == "sum(amount)"
    assert str(by_name["sales"].place) == "kpi.yaml:12:3"


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("price > 1]", "price > 2]", {"sold", "per_sale"}),
        ("grain: month", "grain: month, unit: EUR", {"sales"}),
        ("grain: month", "grain: quarter", {"sales"}),
        ("grain: month", "grain: month, better: down", {"sales"}),
        ("grain: month", "grain: month, target: 3", {"sales"}),
    ],
)
def test_keys_of_a_metric(differ: Callable[..., Difference], old: str, new: str, changed: set[str]) -> None:
    assert set(told(differ((old, new)))) == changed


def test_a_mapped_column_changes_the_metrics_that_name_it(differ: Callable[..., Difference]) -> None:
    found = differ(("price * pieces", "price * pieces * 2"))
    assert told(found) == {"sales": "changed", "per_sale": "changed", "growth": "changed"}
    assert {name: [str(key) for key in keys] for name, keys in found.sources.items()} == {
        "orders": ["columns.amount: price * pieces → price * pieces * 2"]
    }
    assert found.metrics[-1].through == ("source orders",)


def test_a_filter_of_a_source_changes_all_its_metrics(differ: Callable[..., Difference]) -> None:
    found = differ(("[pieces > 0, state <> 'void']", "[state <> 'void']"))
    assert set(told(found)) == {"sales", "sold", "per_sale", "growth", "pieces"}


def test_the_time_zone_and_the_calendar_change_what_they_cut(differ: Callable[..., Difference]) -> None:
    """Days of dates are the same in every zone; months of another calendar are others."""
    assert told(differ(("name: sales", "name: sales\ntimezone: Asia/Tehran"))) == {}
    found = differ(("timezone: Asia/Tehran", "timezone: Asia/Tehran\ncalendar: jalali"))
    assert set(told(found)) == {"sales", "sold", "per_sale", "growth", "pieces"}
    assert "calendar" in [setting.key for setting in found.settings]


def test_added_and_removed_metrics(differ: Callable[..., Difference]) -> None:
    found = differ(("  pieces: {source: orders, formula: sum(pieces)}", "  double: {formula: sales * 2}"))
    assert told(found) == {"double": "added", "pieces": "removed"}
    added, removed = found.metrics
    assert (added.new, added.old) == ({"formula": "sales * 2"}, None)
    assert (removed.new, removed.old) == (None, {"source": "orders", "formula": "sum(pieces)"})


def test_a_metric_of_a_file_that_moved_is_the_same(differ: Callable[..., Difference], folder: Path) -> None:
    (folder / "metrics").mkdir()
    line = "  pieces: {source: orders, formula: sum(pieces)}\n"
    (folder / "metrics" / "more.yaml").write_text(f"metrics:\n{line}", encoding="utf-8")
    assert told(differ((line, ""))) == {}


def test_the_old_version_reads_the_data_of_today(folder: Path) -> None:
    with project_at(folder, "HEAD") as before:
        assert before.root == folder
        assert before.query("pieces").rows() == [{"pieces": 6}]


def numbers(folder: Path, name: str, old: str, new: str) -> list[tuple[object, ...]]:
    text = (folder / "kpi.yaml").read_text(encoding="utf-8")
    (folder / "kpi.yaml").write_text(text.replace(old, new), encoding="utf-8")
    with kpiengine.open(folder) as project, project_at(folder, "HEAD") as before:
        change: MetricChange = next(m for m in compare(before, project).metrics if m.name == name)
        rows = moved(before, project, change)
    return [(*map(str, row.key.values()), row.old, row.new, row.change) for row in rows]


def test_numbers_of_the_total_and_of_the_rows_that_differ(folder: Path) -> None:
    """20 in January, 5 + 21 in February; the open order is gone."""
    found = numbers(folder, "sales", "sum(amount)", "sum(amount) where state = 'paid'")
    assert found == [(46, 25, -21), ("2026-02-01", 26, 5, -21)]


def test_numbers_of_a_metric_without_a_total_are_by_month(folder: Path) -> None:
    found = numbers(folder, "growth", "sum(amount)", "sum(amount) where state = 'paid'")
    assert [(row[0], row[1], row[2]) for row in found] == [("2026-02-01", pytest.approx(0.3), -0.75)]


# -- the command


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    got = CliRunner().invoke(cli, ["-C", str(folder), "diff", *arguments])
    return got.exit_code, got.output


def test_the_command(folder: Path) -> None:
    assert run(folder, "HEAD") == (0, "no metric's meaning changed since HEAD\n")
    text = SALES.replace("sum(amount)", "sum(amount) where state = 'paid'")
    (folder / "kpi.yaml").write_text(text, encoding="utf-8")
    code, output = run(folder, "HEAD", "--data")
    assert code == 0
    assert (
        "changed  sales  (kpi.yaml:12:3)\n         formula: sum(amount) → sum(amount) where state = 'paid'\n" in output
    )
    assert "         2026-02-01   26    5     -21\n" in output
    code, output = run(folder, "HEAD", "--data", "--json")
    [sales] = [metric for metric in json.loads(output) if metric["name"] == "sales"]
    assert sales["keys"] == [{"key": "formula", "old": "sum(amount)", "new": "sum(amount) where state = 'paid'"}]
    assert sales["numbers"][1] == {"month": "2026-02-01", "old": 26, "new": 5, "change": -21}


def test_a_revision_that_there_is_not(folder: Path) -> None:
    for revision in ("HEAD~7", "nothing", "--all"):
        with pytest.raises(UsageError, match="git knows no revision"):
            project_at(folder, revision)


def test_a_folder_that_is_in_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "kpi.yaml").write_text("name: x", encoding="utf-8")
    code, output = run(tmp_path, "HEAD")
    assert code == 2
    assert "is not in a git repository" in output


def test_a_project_that_was_not_there_yet(folder: Path) -> None:
    new = folder.parent / "new"
    new.mkdir()
    (new / "kpi.yaml").write_text("name: x", encoding="utf-8")
    with pytest.raises(UsageError, match=r'revision "HEAD" has no kpi\.yaml in this folder'):
        project_at(new, "HEAD")


def test_no_git(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(UsageError, match="kpi diff needs git"):
        project_at(folder, "HEAD")


def test_definitions_that_were_wrong_then(folder: Path) -> None:
    (folder / "kpi.yaml").write_text("souces: {}\n", encoding="utf-8")
    git(folder, "commit", "--quiet", "--all", "-m", "broken")
    with pytest.raises(DefinitionError, match=r"^HEAD:kpi\.yaml:1:1: unknown key"):
        project_at(folder, "HEAD")
