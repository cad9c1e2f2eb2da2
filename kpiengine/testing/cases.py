"""Case files: rows, metrics, a query, and the proof that its answer is right.

    given:                                   # what every case of the file starts from
      kpi:
        sources:
          orders:
            columns: {order_id: BIGINT, amount: "DECIMAL(10,2)", ordered_at: TIMESTAMP}
            rows:
              - [1, 10.50, 2026-01-05]
              - [2, null, 2026-02-01 10:00:00]
            key: order_id
            time: ordered_at
            map: {net: amount - 1}           # `columns:` of kpi.yaml
      metrics:
        revenue: {source: orders, formula: sum(amount)}
    cases:
      - name: revenue by month
        query: {metrics: revenue, by: month}
        check: |
          SELECT CAST(date_trunc('month', ordered_at) AS DATE) AS month, sum(amount) AS revenue
          FROM orders GROUP BY ALL ORDER BY ALL
        expect:
          - [month, revenue]                 # the first row names the columns
          - [2026-01-01, 10.50]
          - [2026-02-01, null]

A case's own `kpi` and `metrics` are added to the given ones, sources and metrics by name; a source's own keys
replace the given source's, and `null` takes a given entry away.

Keys of a case:

- `kpi`: kpi.yaml, save that a source's `columns` gives its columns' types, `rows` its rows, and `map` what kpi.yaml
  calls `columns`; a source without `rows` is written as it is
- `metrics`: metrics, as in the language
- `files`: further files, `{path: text}`, written as they are in place of what would be made: for errors by their place
- `query`: the arguments of `Project.query`
- `check`: SQL for DuckDB over the given tables, by the sources' names, that gives the same rows in the same order
- `expect`: the rows themselves
- `types`: the columns' types, by their SQL names, as DuckDB gives them
- `golden`: true where the SQL is compared with a file, byte by byte
- `error`: a text that the error holds, or a list with one such text for each problem; `…` stands for anything
- `not_on`: `{engine: why}`, for an engine that cannot answer the case

A case has one of `expect`, `check`, `golden` and `error` at least.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import yaml

CASE_KEYS = frozenset(
    ("name", "kpi", "metrics", "files", "query", "check", "expect", "types", "golden", "error", "not_on")
)
GIVEN_KEYS = frozenset({"kpi", "metrics", "not_on"})
TABLE_KEYS = frozenset({"columns", "rows", "map"})

ARROW_TYPES: Mapping[str, Any] = {
    "BIGINT": pa.int64(),
    "INTEGER": pa.int32(),
    "DOUBLE": pa.float64(),
    "VARCHAR": pa.string(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMPTZ": pa.timestamp("us", "UTC"),
}
"""Types that a case's columns may have, by their SQL names; DECIMAL(p,s) besides."""


class CaseError(ValueError):
    """A case file says something that cannot be understood."""


@dataclass(frozen=True)
class Case:
    """One case. `topic` is its file's name without the ending, `expect` the rows with the columns' names first."""

    topic: str
    name: str
    kpi: Mapping[str, Any]
    metrics: Mapping[str, Any]
    files: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] | None = None
    check: str | None = None
    expect: tuple[tuple[Any, ...], ...] | None = None
    types: tuple[str, ...] | None = None
    golden: bool = False
    error: str | tuple[str, ...] | None = None
    not_on: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.topic}: {self.name}"

    @property
    def slug(self) -> str:
        """The name as a file's name: `revenue by month` → `revenue_by_month`."""
        return re.sub(r"\W+", "_", self.name.lower()).strip("_")

    @property
    def tables(self) -> Mapping[str, pa.Table]:
        """The given rows, one table for each source that has them."""
        sources = self.kpi.get("sources") or {}
        return {n: _table(s, f"{self}: source {n}") for n, s in sources.items() if "rows" in s}

    def write(self, folder: Path) -> dict[str, Path]:
        """Makes the project in `folder`, and gives the Parquet file of each table."""
        files: dict[str, Path] = {}
        (folder / "data").mkdir(parents=True, exist_ok=True)
        for name, table in self.tables.items():
            files[name] = folder / "data" / f"{name}.parquet"
            pyarrow.parquet.write_table(table, files[name])
        texts = {"kpi.yaml": _dumped(self._project()), "metrics/metrics.yaml": _dumped({"metrics": dict(self.metrics)})}
        if not self.metrics:
            del texts["metrics/metrics.yaml"]
        for path, text in {**texts, **self.files}.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        return files

    def _project(self) -> dict[str, Any]:
        project = {"name": self.topic, **self.kpi}
        project["sources"] = {name: _source(name, spec) for name, spec in (self.kpi.get("sources") or {}).items()}
        return project


