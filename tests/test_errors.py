"""What users meet when data, settings and disks are wrong: one line that names the place and the cure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import kpiengine
from kpiengine.cli.main import cli
from kpiengine.duck import DuckSession
from kpiengine.duckerrors import engine_errors
from kpiengine.errors import DataError, DefinitionError, EngineError

METRICS = "metrics: {m: {source: s, formula: sum(x)}, n: {source: s, formula: count(*)}}\n"


def project(folder: Path, source: str = "s.parquet", more: str = "") -> Path:
    (folder / "kpi.yaml").write_text(f"{more}sources: {{s: {{from: {source}}}}}\n{METRICS}", encoding="utf-8")
    return folder


def kpi(folder: Path, *arguments: str) -> Result:
    got = CliRunner().invoke(cli, ["-C", str(folder), *arguments])
    assert "internal error" not in got.output
    assert "Traceback" not in got.output
    return got


# -- definitions


def test_what_a_kpi_yaml_that_cannot_be_read_would_have_said_is_not_asked_for(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "m.yaml").write_text("metrics: {m: {source: s, formula: sum(x)}, n: {formula: mm / 2}}\n")
    (tmp_path / "kpi.yaml").write_text("sources: {s: {from: s.parquet}\n")
    told = kpi(tmp_path, "check").stderr.splitlines()
    assert [line.split(": ", 1)[0] for line in told[:2]] == ["kpi.yaml:1:10", "metrics/m.yaml:1:57"]
    assert "there is no source" not in "".join(told)


def test_a_file_of_targets_is_no_source_of_kpi_yaml(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("period,value\n2026-01-01,1\n")
    more = "m: {source: ss, formula: sum(x), grain: month, target: {from: t.csv}}"
    (tmp_path / "kpi.yaml").write_text(f"sources: {{s: {{from: s.parquet}}}}\nmetrics: {{{more}}}\n")
    assert 'there is no source "ss"; kpi.yaml has: s  (did you mean "s"?)' in kpi(tmp_path, "check").stderr


# -- data


def damaged(path: Path) -> None:
    """A Parquet file whose pages are rubbish, and whose footer is whole."""
    pq.write_table(pa.table({"x": list(range(1000))}), path)
    data = bytearray(path.read_bytes())
    for place in range(20, 400):
        data[place] ^= 0x5A
    path.write_bytes(bytes(data))


def test_a_damaged_parquet_file_is_told_by_query_and_found_by_check(tmp_path: Path) -> None:
    damaged(project(tmp_path) / "s.parquet")
    got = kpi(tmp_path, "query", "m", "--by", "none")
    assert got.exit_code == 1
    assert "damaged" in got.stderr
    assert "fetch it again" in got.stderr
    assert kpi(tmp_path, "check").exit_code == 0  # its footer is fine
    got = kpi(tmp_path, "check", "--data")
    assert got.exit_code == 1
    assert got.stderr.startswith('kpi.yaml:1:11: source "s": a file is damaged')


@pytest.mark.parametrize(
    ("write", "says"),
    [
        (lambda path: path.write_bytes(b""), "is empty"),
        (lambda path: path.write_bytes(b"x,y\n1,2\n"), "is not a Parquet file"),
        (lambda path: path.write_bytes(b"PAR1 cut"), "is cut"),
        (lambda path: path.symlink_to("nowhere.parquet"), "is a link to nowhere.parquet, which is not there"),
        (lambda path: path.mkdir(), "there is no .parquet file in"),
    ],
)
def test_what_stands_in_a_files_place(tmp_path: Path, write: Callable[[Path], object], says: str) -> None:
    write(project(tmp_path) / "s.parquet")
    got = kpi(tmp_path, "query", "m", "--by", "none")
    assert got.exit_code == 1
    assert says in got.stderr
    assert got.stderr.startswith("kpi.yaml:1:11:")


@pytest.mark.parametrize(("start", "says"), [(b"PAR1", "a Parquet file"), (b"PK\x03\x04", "a workbook")])
def test_a_file_under_the_ending_of_another_kind(tmp_path: Path, start: bytes, says: str) -> None:
    (project(tmp_path, "s.csv") / "s.csv").write_bytes(start + bytes(range(256)))
    assert f"is no text file but {says}" in kpi(tmp_path, "query", "n").stderr


@pytest.mark.parametrize("rows", ["", "1\noops\n"])
def test_a_text_where_a_number_should_be_is_named_with_the_cure(tmp_path: Path, rows: str) -> None:
    (project(tmp_path, "s.csv") / "s.csv").write_text("x\n" + rows)
    got = kpi(tmp_path, "query", "m", "--by", "none")
    assert got.exit_code == 1
    assert (
        'sum() does not take VARCHAR; "x" is text in the data: cast it, or give a CSV source its signs (decimal:'
        in got.stderr
    )
    assert "types: {x: DOUBLE}" in got.stderr
    (project(tmp_path, "{csv: {path: s.csv, types: {x: DOUBLE}}}") / "s.csv").write_text("x\n")
    assert kpi(tmp_path, "query", "m,n", "--by", "none", "--format", "csv").stdout == "m,n\n,0\n"


def test_a_time_in_numbers_gets_a_cure_that_takes_numbers(tmp_path: Path) -> None:
    told = '"t", which is BIGINT: map it to a date under columns, for instance t: to_timestamp(t) or strptime('
    cures = {"to_timestamp(t)": "1970-08-23", "strptime(cast(t as varchar), '%Y%m%d')": "2026-01-01"}
    (tmp_path / "s.csv").write_text("t,x\n20260101,1\n")
    project(tmp_path, "s.csv, time: t")
    assert told in kpi(tmp_path, "query", "m", "--by", "day").stderr
    for cure, day in cures.items():
        assert cure in kpi(tmp_path, "query", "m", "--by", "day").stderr
        project(tmp_path, f's.csv, time: t, columns: {{t: "{cure}"}}')
        assert kpi(tmp_path, "query", "m", "--by", "day", "--format", "csv").stdout == f"day,m\n{day},1\n"
        project(tmp_path, "s.csv, time: t")


def test_a_sum_beyond_bigint_is_an_error_that_names_it(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [2**63 - 1, 1]}), project(tmp_path) / "s.parquet")
    got = kpi(tmp_path, "query", "m", "--by", "none")
    assert got.exit_code == 1
    assert (
        got.stderr
        == "error: a value does not fit its type: sum(x) is 9223372036854775808, out of the range of BIGINT\n"
    )


def test_check_counts_rows_without_key_or_time_and_keys_that_stand_twice(tmp_path: Path) -> None:
    (tmp_path / "kpi.yaml").write_text("sources: {s: {from: s.csv, key: [x, y], time: t}}\n")
    (tmp_path / "s.csv").write_text("x,y,t\n1,2,2026-01-01\n1,2,\n,2,2026-01-02\n1,3,2026-01-01\n")
    assert kpi(tmp_path, "check", "--data").stderr.splitlines() == [
        'kpi.yaml:1:33: source "s": 1 of 4 rows have no key (x, y)',
        'kpi.yaml:1:33: source "s": the key x, y is not unique: 1 values stand in 2 rows',
        'kpi.yaml:1:47: source "s": 1 of 4 rows have no time (t); they stand in no period',
        "3 problems",
    ]


def test_check_counts_rows_that_a_kind_leaves_out_for_want_of_an_entity_among_those_that_pass_its_filters(
    tmp_path: Path,
) -> None:
    options = "source: s, customer: c, time: t, amount: x"
    kinds = f"""
  all: {{kind: rfm, {options}}}
  some: {{kind: cohort, {options}, filters: [x > $least], parameters: {{least: 1}}}}
  known: {{kind: clv, {options}, filters: [c is not null]}}
