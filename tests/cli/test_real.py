"""The command line on a real project: what `kpi init` and `kpi demo` make, asked for real."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from kpiengine.cli.main import cli

TRUTH = """
    select date_trunc('month', ordered_at)::date as month, sum(amount) as revenue from read_csv(?)
    where status = 'completed' group by all order by month
"""


@pytest.fixture(scope="module")
def acme(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real") / "acme"
    assert CliRunner().invoke(cli, ["init", str(folder)]).exit_code == 0
    return folder


@pytest.fixture(scope="module")
def truth(acme):
    rows = duckdb.execute(TRUTH, [str(acme / "data" / "orders.csv")]).fetchall()
    return [(month.isoformat(), pytest.approx(revenue)) for month, revenue in rows]


def ask(folder, *arguments):
    got = CliRunner().invoke(cli, ["-C", str(folder), *arguments])
    assert got.exit_code == 0, got.output
    return got


def test_every_format_holds_the_same_numbers(acme, truth, tmp_path):
    def asked(name):
        return ask(acme, "query", "revenue", "--format", name)

    found = {
        "csv": [(r["month"], float(r["revenue"])) for r in csv.DictReader(io.StringIO(asked("csv").stdout))],
        "json": [(r["month"], r["revenue"]) for r in json.loads(asked("json").stdout)],
        "jsonl": [tuple(json.loads(line).values()) for line in asked("jsonl").stdout.splitlines()],
        "table": [(m, float(v)) for m, v in map(str.split, asked("table").stdout.splitlines()[2:])],
        "markdown": [
            (month.strip(), float(value))
            for _, month, value, _ in (line.split("|") for line in asked("markdown").stdout.splitlines()[2:])
        ],
        "arrow": [(r["month"].isoformat(), r["revenue"])
                  for r in pa.ipc.open_stream(asked("arrow").stdout_bytes).read_all().to_pylist()],
        "parquet": [(r["month"].isoformat(), r["revenue"])
                    for r in pq.read_table(pa.BufferReader(asked("parquet").stdout_bytes)).to_pylist()],
    }  # fmt: skip
    assert len(truth) == 6
    assert found == dict.fromkeys(found, truth)


def test_types_are_kept_in_a_file(acme, tmp_path):
    ask(acme, "query", "revenue,orders", "--by", "month", "--out", str(tmp_path / "x.parquet"))
    schema = pq.read_schema(tmp_path / "x.parquet")
    assert [str(field.type) for field in schema] == ["date32[day]", "double", "int64"]


def test_percent_is_shown_as_percent_and_given_as_a_share(acme):
    table = ask(acme, "query", "revenue_growth").stdout
    assert table.splitlines()[3].split()[1].endswith("%")
    assert abs(json.loads(ask(acme, "query", "revenue_growth", "--format", "json").stdout)[1]["revenue_growth"]) < 1


def test_the_printed_statement_runs_as_it_is(acme, truth):
    rows = duckdb.sql(ask(acme, "sql", "revenue").stdout).fetchall()
    assert [(month.isoformat(), revenue) for month, revenue in rows] == truth


def test_list_show_check_and_export(acme, truth):
    listed = {metric["name"]: metric for metric in json.loads(ask(acme, "list", "--json").stdout)}
    assert listed["revenue"]["place"].startswith("metrics/sales.yaml:3:")
    assert listed["nps"]["needs"] == ["source: survey"]
    assert "    revenue ← source orders" in ask(acme, "show", "aov").stdout
    assert ask(acme, "check", "--data").stdout.startswith("ok: 1 source, ")
    assert "monthly" in ask(acme, "export").stdout
    table = pq.read_table(acme / "out" / "monthly")
    assert sum(table["revenue"].drop_null().to_pylist()) == pytest.approx(sum(value.expected for _, value in truth))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("query", "revenu"), 'unknown metric "revenu"  (did you mean "revenue"?)'),
        (("query", "revenue", "--by", "chanel"), '(did you mean "channel"?)'),
        (("query", "revenue", "--since", "soon"), "soon"),
        (("query", "revenue", "--where", "amount >"), "amount >"),
        (("show", "revenu"), '(did you mean "revenue"?)'),
        (("export", "weekly"), "monthly"),
    ],
)
def test_wrong_questions_are_exit_code_2(acme, arguments, says):
    got = CliRunner().invoke(cli, ["-C", str(acme), *arguments])
    assert (got.exit_code, got.stdout) == (2, ""), got.output
    assert says in got.stderr
    assert "internal error" not in got.stderr


def test_wrong_definitions_are_exit_code_1_and_all_told(acme, tmp_path):
    folder = tmp_path / "broken"
    CliRunner().invoke(cli, ["init", str(folder)])
    more = "metrics:\n  a: {source: orders, formula: sum(amout)}\n  b: {source: nowhere, formula: count(*)}\n"
    (folder / "metrics" / "broken.yaml").write_text(more)
    got = CliRunner().invoke(cli, ["-C", str(folder), "check"])
    assert got.exit_code == 1
    assert "metrics/broken.yaml:2:" in got.stderr
    assert '(did you mean "amount"?)' in got.stderr
    assert "metrics/broken.yaml:3:" in got.stderr


def test_a_run_leaves_nothing_on_standard_error(acme):
    """The engine tells of connections that outlive the program: a query, and one whose reader goes away, leave none."""
    program = [sys.executable, "-m", "kpiengine.cli", "-C", str(acme)]
    run = subprocess.run([*program, "query", "revenue"], capture_output=True, text=True, check=True)
    assert run.stderr == ""
    run = subprocess.run([*program, "query", "nonsense"], capture_output=True, text=True, check=False)
    assert len(run.stderr.splitlines()) == 1


def test_no_project_is_told_with_the_cure(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    got = CliRunner().invoke(cli, ["list"])
    assert got.exit_code in (1, 2)
    assert "kpi.yaml" in got.stderr
    assert "internal error" not in got.stderr


def test_demo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    got = CliRunner().invoke(cli, ["demo"])
    assert got.exit_code == 0, got.output
    assert (tmp_path / "kpi-demo" / "kpi.yaml").is_file()
    assert list((tmp_path / "kpi-demo" / "out").rglob("*.parquet"))
    assert "kpi query revenue,orders,aov" in got.stdout
    assert f"Parquet files are in {tmp_path / 'kpi-demo' / 'out'}" in got.stdout
