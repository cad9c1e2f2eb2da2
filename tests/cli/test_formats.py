"""Every format, on a table with every type and the values that break writers."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kpiengine.cli.formats import FORMATS, Look, Rows, Target, writer
from kpiengine.cli.formats.cells import cells

BERLIN = ZoneInfo("Europe/Berlin")
EVERYTHING = pa.table(
    {
        "day": pa.array([dt.date(2026, 1, 31), None]),
        "hour": pa.array([dt.datetime(2026, 3, 29, 9), None], pa.timestamp("us")),
        "instant": pa.array([dt.datetime(2026, 7, 1, 2, 0, 0, 120_000, BERLIN), None], pa.timestamp("us", BERLIN.key)),
        "clock": pa.array([dt.time(1, 2, 3), None]),
        "big": pa.array([2**53 + 1, None]),
        "huge": pa.array([Decimal(2**100), None], pa.decimal128(38, 0)),
        "money": pa.array([Decimal("1234567890123456.78"), None], pa.decimal128(18, 2)),
        "tiny": pa.array([Decimal("0.00000010"), None], pa.decimal128(38, 8)),
        "ratio": pa.array([1 / 3, None]),
        "endless": pa.array([float("inf"), float("nan")]),
        "yes": pa.array([True, None]),
        "text": pa.array(['می\u200cروم, "سلام"\nخط', ""]),
        "kind": pa.array(["champions", None]).dictionary_encode(),
        "raw": pa.array([b"\x00\xff", None]),
        "parts": pa.array([{"a": [1, None], "b": Decimal("1.50")}, None],
                          pa.struct({"a": pa.list_(pa.int64()), "b": pa.decimal128(5, 2)})),
        "span": pa.array([pa.MonthDayNano([1, 2, 3_500_000_000]), None]),
        "nothing": pa.nulls(2),
    }
)  # fmt: skip


def written(name, table=EVERYTHING, looks=None, **target) -> bytes:
    out = io.BytesIO()
    rows = writer(name)(Rows(table.schema, iter(table.to_batches())), looks or {}, Target(out, **target))
    assert rows == table.num_rows
    return out.getvalue()


def test_csv_of_everything():
    found = list(csv.reader(io.StringIO(written("csv").decode(), newline="")))
    assert found[0] == EVERYTHING.schema.names
    assert dict(zip(found[0], found[1], strict=True)) == {
        "day": "2026-01-31",
        "hour": "2026-03-29T09:00:00",
        "instant": "2026-07-01T02:00:00.12+02:00",
        "clock": "01:02:03",
        "big": "9007199254740993",
        "huge": str(2**100),
        "money": "1234567890123456.78",
        "tiny": "0.00000010",
        "ratio": "0.3333333333333333",
        "endless": "inf",
        "yes": "true",
        "text": 'می\u200cروم, "سلام"\nخط',
        "kind": "champions",
        "raw": "AP8=",
        "parts": '{"a": [1, null], "b": 1.50}',
        "span": "P1M2DT3.5S",
        "nothing": "",
    }
    assert dict(zip(found[0], found[2], strict=True)) == {n: "nan" if n == "endless" else "" for n in found[0]}


def test_csv_quotes_only_what_needs_it_and_tells_null_from_the_empty_text():
    table = pa.table({"a,b": ["x", "", None, 'q"'], "n": [1, 2, 3, 4]})
    assert written("csv", table) == b'"a,b",n\nx,1\n"",2\n,3\n"q""",4\n'


def test_csv_keeps_a_row_that_is_one_null():
    assert written("csv", pa.table({"n": [1, None]})) == b'n\n1\n""\n'


def test_json_of_everything():
    text = written("json").decode()
    first, second = json.loads(text, parse_float=Decimal)
    assert first["big"] == 2**53 + 1
    assert first["huge"] == 2**100
    assert first["money"] == Decimal("1234567890123456.78")
    assert first["tiny"] == Decimal("0.00000010")
    assert float(first["ratio"]) == 1 / 3
    assert (first["endless"], second["endless"]) == (None, None)
    assert first["day"] == "2026-01-31"
    assert first["instant"] == "2026-07-01T02:00:00.12+02:00"
    assert first["text"] == 'می\u200cروم, "سلام"\nخط'
    assert "سلام" in text  # as it is, not as \u escapes
    assert first["parts"] == {"a": [1, None], "b": Decimal("1.50")}
    assert first["span"] == "P1M2DT3.5S"
    assert first["yes"] is True
    assert second == {name: "" if name == "text" else None for name in EVERYTHING.schema.names}


def test_jsonl_is_one_object_a_line():
    lines = written("jsonl").decode().splitlines()
    assert [json.loads(line) for line in lines] == json.loads(written("json"))


def test_json_without_rows_is_an_empty_array():
    nothing = EVERYTHING.slice(0, 0)
    assert written("json", nothing) == b"[]\n"
    assert written("jsonl", nothing) == b""
    assert written("csv", nothing).decode().splitlines() == [",".join(EVERYTHING.schema.names)]