"""
    (tmp_path / "kpi.yaml").write_text(f"sources: {{s: {{from: s.csv, time: t}}}}\nmetrics:{kinds}")
    (tmp_path / "s.csv").write_text("c,t,x\n1,2026-01-01,1\n,2026-01-02,1\n,2026-01-03,2\n2,2026-01-04,3\n")
    assert kpi(tmp_path, "check", "--data").stderr.splitlines() == [
        'kpi.yaml:3:3: "all" leaves out 2 of 4 rows of source "s", which have no c',
        'kpi.yaml:4:3: "some" leaves out 1 of 2 rows of source "s", which have no c',
        "2 problems",
    ]


def test_check_tells_once_of_the_rows_that_several_kinds_of_the_library_leave_out(tmp_path: Path) -> None:
    columns = "order_id,customer_id,ordered_at,amount"
    (tmp_path / "kpi.yaml").write_text("sources: {orders: {from: o.csv, key: order_id, time: ordered_at}}\n")
    (tmp_path / "o.csv").write_text(f"{columns}\n1,1,2026-01-01,1\n2,,2026-01-02,1\n")
    [told, count] = kpi(tmp_path, "check", "--data").stderr.splitlines()
    assert told.startswith('kpi.yaml:1:11: "cohort_retention", ')
    assert told.endswith(' leave out 1 of 2 rows of source "orders", which have no customer_id')
    assert count == "1 problem"


# -- settings of the engine


@pytest.mark.parametrize(
    ("engine", "says"),
    [
        ("{duckdb: {memory_limt: 1GB}}", 'DuckDB has no setting "memory_limt"  (did you mean "memory_limit"?)'),
        ("{duckdb: {memory_limit: lots}}", "memory_limit of DuckDB: Memory must have a number"),
        ("{duckdb: {threads: -3}}", "threads of DuckDB: Must have at least 1 thread"),
        ("{duckdb: {TimeZone: UTC}}", '"TimeZone" is not to be set'),
        ("{duckdb: {lock_configuration: false}}", '"lock_configuration" is not to be set'),
        ("{duckdb: {null_order: NULLS_FIRST}}", '"null_order" is not to be set'),
        ("{duckdb: {Default_Null_Order: NULLS_FIRST}}", '"Default_Null_Order" is not to be set'),
        ("{duckdb: {timezone: UTC}}", '"timezone" is not to be set'),
        ("{duckdb: {error_on_division_by_zero: false}}", '"error_on_division_by_zero" is not to be set'),
        ("abacus", 'there is no engine "abacus"; there are: clickhouse, datafusion, duckdb, postgres, spark'),
    ],
)
def test_a_wrong_setting_is_told_with_its_place(tmp_path: Path, engine: str, says: str) -> None:
    (project(tmp_path, "s.csv", f"engine: {engine}\n") / "s.csv").write_text("x\n1\n")
    got = kpi(tmp_path, "query", "m", "--by", "none")
    assert got.exit_code == 1
    assert got.stderr.startswith("kpi.yaml:1:")
    assert says in got.stderr


def test_settings_reach_the_engine_and_little_memory_is_told_with_the_cure(tmp_path: Path) -> None:
    more = "engine: {duckdb: {memory_limit: 5MB, threads: 1}}\n"
    pq.write_table(pa.table({"x": list(range(300_000))}), project(tmp_path, more=more) / "s.parquet")
    got = kpi(tmp_path, "query", "n", "--by", "x")
    assert got.exit_code == 1
    assert "ran out of memory or disk" in got.stderr
    assert "memory_limit: 8GB" in got.stderr


def test_spilled_rows_go_to_a_folder_of_their_own_that_is_removed(tmp_path: Path, monkeypatch) -> None:
    spill = tmp_path / "tmp"
    spill.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(spill))
    more = "engine: {duckdb: {memory_limit: 30MB, threads: 1}}\n"
    table = duckdb.sql("SELECT i * 7919 % 1000003 AS x FROM range(1500000) r(i)").to_arrow_table()
    pq.write_table(table, project(tmp_path, more=more) / "s.parquet")
    with kpiengine.open(tmp_path) as opened:
        assert len(opened.query("n", by="x")) == 1_000_003
        assert [p.name.startswith("kpi-spill-") for p in spill.iterdir()] == [True]
    assert list(spill.iterdir()) == []


# -- what the environment gave


SECRET = "Tops3cret'x"


def test_values_from_the_environment_are_never_shown(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    (tmp_path / "s.csv").write_text("x,t\n1,a\n")
    (tmp_path / "kpi.yaml").write_text(
        """
