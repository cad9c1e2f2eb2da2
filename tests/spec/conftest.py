"""Plugins made by hand, so that these tests read YAML and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kpiengine.connector import Connector, Relation, SourceContext
from kpiengine.errors import listing, suggest
from kpiengine.kind import Kind, KindColumn, KindContext, KindOption, KindTable
from kpiengine.spec import ProjectSpec, read_project


class Unread(Connector):
    """A connector that is declared, and never opened."""

    def relation(self, options: Mapping[str, Any], context: SourceContext) -> Relation:
        raise AssertionError("reading a project opens no source")


class Csv(Unread):
    name = "csv"
    endings = (".csv", ".csv.gz")
    options: ClassVar = {"path": str, "delimiter": str, "header": bool, "skip": int, "ratio": float, "nulls": list}


class Parquet(Unread):
    name = "parquet"
    endings = (".parquet",)


class Sql(Unread):
    name = "sql"
    options: ClassVar = {"query": str}
    required = ("query",)


class Lake(Unread):
    name = "lake"
    options: ClassVar = {"table": str, "region": str, "settings": dict}
    required = ("table", "region")


class Segments(Kind):
    name = "segments"
    options: ClassVar = {
        "source": KindOption(required=True),
        "customer": KindOption(column=True, required=True),
        "time": KindOption(column=True, default="ordered_at"),
        "scale": KindOption(int, default=5),
        "method": KindOption(default="quantile", choices=("quantile", "ntile", "bins")),
        "bins": KindOption(dict),
        "steps": KindOption((list, dict)),
        "as_of": KindOption(),
    }

    def check(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        return {"bins": "method bins needs them"} if options["method"] == "bins" and not options["bins"] else {}

    def inputs(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        return {}

    def columns(self, options: Mapping[str, Any], table: str | None = None) -> tuple[KindColumn, ...]:
        return ()

    def compile(self, context: KindContext) -> KindTable:
        raise AssertionError("reading a project compiles nothing")


class FakePlugins:
    """The plugins above; `asked` tells which lists were needed."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def connector(self, name: str) -> Connector | None:
        return {known.name: known() for known in (Csv, Parquet, Sql, Lake)}.get(name)

    def connector_for(self, path: str) -> Connector | None:
        return next((c for c in self.connectors().values() if path.endswith(c.endings or ("\0",))), None)

    def connectors(self) -> Mapping[str, Connector]:
        self.asked.append("connectors")
        return {known.name: known() for known in (Csv, Parquet, Sql, Lake)}

    def kind(self, name: str) -> Kind | None:
        return self.kinds().get(name)

    def kinds(self) -> Mapping[str, Kind]:
        self.asked.append("kinds")
        return {"segments": Segments()}

    def why_missing(self, name: str, known: Iterable[str]) -> str:
        return suggest(name, known) or f"; there are: {listing(known)}"


@pytest.fixture
def plugins() -> FakePlugins:
    return FakePlugins()


Read = Callable[..., tuple[ProjectSpec, list[str]]]


@pytest.fixture
def read(tmp_path: Path, plugins: FakePlugins) -> Read:
    """Reads a project given as the text of kpi.yaml and of further files; problems as lines."""

    def read(kpi: str | bytes = "", **files: str) -> tuple[ProjectSpec, list[str]]:
        (tmp_path / "kpi.yaml").write_bytes(kpi.encode() if isinstance(kpi, str) else kpi)
        for name, text in files.items():
            path = tmp_path / "metrics" / f"{name.replace('__', '/')}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        spec, problems = read_project(tmp_path, plugins)
        return spec, [str(problem) for problem in problems]

    return read