def test_json_over_several_batches_is_one_array():
    table = pa.concat_tables([pa.table({"n": [1, 2]}), pa.table({"n": [3]})])
    assert json.loads(written("json", table)) == [{"n": 1}, {"n": 2}, {"n": 3}]


def test_json_escapes_names_and_control_characters():
    table = pa.table({'a"\\': ["\x00\x1b\u2028\\"]})
    assert json.loads(written("json", table)) == [{'a"\\': "\x00\x1b\u2028\\"}]


def test_parquet_and_arrow_keep_every_type():
    everything = EVERYTHING.drop_columns(["endless"])  # NaN equals nothing
    without_span = everything.drop_columns(["span"])  # Parquet has no type for it
    assert pq.read_table(pa.BufferReader(written("parquet", without_span))) == without_span
    assert pa.ipc.open_stream(written("arrow", everything)).read_all() == everything
    assert pa.ipc.open_file(written("arrow", everything, seekable=True)).read_all() == everything


def test_markdown_escapes_and_aligns():
    table = pa.table({"name": ["a|b\nc", None], "n": [1, None], "rate": [0.5, 0.123]})
    assert written("markdown", table, {"rate": Look("percent", True)}).decode().splitlines() == [
        "| name | n | rate |",
        "| --- | ---: | ---: |",
        "| a\\|b\\\\nc | 1 | 50.0% |",
        "| – | – | 12.3% |",
    ]


def test_plain_table_measures_persian_and_wide_letters():
    table = pa.table({"name": ["می\u200cروم", "日本", "ab"], "n": [1, 20, 300]})
    lines = written("table", table).decode().splitlines()
    assert lines == ["name     n", "-----  ---", "می\u200cروم    1", "日本    20", "ab     300"]


def test_plain_table_shows_all_rows_and_the_header_once():
    table = pa.table({"n": range(25_000)})
    lines = written("table", table).decode().splitlines()
    assert len(lines) == 25_002
    assert lines[-1] == "24999"


def test_plain_numbers_can_be_read_by_the_next_program():
    table = pa.table({"x": [8911407.904, 1 / 3, 1e-9], "n": [1234567, 0, None]})
    cell = [line.split() for line in written("table", table, {"n": Look(None, True)}).decode().splitlines()[2:]]
    assert cell == [["8911407.904", "1234567"], ["0.333333", "0"], ["1e-09", "–"]]


def test_terminal_numbers_are_shaped_for_the_eye():
    money = pa.array([8911407.904, 12.5, None])
    assert cells(money, Look("EUR", True), terminal=True) == ["8,911,407.90", "12.50", "–"]
    assert cells(pa.array([1234567]), Look(None, True), terminal=True) == ["1,234,567"]
    assert cells(pa.array([1234567]), Look(None, False), terminal=True) == ["1234567"]  # an id is no amount
    assert cells(pa.array([Decimal("1234.50")]), Look(None, True), terminal=True) == ["1,234.50"]
    assert cells(pa.array([0.25, 2.0]), Look(None, True), terminal=True) == ["0.25", "2.00"]


def test_percent_of_small_shares_keeps_digits():
    assert cells(pa.array([0.00123]), Look("percent", True), terminal=True) == ["0.123%"]
    assert cells(pa.array([0.5, None]), Look("percent", True), terminal=False) == ["50.0%", "–"]


def test_data_cannot_send_commands_to_the_terminal():
    assert cells(pa.array(["\x1b[2Jgone\x07\tx"]), Look(), terminal=True) == ["\\x1b[2Jgone\\x07\\tx"]


def test_terminal_table_stops_after_a_screenful_and_says_so(capsys):
    out = io.BytesIO()
    table = pa.table({"n": range(2500)})
    rows = writer("table")(Rows(table.schema, iter(table.to_batches())), {}, Target(out, terminal=True))
    assert rows == 1000
    assert "999" in out.getvalue().decode()
    assert "1000\n" not in out.getvalue().decode()
    assert "the first 1,000 rows" in capsys.readouterr().err


def test_terminal_table_never_cuts_a_number(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    table = pa.table({"a": [123456789012345], "b": [987654321098765], "text": ["long words " * 8]})
    out = io.BytesIO()
    writer("table")(Rows(table.schema, iter(table.to_batches())), {}, Target(out, terminal=True))
    text = out.getvalue().decode()
    assert "123456789012345" in text
    assert "987654321098765" in text
    assert text.count("words") == 8


def test_terminal_table_never_cuts_a_short_text_whatever_the_number_of_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    table = pa.table({f"column_{n}": ["potential_loyalists"] for n in range(9)})
    out = io.BytesIO()
    writer("table")(Rows(table.schema, iter(table.to_batches())), {}, Target(out, terminal=True))
    assert out.getvalue().decode().count("potential_loyalists") == 9


@pytest.mark.parametrize("name", FORMATS)
def test_no_rows_is_no_error(name):
    assert isinstance(written(name, EVERYTHING.drop_columns(["span"]).slice(0, 0)), bytes)
