"""A project that answers every query with one fixed table: the command line is tested by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

import kpiengine
from kpiengine.cli.main import cli
from kpiengine.errors import Place, Problem

PLACE = Place("metrics/sales.yaml", 3, 5)


@dataclass(frozen=True)
class Column:
    name: str
    role: str = "metric"
    unit: str | None = None


class FakeResult:
    def __init__(self, table: pa.Table, columns: tuple[Column, ...]) -> None:
        self.table = table
        self.columns = columns

    def fetched(self) -> None:
        """Rows come by Arrow."""

    def reader(self) -> pa.RecordBatchReader:
        return self.table.to_reader()


@dataclass
class FakeProject:
    """Notes what it is asked in `calls`; raises `error` from a query where it is set."""

    table: pa.Table = field(default_factory=lambda: pa.table({"month": ["2026-01"], "revenue": [10]}))
    units: Mapping[str, str] = field(default_factory=dict)
    error: BaseException | None = None
    problems: list[Problem] = field(default_factory=list)
    tests: list[Any] = field(default_factory=list)
    calls: list[tuple[str, Any, dict[str, Any]]] = field(default_factory=list)
    closed: bool = False
    spec: Any = field(
        default_factory=lambda: SimpleNamespace(sources={"orders": 1}, exports={"monthly": 1}, secrets=frozenset())
    )

    def query(self, metrics: Any, **asked: Any) -> FakeResult:
        self.calls.append(("query", metrics, asked))
        if self.error is not None:
            raise self.error
        dimensions = ("month", "channel")
        columns = tuple(
            Column(name, "dimension" if name in dimensions else "metric", self.units.get(name))
            for name in self.table.schema.names
        )
        return FakeResult(self.table, columns)

    def sql(self, metrics: Any, **asked: Any) -> str:
        self.calls.append(("sql", metrics, asked))
        return "SELECT 1"

    def list(self) -> list[Any]:
        common: dict[str, Any] = {"unit": None, "grain": (), "kind": None, "tags": (), "owner": None, "place": PLACE}
        return [
            SimpleNamespace(
                **{**common, "name": "revenue", "unit": "EUR", "grain": ("month",)},
                label={"en": "Revenue", "fa": "درآمد"}, description={"en": "Money in."}, sources=("orders",),
                library=None, needs=(),
            ),
            SimpleNamespace(
                **common, name="nps", label={}, description={}, sources=("survey",), library="metrics",
                needs=("source: survey",),
            ),
        ]  # fmt: skip

    def show(self, name: str) -> Any:
        revenue = self.list()[0]
        if name == "aov":
            definition = {"formula": "revenue / orders"}
            info = SimpleNamespace(**{**vars(revenue), "name": "aov"})
            return SimpleNamespace(info=info, definition=definition, uses=("revenue",), columns=(), sql=None)
        definition = {"source": "orders", "formula": "sum(amount)"}
        return SimpleNamespace(info=revenue, definition=definition, uses=(), columns=(), sql="SELECT 1")

    def check(self, data: bool = False) -> list[Problem]:
        self.calls.append(("check", data, {}))
        return self.problems

    def test(self) -> list[Any]:
        return self.tests

    def progress(self) -> float:
        return -1.0

    def interrupt(self) -> None:
        self.calls.append(("interrupt", None, {}))

    def export(self, exports: Any, **asked: Any) -> list[Any]:
        self.calls.append(("export", exports, asked))
        return [SimpleNamespace(name="monthly", path=Path("out/monthly"), rows=1200, bytes=45_300, seconds=0.5)]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def project(monkeypatch: pytest.MonkeyPatch) -> FakeProject:
    made = FakeProject()

    def opened(path: Any = ".", engine: str | None = None) -> FakeProject:
        made.calls.append(("open", Path(path), {"engine": engine} if engine else {}))
        return made

    monkeypatch.setattr(kpiengine, "open", opened)
    return made


@pytest.fixture
def kpi() -> Callable[..., Result]:
    """`kpi("query", "revenue")` runs the command in this process."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, list(arguments))

    return run
