"""The types of CSV and JSON files: told by all rows, and once for files that stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

import kpiengine
from kpiengine import cache

CSV = "day,amount,code\n05.01.2026,10,007\n25.01.2026,12.5,008\n"
JSON = '[{"day": "2026-01-05", "amount": 10, "code": "007"}, {"day": "2026-01-25", "amount": 12.5, "code": "008"}]'


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[object]:
    """Grows by one whenever a connector opens a DuckDB of its own to look into a file."""
    monkeypatch.setenv("KPI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SETTLED", 0)
    monkeypatch.setattr(cache, "SETTLED_COARSE", 0)
    seen: list[object] = []
    connect = duckdb.connect

    def watched(*arguments: Any, **named: Any) -> Any:
        if not arguments:
            seen.append(named)
        return connect(*arguments, **named)

    monkeypatch.setattr(duckdb, "connect", watched)
    return seen


def types(folder: Path, source: str) -> dict[str, str]:
    (folder / "kpi.yaml").write_text(f"sources:\n  orders: {{from: {source}}}\nmetrics: {{}}\n")
    with kpiengine.open(folder) as project:
        return {column.name: column.type for column in project.model.source("orders").columns.values()}


@pytest.mark.parametrize(
    ("name", "text", "day"), [("a.csv", CSV, "DATE"), ("a.json", JSON, "DATE"), ("a.jsonl", JSON[1:-1].replace("}, {", "}\n{"), "DATE")]
)  # fmt: skip
def test_types_are_told_once(tmp_path: Path, reads: list[object], name: str, text: str, day: str) -> None:
    (tmp_path / name).write_text(text)
    first = types(tmp_path, name)
    assert first == {"day": day, "amount": "DOUBLE", "code": "VARCHAR"}
    assert types(tmp_path, name) == first
    assert len(reads) == 1
    (tmp_path / name).write_text(text.replace("12.5", '"x"' if "json" in name else "x"))
    assert types(tmp_path, name) == {**first, "amount": "VARCHAR"}
    assert len(reads) == 2


@pytest.mark.parametrize(("name", "text"), [("a.csv", CSV), ("a.json", JSON)])
def test_other_options_are_other_types(tmp_path: Path, reads: list[object], name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    kind = name.removeprefix("a.")
    types(tmp_path, name)
    given = types(tmp_path, f"{{{kind}: {{path: {name}, types: {{amount: VARCHAR}}}}}}")
    assert given["amount"] == "VARCHAR"
    assert len(reads) == 2


def test_types_are_those_of_all_files(tmp_path: Path, reads: list[object]) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    source = '{csv: {path: "*.csv"}}'
    assert types(tmp_path, source)["amount"] == "DOUBLE"
    (tmp_path / "b.csv").write_text("day,amount,code\n05.01.2026,many,007\n")
    assert types(tmp_path, source)["amount"] == "VARCHAR"
    assert types(tmp_path, source)["amount"] == "VARCHAR"
    assert len(reads) == 2


def test_a_value_that_is_not_of_its_given_type_is_told_each_time(tmp_path: Path, reads: list[object]) -> None:
    (tmp_path / "a.csv").write_text(CSV)
    for _ in range(2):
        with pytest.raises(kpiengine.errors.DataError, match='"10" in column "amount" is no DATE'):
            types(tmp_path, "{csv: {path: a.csv, types: {amount: DATE}}}")
    assert len(reads) == 2


def test_copies_in_utf8_are_looked_into_each_time(tmp_path: Path, reads: list[object]) -> None:
    (tmp_path / "a.csv").write_text(CSV.replace("code", "Größe"), encoding="utf-16")
    assert (
        types(tmp_path, "a.csv") == types(tmp_path, "a.csv") == {"day": "DATE", "amount": "DOUBLE", "Größe": "VARCHAR"}
    )
    assert len(reads) == 2


def test_mixed_line_ends_are_looked_into_each_time(tmp_path: Path, reads: list[object]) -> None:
    lines = "".join(f"{n},{n}" + ("\r\n" if n % 2 else "\n") for n in range(3000))
    (tmp_path / "a.csv").write_bytes(f"a,b\r\n{lines}".encode())
    assert types(tmp_path, "a.csv") == types(tmp_path, "a.csv") == {"a": "BIGINT", "b": "BIGINT"}
    assert len(reads) == 2