def load_cases(path: str | Path) -> list[Case]:
    """The cases of one file. CaseError where it cannot be understood, a misspelt key included."""
    file = Path(path)
    with file.open(encoding="utf-8") as stream:
        content = yaml.load(stream, Loader=_Loader)
    if not isinstance(content, dict) or not content.keys() <= {"given", "cases"} or not content.get("cases"):
        raise CaseError(f"{file}: a case file holds `given` (or not) and `cases`")
    given = content.get("given") or {}
    _known(given, GIVEN_KEYS, f"{file}: given")
    cases = [_case(file.stem, given, entry, f"{file}: case {n}") for n, entry in enumerate(content["cases"], 1)]
    slugs = [case.slug for case in cases]
    twice = sorted({s for s in slugs if slugs.count(s) > 1})
    if twice:
        raise CaseError(f"{file}: cases of the same name: {', '.join(twice)}")
    return cases


def _case(topic: str, given: Mapping[str, Any], entry: Any, where: str) -> Case:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise CaseError(f"{where}: a case is a mapping with a name")
    where = f"{where} ({entry['name']})"
    _known(entry, CASE_KEYS, where)
    if not entry.keys() & {"check", "expect", "error", "golden"}:
        raise CaseError(f"{where}: nothing is proved; give check, expect, golden or error")
    if "query" not in entry and "error" not in entry:
        raise CaseError(f"{where}: there is no query")
    kpi = _merged(given.get("kpi") or {}, entry.get("kpi") or {}, ("sources",))
    error = entry.get("error")
    return Case(
        topic=topic,
        name=entry["name"],
        kpi=kpi,
        metrics=_by_name(given.get("metrics") or {}, entry.get("metrics") or {}),
        files=entry.get("files") or {},
        query=entry.get("query"),
        check=entry.get("check"),
        expect=_rows(entry["expect"], where) if "expect" in entry else None,
        types=tuple(entry["types"]) if "types" in entry else None,
        golden=bool(entry.get("golden")),
        error=tuple(error) if isinstance(error, list) else error,
        not_on={**(given.get("not_on") or {}), **(entry.get("not_on") or {})},
    )


def _known(entry: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    unknown = sorted(entry.keys() - known)
    if unknown:
        raise CaseError(f"{where}: unknown key {', '.join(unknown)}; there are: {', '.join(sorted(known))}")


def _rows(written: Any, where: str) -> tuple[tuple[Any, ...], ...]:
    rows = tuple(tuple(row) for row in written)
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        raise CaseError(f"{where}: the first row of expect names the columns, and every other is as long")
    return rows


def _merged(given: Mapping[str, Any], own: Mapping[str, Any], by_name: tuple[str, ...]) -> dict[str, Any]:
    merged = {**given, **own}
    for key in by_name:
        first, second = given.get(key) or {}, own.get(key) or {}
        merged[key] = _by_name(first, {n: {**first.get(n, {}), **s} if s else s for n, s in second.items()})
    return merged


def _by_name(given: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    return {name: entry for name, entry in {**given, **own}.items() if entry is not None}


# -- a case -> a project


def _source(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    if "rows" not in spec:
        return dict(spec)
    made = {"from": f"data/{name}.parquet", **{k: v for k, v in spec.items() if k not in TABLE_KEYS}}
    if "map" in spec:
        made["columns"] = spec["map"]
    return made


def _table(spec: Mapping[str, Any], where: str) -> pa.Table:
    types = {name: _arrow_type(kind, where) for name, kind in spec["columns"].items()}
    for row in spec["rows"]:
        if len(row) != len(types):
            raise CaseError(f"{where}: {len(types)} columns, and the row {row} has {len(row)}")
    texts = [pa.array([_text(row[i]) for row in spec["rows"]], pa.string()) for i in range(len(types))]
    columns = [text.cast(kind) for text, kind in zip(texts, types.values(), strict=True)]
    return pa.Table.from_arrays(columns, schema=pa.schema(list(types.items())))


def _arrow_type(text: str, where: str) -> Any:
    decimal = re.fullmatch(r"DECIMAL\((\d+), *(\d+)\)", text)
    if decimal:
        return pa.decimal128(int(decimal[1]), int(decimal[2]))
    if text not in ARROW_TYPES:
        raise CaseError(f"{where}: unknown type {text}; there are: {', '.join(ARROW_TYPES)}, DECIMAL(p,s)")
    return ARROW_TYPES[text]


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


# -- YAML


class _Loader(yaml.SafeLoader):
    """YAML whose numbers with a point are exact, whose `no` and `on` are words, and whose keys come once."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = sorted({k for k in keys if keys.count(k) > 1})
        if twice:
            raise CaseError(f"{node.start_mark}: key given twice: {', '.join(twice)}")
        return super().construct_mapping(node, deep)


def _resolvers() -> Iterator[tuple[str, list[tuple[str, re.Pattern[str]]]]]:
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items():
        yield first, [(tag, rule) for tag, rule in pairs if not tag.endswith((":bool", ":int", ":float"))]


_Loader.yaml_implicit_resolvers = dict(_resolvers())
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9]\d*)$"), list("-0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^-?\d+\.\d+$"), list("-0123456789"))
_Loader.add_constructor("tag:yaml.org,2002:float", lambda loader, node: Decimal(node.value))


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_representer(Decimal, lambda dumper, value: dumper.represent_float(float(value)))


def _dumped(content: Mapping[str, Any]) -> str:
    return str(yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000))
