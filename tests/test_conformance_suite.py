"""The conformance suite itself: that it asks what it says, and that no difference gets past it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

import kpiengine
from kpiengine.errors import EngineError, UsageError
from kpiengine.plugins import installed
from kpiengine.spec import read_metrics_package
from kpiengine.testing import CaseEngine
from kpiengine.testing.conformance import Group, check_group, groups
from kpiengine.testing.conformance.features import _read

BY_NAME = {str(group): group for group in groups()}


def test_every_feature_has_a_name_of_its_own() -> None:
    names = [name for group in groups() for name in group.names]
    assert len(names) == len(set(names))
    assert len(names) > 300


def test_every_metric_of_the_library_is_asked() -> None:
    plugins = installed()
    library = {
        name
        for plugin, package in plugins.metric_packages().items()
        for name in read_metrics_package(package, plugin, plugins)[0]
    }
    asked = {
        name.partition(": ")[2] for group in groups() if group.family.startswith("library") for name in group.names
    }
    assert asked == library


def test_every_kind_and_time_function_is_asked() -> None:
    from kpiengine.functions import KEYED_FUNCTIONS, METRIC_FUNCTIONS

    formulas = str(_read("features.yaml"))
    assert [name for name in METRIC_FUNCTIONS if f"{name}(" not in formulas and name != "target"] == []
    assert [name for name in KEYED_FUNCTIONS if f"{name}(" not in formulas] == []
    assert [
        name for name in installed().kinds() if f"'kind': '{name}'" not in formulas and name not in ("rfm_migration",)
    ] == []


class Altered(CaseEngine):
    """DuckDB, whose answers are changed."""

    name = "altered"

    def __init__(self, change: Callable[[pa.Table], pa.Table]) -> None:
        self.change = change

    def answer(self, project: Any, query: Mapping[str, Any], files: Mapping[str, Path]) -> pa.Table:
        return self.change(project.query(**query).arrow())


def replaced(column: str, kind: pa.DataType | None = None, **values: Any) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        index = table.schema.get_field_index(column)
        found = table.column(index).to_pylist()
        for place, value in values.items():
            found[int(place.removeprefix("row"))] = value
        return table.set_column(index, column, pa.array(found, kind or table.schema.field(index).type))

    return change


MONTHS = BY_NAME["periods and groups: month"]


@pytest.mark.parametrize(
    "name", ["periods and groups: month", "functions of numbers", "library, sales", "kinds: cohorts"]
)
def test_the_same_is_the_same(name: str, tmp_path: Path) -> None:
    assert check_group(BY_NAME[name], Altered(lambda table: table), tmp_path) == {}


def nearly(table: pa.Table) -> pa.Table:
    index = table.schema.get_field_index("mean")
    return table.set_column(index, "mean", pa.array([v and v * (1 + 1e-12) for v in table.column(index).to_pylist()]))


def test_floats_may_differ_in_their_last_digits(tmp_path: Path) -> None:
    assert check_group(MONTHS, Altered(nearly), tmp_path) == {}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (replaced("total", row0=8), "total: "),
        (replaced("total", row1=None), "total: "),
        (replaced("money", row0=Decimal("10.51")), "money: "),
        (replaced("mean", row0=2.5000001), "mean: "),
        (replaced("kinds", pa.int32()), "kinds: its type is int32, expected: int64"),
        (lambda table: table.slice(0, 2), "gave 2 rows, DuckDB"),
        (lambda table: table.take(list(reversed(range(table.num_rows)))), "month: "),
    ],
)
def test_a_difference_is_told(change: Callable[[pa.Table], pa.Table], told: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError) as caught:
        check_group(MONTHS, Altered(change), tmp_path)
    assert told in str(caught.value)
    assert str(caught.value).startswith("periods and groups: month: altered ")


def test_an_engine_that_fails_is_told(tmp_path: Path) -> None:
    def fail(table: pa.Table) -> pa.Table:
        raise EngineError("no more memory")

    with pytest.raises(AssertionError, match="month: altered failed: no more memory"):
        check_group(MONTHS, Altered(fail), tmp_path)


class Choosy(Altered):
    """Refuses what has `word` in its statement."""

    def __init__(self, word: str) -> None:
        super().__init__(lambda table: table)
        self.word = word

    def open(self, folder: Path) -> Any:
        project = kpiengine.open(folder)
        written = project.sql

        def sql(**query: Any) -> str:
            text = written(**query)
            if self.word in text:
                raise UsageError(f"choosy cannot say {self.word}")
            return text

        project.sql = sql  # type: ignore[method-assign]
        return project

    def answer(self, project: Any, query: Mapping[str, Any], files: Mapping[str, Path]) -> pa.Table:
        project.sql(**query)
        return super().answer(project, query, files)


def test_what_is_refused_is_named_and_the_rest_is_compared(tmp_path: Path) -> None:
    refused = check_group(BY_NAME["functions of texts"], Choosy("MD5"), tmp_path)
    assert refused == {"functions of texts: md5(s)": "choosy cannot say MD5"}


def test_a_group_of_one_is_refused_as_a_whole(tmp_path: Path) -> None:
    group: Group = BY_NAME["conditions and order: totals"]
    assert check_group(group, Choosy("totals"), tmp_path) == {str(group): "choosy cannot say totals"}


# -- the table in docs/engines.md

PAGE = Path(__file__).parent.parent / "docs" / "engines.md"
REFUSED = yaml.safe_load((Path(__file__).parent / "refusals.yaml").read_text("utf-8"))
TITLES = {
    "postgres": "PostgreSQL",
    "clickhouse": "ClickHouse",
    "datafusion": "DataFusion",
    "spark": "Spark",
}


def families() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for group in groups():
        found.setdefault(group.family, []).extend(group.names)
    return found


def table() -> str:
    engines = list(REFUSED)
    lines = [f"| | {' | '.join(TITLES[engine] for engine in engines)} |", "|---" * (len(engines) + 1) + "|"]
    for family, names in families().items():
        cells = []
        for engine in engines:
            refused = sum(1 for name in names if name in REFUSED[engine])
            cells.append(f"{len(names) - refused} same" + (f", {refused} refused" if refused else ""))
        lines.append(f"| {family} | {' | '.join(cells)} |")
    for engine in engines:
        lines += ["", f"{TITLES[engine]} refuses:", ""]
        for feature, why in REFUSED[engine].items():
            family, _, name = feature.partition(": ")
            lines.append(f"- `{name}` ({family}): {why}")
    return "\n".join(lines)


def test_the_page_has_the_table(request: pytest.FixtureRequest) -> None:
    text = PAGE.read_text("utf-8")
    head, begin, rest = text.partition("tests/refusals.yaml -->\n")
    _, end, tail = rest.partition("<!-- end of the table -->")
    wanted = f"{head}{begin}{table()}\n{end}{tail}"
    if request.config.getoption("--update-golden"):
        PAGE.write_text(wanted, "utf-8")
        return
    assert text == wanted, "docs/engines.md: write the table again with --update-golden"


def test_every_refusal_is_of_a_feature_that_there_is() -> None:
    known = {name for group in groups() for name in group.names}
    assert {engine: sorted(set(refused) - known) for engine, refused in REFUSED.items()} == {
        engine: [] for engine in REFUSED
    }