sources:
  s: {from: s.csv, filters: ["t <> $$${TOKEN}$$"]}
  lost: {from: "${TOKEN}/x.csv"}
  wrong: {from: {csv: {path: s.csv, delimiter: "${TOKEN}"}}}
metrics:
  m: {source: s, formula: "sum(x) where t <> $$${TOKEN}$$"}
  k: {source: lost, formula: count(*)}
  w: {source: wrong, formula: count(*)}
tests:
  - {name: t, given: {s: [{x: 1, t: a}]}, query: {metrics: [m]}, expect: [{m: 2}]}
"""
    )
    asked = [("check",), ("list",), ("list", "--json"), ("show", "m"), ("show", "m", "--json"), ("sql", "m"), ("test",)]
    asked += [("query", "k"), ("query", "w"), ("--debug", "query", "k")]
    for arguments in asked:
        shown = CliRunner().invoke(cli, ["-C", str(tmp_path), *arguments]).output
        assert shown
        assert "tops3cret" not in shown.lower(), arguments
    statement = kpi(tmp_path, "sql", "m").stdout
    assert statement.startswith("-- *** is a value that kpi.yaml takes from the environment")
    assert "'***'" in statement
    assert kpi(tmp_path, "query", "m", "--by", "none", "--format", "csv").stdout == "m\n1\n"


def test_a_folder_from_the_environment_stays_in_the_statement(tmp_path: Path, monkeypatch) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "s.csv").write_text("x\n5\n")
    monkeypatch.setenv("DATA", str(data))
    project(tmp_path, '"${DATA}/s.csv"')
    assert duckdb.sql(kpi(tmp_path, "sql", "m").stdout).fetchall() == [(5,)]


# -- statements that run elsewhere


def test_a_statement_attaches_its_database_and_names_files_by_their_whole_path(tmp_path: Path, monkeypatch) -> None:
    with duckdb.connect(str(tmp_path / "d.duckdb")) as connection:
        connection.execute("CREATE TABLE sales AS SELECT 7 AS x")
    (tmp_path / "a.csv").write_text("x\n5\n")
    (tmp_path / "kpi.yaml").write_text(
        """
