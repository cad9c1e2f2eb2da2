"""`kpi schema`: what the readers take it takes, and it underlines what people get wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

import kpiengine
from kpiengine.cli.main import cli
from kpiengine.plugins import installed
from kpiengine.schema import metrics_schema, project_schema
from kpiengine.schema.texts import text_of
from kpiengine.spec.nodes import plain
from kpiengine.spec.yaml import read_yaml

ROOT = Path(kpiengine.__file__).parent
PROJECT = Draft202012Validator(project_schema(installed()))
METRICS = Draft202012Validator(metrics_schema(installed()))
PROJECT_FILES = sorted(ROOT.glob("*/*/kpi.yaml")) + sorted(ROOT.glob("*/*/*/kpi.yaml"))
METRIC_FILES = sorted(file for main in PROJECT_FILES for file in (main.parent / "metrics").rglob("*.yaml"))
LIBRARY_FILES = sorted((ROOT.parent / "metrics" / "kpiengine_metrics").glob("*.yaml"))
GOOD = Path(__file__).parent / "spec" / "good"


def loaded(text: str | bytes) -> Any:
    """YAML as an editor reads it: dates are texts."""
    problems: list[Any] = []
    root, _ = read_yaml(text if isinstance(text, bytes) else text.encode(), "file.yaml", problems)
    assert not problems and root is not None
    return plain(root)


def wrong(validator: Draft202012Validator, text: str | bytes) -> list[str]:
    """What an editor would underline: the places of the innermost errors, as paths."""
    return [error.json_path + ": " + error.message for error in validator.iter_errors(loaded(text))]


def test_both_are_schemas() -> None:
    Draft202012Validator.check_schema(PROJECT.schema)
    Draft202012Validator.check_schema(METRICS.schema)


@pytest.mark.parametrize("file", PROJECT_FILES, ids=lambda file: file.parent.name)
def test_the_projects_that_ship_are_right(file: Path) -> None:
    assert wrong(PROJECT, file.read_bytes()) == []


@pytest.mark.parametrize("file", [*METRIC_FILES, *LIBRARY_FILES], ids=lambda file: f"{file.parts[-3]}/{file.name}")
def test_the_files_of_metrics_that_ship_are_right(file: Path) -> None:
    assert wrong(METRICS, file.read_bytes()) == []


def test_what_the_readers_take_is_right() -> None:
    """The kind `segments` is one that the tests of the readers bring; it is not installed."""
    told = [line for file in (GOOD / "metrics").rglob("*.yaml") for line in wrong(METRICS, file.read_bytes())]
    assert [line for line in told if not line.startswith("$.metrics.segments.kind: ")] == []


SOURCE = "sources: {orders: {from: data/x.csv, key: id, time: day}}\n"


@pytest.mark.parametrize(
    "text",
    [
        "sources: {orders: {from: {csv: {path: [a.csv, b.csv], delimiter: ';', header: ~}}, joins: {c: {to: d, on: [e, f]}}}}",
        "sources: {orders: {from: {duckdb: {path: x.duckdb, table: t}}, key: ~, filters: []}}",
        "sources: {orders: {from: {sql: select 1}}}",
        "calendar: {fiscal: {starts: april}}\nweek_starts: Sunday\nengine: {duckdb: {threads: 2}}",
        "metrics: {m: {formula: 1, target: {month: 1, year: 12}, near: 0.8, better: down, tags: a}}",
        "metrics: {m: {extends: rfm, scale: 4}, n: {extends: nps, time: day, label: {en: N, fa: ن}}}",
        "metrics: {m: {kind: funnel, source: s, entity: e, time: t, stage: x, steps: [a, b], by: [c]}}",
        "exports: {e: {metrics: a, by: none, limit: 3, since: 2026-01-01, partition_by: []}}",
        "tests: [{name: t, given: {orders: ~}, query: {metrics: [m], set: {country: DE}}, expect: []}]",
        "sources:\nmetrics:\n",
    ],
)
def test_right(text: str) -> None:
    assert wrong(PROJECT, text) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("souces: {}", "$"),
        ("sources: {orders: {from: {csvv: x.csv}}}", "$.sources.orders.from"),
        ("sources: {orders: {from: {csv: {path: x, delimeter: ';'}}}}", "$.sources.orders.from"),
        ("sources: {orders: {from: {csv: {delimiter: ';'}}}}", "$.sources.orders.from"),
        ("sources: {orders: {from: {csv: a, parquet: b}}}", "$.sources.orders.from"),
        ("sources: {orders: {key: id}}", "$.sources.orders"),
        ("sources: {orders: {from: x.csv, colums: {a: b}}}", "$.sources.orders"),
        ("sources: {orders: {from: x.csv, joins: {c: {to: d}}}}", "$.sources.orders.joins.c"),
        ("sources: {or.ders: {from: x.csv}}", "$.sources"),
        ("metrics: {m: sum(amount)}", "$.metrics.m"),
        ("metrics: {m: {source: orders}}", "$.metrics.m"),
        ("metrics: {m: {formula: 1, grian: month}}", "$.metrics.m"),
        ("metrics: {m: {formula: 1, better: higher}}", "$.metrics.m.better"),
        ("metrics: {m: {formula: 1, near: 90}}", "$.metrics.m.near"),
        ("metrics: {m: {formula: 1, target: {monthly: 3}}}", "$.metrics.m.target"),
        ("metrics: {m: {formula: 1, fill: zero}}", "$.metrics.m.fill"),
        ("metrics: {m: {kind: rfmm}}", "$.metrics.m.kind"),
        ("metrics: {m: {kind: rfm, source: orders}}", "$.metrics.m"),
        ("metrics: {m: {kind: rfm, source: o, customer: c, time: t, amount: a, formula: 1}}", "$.metrics.m"),
        ("metrics: {m: {kind: rfm, source: o, customer: c, time: t, amount: a, method: best}}", "$.metrics.m.method"),
        ("metrics: {m: {kind: rfm, source: o, customer: c, time: t, amount: a, scale: five}}", "$.metrics.m.scale"),
        ("metrics: {m: {extends: nps, grian: month}}", "$.metrics.m"),
        ("exports: {e: {by: month}}", "$.exports.e"),
        ("exports: {e: {metrics: a, limit: -1}}", "$.exports.e.limit"),
        ("tests: [{name: t, query: {metrics: m}, expect: []}]", "$.tests[0]"),
        ("tests: [{name: t, given: {o: {a: 1}}, query: {metrics: m}, expect: []}]", "$.tests[0].given.o"),
        ("tests: {a: b}", "$.tests"),
        ("calendar: julian", "$.calendar"),
        ("calendar: {fiscal: {start: april}}", "$.calendar"),
        ("week_starts: mon", "$.week_starts"),
    ],
)
def test_a_mistake_is_underlined_where_it_stands(text: str, place: str) -> None:
    told = wrong(PROJECT, text)
    assert {line.split(": ")[0] for line in told} == {place}, told


def test_values_may_come_from_the_environment() -> None:
    """The file is read as an editor reads it: nothing is filled in."""
    text = {"exports": {"e": {"metrics": ["a"], "limit": "${LIMIT}", "totals": "${YES:-true}"}}, "week_starts": "${W}"}
    assert list(PROJECT.iter_errors(text)) == []


def test_sections_of_kpi_yaml_are_no_keys_of_a_metric_file() -> None:
    assert wrong(METRICS, SOURCE) != []
    assert wrong(PROJECT, SOURCE) == []


def test_options_of_plugins_are_in_it() -> None:
    definitions = PROJECT.schema["$defs"]
    for name, kind in installed().kinds().items():
        assert set(definitions[f"kind_{name}"]["properties"]) >= set(kind.options)
    connectors = definitions["source"]["properties"]["from"]["anyOf"][1]["properties"]
    assert set(connectors) == set(installed().connectors())


def test_every_key_says_what_it_is() -> None:
    """Where the mouse stands on a key, an editor shows a text."""
    for owner in ("source", "join", "query", "export", "test"):
        for key in PROJECT.schema["$defs"][owner]["properties"]:
            assert text_of(owner, key), (owner, key)
    for key in PROJECT.schema["$defs"]["formula_metric"]["properties"]:
        assert text_of("metric", key), key
    for key in PROJECT.schema["properties"]:
        assert text_of("project", key), key


@pytest.mark.parametrize(("arguments", "title"), [((), "kpi.yaml"), (("--metrics",), "A file of metrics")])
def test_the_command_prints_it(arguments: tuple[str, ...], title: str) -> None:
    got = CliRunner().invoke(cli, ["schema", *arguments])
    assert got.exit_code == 0
    made = json.loads(got.stdout)
    assert (made["title"], made["$schema"]) == (title, "https://json-schema.org/draft/2020-12/schema")
