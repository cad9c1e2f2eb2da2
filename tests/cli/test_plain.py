"""Small results are written without Arrow: byte for byte what the writers over Arrow write."""

from __future__ import annotations

import io
import math
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpiengine.cli.formats import Look, Rows, Target, writer
from kpiengine.cli.formats.plain import MOST_ROWS, WRITERS, PlainRows, number

VALUES = {
    "TINYINT": ["-128", "127"],
    "SMALLINT": ["-32768"],
    "INTEGER": ["0", "1234567"],
    "BIGINT": ["9223372036854775807", "-9223372036854775808"],
    "UBIGINT": ["18446744073709551615"],
    "HUGEINT": ["99999999999999999999999999999999999999", "-1"],
    "DECIMAL(4, 1)": ["999.9", "-0.1", "0"],
    "DECIMAL(18, 2)": ["1234567890123456.78", "12.50"],
    "DECIMAL(38, 8)": ["0.0000001", "0.00000001", "123456789012345678901234567890.12345678", "0"],
    "DOUBLE": ["0.1", "1e15", "1e10", "1e-5", "1.5e-7", "-0.0", "5", "'inf'", "'-inf'", "'nan'", "1e300", "0.3333333333333333"],
    "VARCHAR": ["''", "'plain'", "'a,b'", "'q\"q'", "'two\nlines'", "'\r'", "'سلام'", "'می\u200cروم'", "'|\\'", "'\t\x1b[31m'", "'東京'"],
    "BOOLEAN": ["true", "false"],
    "DATE": ["'2026-01-31'", "'0001-01-02'", "'9999-12-30'"],
    "TIMESTAMP": ["'2026-03-29 09:00:00'", "'2026-01-01 00:00:00.12'", "'0999-01-01 23:59:59.000001'"],
}  # fmt: skip
"""Type → values as SQL."""
ELSEWHERE = {
    "DATE": ["'infinity'", "'-infinity'", "'0001-01-01'", "'9999-12-31'", "'10000-01-01'", "'0044-03-15 (BC)'"],
    "TIMESTAMP": ["'infinity'", "'-infinity'", "'9999-12-31 01:00:00'", "'290000-01-01'"],
    "TIMESTAMPTZ": ["'2026-01-01'"],
    "TIMESTAMP_NS": ["'2026-01-01'"],
    "TIME": ["'01:02:03'"],
    "FLOAT": ["0.1"],
    "INTERVAL": ["'1 month'"],
    "BLOB": ["'x'"],
    "UUID": ["'6a2f41a3-c54c-fce8-32d2-0324e1c32e22'"],
    "INTEGER[]": ["[1, 2]"],
}
"""What Arrow writes."""


def query(types: dict[str, list[str]]) -> str:
    """A statement with a column a type, all of the type's values and NULL in it."""
    rows = max(map(len, types.values())) + 1
    columns = [f'[{", ".join([*values, "NULL"])}]::{kind}[] AS "a {kind}"' for kind, values in types.items()]
    picked = [f'"a {kind}"[i] AS "a {kind}"' for kind in types]
    return f"SELECT {', '.join(picked)} FROM (SELECT {', '.join(columns)}), range(1, {rows + 1}) AS r(i) ORDER BY i"


def plain(sql: str) -> PlainRows | None:
    found = duckdb.connect().execute(sql)
    return PlainRows.of([(str(c[0]), str(c[1])) for c in found.description], found.fetchmany)


def by_arrow(sql: str, name: str, looks: dict[str, Look], **target: Any) -> bytes:
    out = io.BytesIO()
    table = duckdb.connect().sql(sql).to_arrow_table()
    writer(name)(Rows(table.schema, iter(table.to_batches())), looks, Target(out, **target))
    return out.getvalue()


def by_hand(sql: str, name: str, looks: dict[str, Look], **target: Any) -> bytes:
    out = io.BytesIO()
    rows = plain(sql)
    assert rows is not None
    assert WRITERS[name](rows, looks, Target(out, **target)) == rows.rows
    return out.getvalue()


@pytest.mark.parametrize("unit", [None, "percent", "EUR"])
@pytest.mark.parametrize("name", WRITERS)
def test_every_type_is_written_the_same(name: str, unit: str | None) -> None:
    sql = query(VALUES)
    looks = {f"a {kind}": Look(unit, measure) for measure, kind in enumerate(VALUES)}
    assert by_hand(sql, name, looks) == by_arrow(sql, name, looks)


@pytest.mark.parametrize("measure", [False, True])
@pytest.mark.parametrize("kind", VALUES)
def test_the_terminal_shows_every_type_the_same(kind: str, measure: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    sql, looks = query({kind: VALUES[kind]}), {f"a {kind}": Look(None, measure)}
    assert by_hand(sql, "table", looks, terminal=True) == by_arrow(sql, "table", looks, terminal=True)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 AS n WHERE false",
        "SELECT NULL AS n",
        "SELECT NULL::BIGINT AS n",
        "SELECT '' AS n, NULL AS m",
        'SELECT 1 AS "a,b", 2 AS "c|d", \'e"\' AS "f""g"',
        'SELECT 1 AS "درآمد", NULL AS "ماه"',
    ],
)
def test_the_edges_are_written_the_same(name: str, sql: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert by_hand(sql, name, {}) == by_arrow(sql, name, {})
    told = capfd.readouterr().err
    assert told == ("no rows\n" * 2 if name == "table" and "false" in sql else "")


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in ELSEWHERE.items() for value in values])
def test_what_python_does_not_hold_is_left_to_arrow(kind: str, value: str) -> None:
    assert plain(f"SELECT {value}::{kind} AS a") is None


def test_many_rows_are_left_to_arrow() -> None:
    assert plain(f"SELECT * FROM range({MOST_ROWS})") is not None
    assert plain(f"SELECT * FROM range({MOST_ROWS + 1})") is None


@given(st.lists(st.floats(), min_size=1, max_size=200))
def test_any_number_is_written_as_arrow_writes_it(values: list[float]) -> None:
    assert [number(value) for value in values] == pa.array(values, pa.float64()).cast(pa.string()).to_pylist()


@given(st.lists(st.tuples(st.floats(1, 10), st.integers(-20, 20)), min_size=1, max_size=200))
def test_numbers_of_every_size_are_written_as_arrow_writes_them(parts: list[tuple[float, int]]) -> None:
    values = [math.copysign(round(base, 3) * 10.0**power, -1 if power % 2 else 1) for base, power in parts]
    assert [number(value) for value in values] == pa.array(values, pa.float64()).cast(pa.string()).to_pylist()