sources:
  base: {from: d.duckdb}
  s: {from: {sql: "select * from base union all select x from 'a.csv' union all select x from read_csv(['a.csv'])"}}
"""
        + METRICS
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    statement = kpi(tmp_path, "sql", "m").stdout
    assert statement.startswith("ATTACH IF NOT EXISTS")
    with duckdb.connect() as connection:
        assert connection.execute(statement).fetchall() == [(17,)]


def test_queries_over_each_other_are_told_with_the_way(tmp_path: Path) -> None:
    (tmp_path / "kpi.yaml").write_text(
        """sources:
  a: {from: {sql: "select * from b"}}
  b: {from: {sql: "select * from a"}}
metrics: {m: {source: a, formula: count(*)}}
"""
    )
    assert 'source "b" is a query over itself: a → b → a' in kpi(tmp_path, "query", "m").stderr


# -- ends


def _is_at_work(process: int, folder: Path) -> bool:
    """Whether a run has begun to write, or has used so much processor time (where that is told) that it computes."""
    told = Path(f"/proc/{process}/stat")
    ticks = sum(map(int, told.read_text().rpartition(")")[2].split()[11:13])) if told.exists() else 0
    return bool(list(folder.rglob(".*-kpi-*"))) or ticks > 3 * os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize(("number", "code", "says"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")])
def test_a_long_query_ends_at_once_and_leaves_nothing(tmp_path: Path, number: str, code: int, says: str) -> None:
    pq.write_table(pa.table({"x": list(range(300_000))}), tmp_path / "a.parquet")
    query = "select a.x + b.x as x from 'a.parquet' a, 'a.parquet' b where a.x * b.x % 7 = 3"
    project(tmp_path, f'{{sql: "{query}"}}')
    for arguments in (("query", "m", "--out", "x.csv"), ("export", "--metric", "m")):
        program = [sys.executable, "-m", "kpiengine.cli", "-C", str(tmp_path), *arguments]
        run = subprocess.Popen(program, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        while not _is_at_work(run.pid, tmp_path) and time.monotonic() < deadline and run.poll() is None:
            time.sleep(0.05)
        time.sleep(0.3)
        started = time.monotonic()
        run.send_signal(signal.Signals[number])
        shown, errors = run.communicate(timeout=30)
        assert (run.returncode, shown, errors) == (code, "", f"{says}\n")
        assert time.monotonic() - started < 5
        assert list(tmp_path.rglob(".*-kpi-*")) == []


def test_usual_settings_are_set_without_a_look_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(session: DuckSession) -> dict[str, str]:
        raise AssertionError

    monkeypatch.setattr(DuckSession, "_known_settings", looked)
    (project(tmp_path, "s.csv", "engine: {duckdb: {THREADS: 3, memory_limit: 1GB}}\n") / "s.csv").write_text("x\n1\n")
    with kpiengine.open(tmp_path) as opened:
        assert opened.query("m").rows() == [{"m": 1}]
        assert opened._runner.duck.rows("SELECT current_setting('threads')") == [(3,)]


@pytest.mark.parametrize("error", [RuntimeError("Query interrupted"), duckdb.InterruptException("INTERRUPT Error")])
def test_a_signal_that_duckdb_sees_first_is_an_interrupt(error: Exception) -> None:
    with pytest.raises(KeyboardInterrupt), engine_errors():
        raise error


def test_another_error_of_python_stays_one() -> None:
    with pytest.raises(RuntimeError, match="something else"), engine_errors():
        raise RuntimeError("something else")


def test_a_closed_project_says_so(tmp_path: Path) -> None:
    (project(tmp_path, "s.csv") / "s.csv").write_text("x\n1\n")
    opened = kpiengine.open(tmp_path)
    result = opened.query("m")
    opened.close()
    with pytest.raises(EngineError, match="the project is closed"):
        result.arrow()


def test_python_raises_the_same_family(tmp_path: Path) -> None:
    damaged(project(tmp_path) / "s.parquet")
    with kpiengine.open(tmp_path) as opened, pytest.raises(DataError, match="damaged"):
        opened.query("m").arrow()
    (tmp_path / "kpi.yaml").write_text("sources: [")
    with pytest.raises(DefinitionError, match=r"kpi\.yaml:2:1"):
        kpiengine.open(tmp_path)
