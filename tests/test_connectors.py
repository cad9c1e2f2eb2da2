"""The built-in connectors, over files that people really have; every relation is read by DuckDB."""

from __future__ import annotations

import codecs
import datetime as dt
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from kpiengine.connector import Connector, SourceContext, SqlRelation
from kpiengine.errors import DataError
from kpiengine.testing.connectors import check_connector, check_declaration, read_relation
from kpiengine_connectors.arrow import Arrow
from kpiengine_connectors.csv import Csv
from kpiengine_connectors.duckdb import DuckDb
from kpiengine_connectors.excel import Excel
from kpiengine_connectors.json import Json
from kpiengine_connectors.parquet import Parquet
from kpiengine_connectors.sql import Sql

UTC = dt.UTC


@pytest.fixture
def context(tmp_path: Path) -> SourceContext:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    root = tmp_path / "project"
    root.mkdir()
    return SourceContext("orders", root, lambda: scratch)


class Reader:
    """Writes files into a project and reads them back through a connector."""

    def __init__(self, context: SourceContext) -> None:
        self.context = context
        self.root = context.root

    def write(self, name: str, data: str | bytes, encoding: str = "utf-8") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode(encoding))
        return path

    def table(self, connector: type[Connector], **options: Any) -> pa.Table:
        return read_relation(connector().relation(options, self.context))

    def rows(self, connector: type[Connector], **options: Any) -> list[dict[str, Any]]:
        return list(self.table(connector, **options).to_pylist())

    def csv(self, data: str | bytes, *, name: str = "a.csv", **options: Any) -> pa.Table:
        self.write(name, data)
        return self.table(Csv, path=name, **options)

    def error(self, connector: type[Connector], **options: Any) -> str:
        with pytest.raises(DataError) as caught:
            self.table(connector, **options)
        return str(caught.value)


@pytest.fixture
def reader(context: SourceContext) -> Reader:
    return Reader(context)


def types(table: pa.Table) -> dict[str, str]:
    return {field.name: str(field.type) for field in table.schema}


@pytest.mark.parametrize("connector", [Arrow, Csv, DuckDb, Excel, Json, Parquet, Sql])
def test_declaration(connector: type[Connector]) -> None:
    check_declaration(connector)


# -- csv: types -------------------------------------------------------------------------------------------------------


def test_csv_types(reader: Reader) -> None:
    text = """\
id,amount,day,at,zoned,ok,name
1,1.5,2024-01-05,2024-01-05 10:00,2024-01-05T10:00:00Z,true,Ann
2,-2,2024-02-29,2024-01-05T10:00:00.5,2024-01-05 10:00:00+02:00,FALSE,
"""
    table = reader.csv(text)
    assert types(table) == {
        "id": "int64", "amount": "double", "day": "date32[day]", "at": "timestamp[us]",
        "zoned": "timestamp[us, tz=UTC]", "ok": "bool", "name": "string",
    }  # fmt: skip
    assert table.to_pylist()[1] == {
        "id": 2, "amount": -2.0, "day": dt.date(2024, 2, 29), "at": dt.datetime(2024, 1, 5, 10, 0, 0, 500000),
        "zoned": dt.datetime(2024, 1, 5, 8, tzinfo=UTC), "ok": False, "name": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["007", "012"], "string"),  # a number would lose its zeros
        (["7", "012"], "string"),
        (["0", "10"], "int64"),
        (["12345678901234567890", "12345678901234567891"], "string"),  # a double would make them one
        (["1", "2.50"], "double"),
        (["1.5e+3", "1E-3"], "double"),
        (["1e5", "22E3"], "string"),  # article numbers
        (["nan", "1"], "string"),
        ([" 1 ", "2"], "int64"),
        (["1,5", "2,5"], "string"),
        (["yes", "no"], "string"),
        (["", ""], "string"),
        (["2024-02-29", "2024-2-1"], "date32[day]"),
        (["2024-02-30", "2024-02-01"], "string"),
        (["2024/01/05", "2024/01/06"], "date32[day]"),
        (["2024-01-05", "2024-01-05 10:00"], "timestamp[us]"),
        (["1402-05-30", "1403-05-30"], "string"),  # Jalali
        (["0000-00-00", "2024-01-01"], "string"),
        (["20240105", "20240106"], "int64"),
        (["25/01/2024", "01/02/2024"], "date32[day]"),
        (["01/25/2024", "01/02/2024"], "date32[day]"),
        (["01/02/2024", "03/04/2024"], "string"),  # days and months cannot be told apart
        (["25/01/2024", "01/25/2024"], "string"),
        (["01.02.2024", "3.4.2024"], "date32[day]"),
        (["01.02.2024 10:30", "3.4.2024 9:05"], "timestamp[us]"),
        (["13/01/2024 07:30 PM", "03/04/2024 12:05 AM"], "timestamp[us]"),
        (["1/25/24", "2/25/24"], "string"),  # which century?
    ],
)
def test_csv_type_of_a_column(reader: Reader, values: list[str], kind: str) -> None:
    table = reader.csv("\n".join(["other;value", *(f"x;{value}" for value in values)]) + "\n")
    assert types(table)["value"] == kind


def test_csv_days_and_months_are_told_by_the_whole_column(reader: Reader) -> None:
    table = reader.csv("d,e\n05/01/2024,1/5/2024\n13/02/2024,1/25/2024\n")
    assert table.column("d").to_pylist() == [dt.date(2024, 1, 5), dt.date(2024, 2, 13)]
    assert table.column("e").to_pylist() == [dt.date(2024, 1, 5), dt.date(2024, 1, 25)]


def test_csv_the_last_row_counts_as_the_first_does(reader: Reader) -> None:
    numbers = "".join(f"{i},{i},2024-01-01,\n" for i in range(60_000))
    table = reader.csv("a,b,c,d\n" + numbers + "x,0.5,n/a,05.01.2024\n")
    assert types(table) == {"a": "string", "b": "double", "c": "string", "d": "date32[day]"}
    assert table.num_rows == 60_001
    assert table.column("a")[-1].as_py() == "x"
    assert table.column("d")[-1].as_py() == dt.date(2024, 1, 5)


def test_csv_given_types(reader: Reader) -> None:
    text = "id,Amount,d\n7,1.50,05.01.2024\n"
    table = reader.csv(text, types={"id": "VARCHAR", "amount": "DECIMAL(9,2)", "d": "VARCHAR"})
    assert types(table) == {"id": "string", "Amount": "decimal128(9, 2)", "d": "string"}


def test_csv_given_date_format(reader: Reader) -> None:
    text = "d,t,iso\n01/02/2024,01/02/2024 10.30,2024-01-05\n"
    table = reader.csv(text, dateformat="%m/%d/%Y", timestampformat="%m/%d/%Y %H.%M")
    assert table.to_pylist() == [
        {"d": dt.date(2024, 1, 2), "t": dt.datetime(2024, 1, 2, 10, 30), "iso": dt.date(2024, 1, 5)}
    ]
    assert types(reader.csv(text, types={"d": "DATE"}, dateformat="%d/%m/%Y"))["d"] == "date32[day]"


def test_csv_value_that_is_not_of_its_given_type(reader: Reader) -> None:
    path = reader.write("a.csv", "id,d\n1,2024-01-05\n2,soon\n")
    message = reader.error(Csv, path="a.csv", types={"d": "DATE"})
    assert (
        message == f'source "orders": {path}, line 3: "soon" in column "d" is no DATE, which types says it is: "2,soon"'
    )
    message = reader.error(Csv, path="a.csv", types={"d": "DATE"}, dateformat="%Y-%m-%d")
    assert message == f'source "orders": {path}: "soon" is not written as "%Y-%m-%d"'


def test_csv_given_types_that_cannot_be(reader: Reader) -> None:
    reader.write("a.csv", "id,amount\n1,2\n")
    assert '(did you mean "amount"?)' in reader.error(Csv, path="a.csv", types={"amuont": "DOUBLE"})
    assert 'there is no type "DUBBEL"' in reader.error(Csv, path="a.csv", types={"amount": "DUBBEL"})


# -- csv: numbers -----------------------------------------------------------------------------------------------------


def test_csv_decimal_comma(reader: Reader) -> None:
    table = reader.csv("a;b;c\n1,5;1.234,50;1.234\n-,5;2;2.000.000\n", decimal=",", thousands=".")
    assert types(table) == {"a": "double", "b": "double", "c": "int64"}
    assert [list(row.values()) for row in table.to_pylist()] == [[1.5, 1234.5, 1234], [-0.5, 2.0, 2_000_000]]


def test_csv_point_is_no_decimal_sign_where_the_comma_is(reader: Reader) -> None:
    table = reader.csv("a;b\n1.234;1,5\n2;2,5\n", decimal=",")
    assert types(table) == {"a": "string", "b": "double"}  # DuckDB would read 1.234 as 1


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"decimal": ";"}, 'decimal is "," or "."'),
        ({"thousands": "."}, "thousands is one of"),
        ({"thousands": "x"}, "thousands is one of"),
        ({"delimiter": "||"}, 'delimiter is one sign, not "||"'),
        ({"skip": -1}, "skip is a number of lines"),
    ],
)
def test_csv_options_that_cannot_be(reader: Reader, options: dict[str, Any], wrong: str) -> None:
    reader.write("a.csv", "a\n1\n")
    assert wrong in reader.error(Csv, path="a.csv", **options)


def test_csv_null_texts(reader: Reader) -> None:
    text = "a,b\n1,NA\n-,3\n,4\n"
    assert reader.csv(text, null=["NA", "-"]).to_pylist() == [
        {"a": 1, "b": None},
        {"a": None, "b": 3},
        {"a": None, "b": 4},
    ]
    assert types(reader.csv(text, null="NA")) == {"a": "string", "b": "int64"}


# -- csv: encodings ---------------------------------------------------------------------------------------------------

PERSIAN = "شناسه;نام\n1;سلام\n2;تهران\n"
GERMAN = "id;Straße\n1;Müller – Café\n"


@pytest.mark.parametrize(
    ("text", "written", "option"),
    [
        (PERSIAN, "utf-8", None),
        (PERSIAN, "utf-8-sig", None),
        (PERSIAN, "utf-8-sig", "utf-8"),
        (PERSIAN, "utf-16", None),
        (PERSIAN, "utf-16", "utf-16"),
        (PERSIAN, "utf-16-le", "utf-16-le"),
        (PERSIAN.replace("نام", "name").replace("شناسه", "id"), "cp1256", "windows-1256"),
        (GERMAN, "cp1252", "windows-1252"),
        (GERMAN.replace("–", "-"), "latin-1", "latin-1"),
        (GERMAN.replace("–", "\x96"), "latin-1", "latin-1"),
        (GERMAN, "utf-32", None),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_csv_encoding(reader: Reader, text: str, written: str, option: str | None, packed: bool) -> None:
    data = text.encode(written)
    name = "a.csv.gz" if packed else "a.csv"
    table = reader.csv(gzip.compress(data) if packed else data, name=name, **({"encoding": option} if option else {}))
    lines = [line.split(";") for line in text.splitlines()]
    assert table.column_names == lines[0]
    assert [[str(value) for value in row.values()] for row in table.to_pylist()] == lines[1:]


def test_csv_utf_16_big_endian(reader: Reader) -> None:
    table = reader.csv(codecs.BOM_UTF16_BE + PERSIAN.encode("utf-16-be"))
    assert table.to_pylist()[0] == {"شناسه": 1, "نام": "سلام"}


def test_csv_large_file_in_another_encoding(reader: Reader) -> None:
    """Characters lie across all borders of blocks."""
    values = ["é" * (i % 61) + str(i) for i in range(40_000)]
    data = "id;v\n" + "".join(f"{i};{value}\n" for i, value in enumerate(values))
    for encoding in ("latin-1", "utf-16", "cp1252"):
        reader.write("a.csv", data, encoding)
        assert reader.table(Csv, path="a.csv", encoding=encoding).column("v").to_pylist() == values


def test_csv_wrong_encoding_is_told_with_the_cure(reader: Reader) -> None:
    path = reader.write("a.csv", "id;name\n1;Ann\n2;Müller\n", "latin-1")
    message = reader.error(Csv, path="a.csv")
    assert message.startswith(f'source "orders": {path} is not utf-8 from line 3 on')
    assert "encoding: windows-1252" in message


def test_csv_wrong_encoding_far_down(reader: Reader) -> None:
    good = "".join(f"{i},x\n" for i in range(60_000))
    path = reader.write("a.csv", b"id,name\n" + good.encode() + b"1,M\xfcller\n")
    message = reader.error(Csv, path="a.csv")
    assert f"{path}, line 60002: this is not UTF-8; name its encoding" in message


def test_csv_bytes_that_the_encoding_lacks(reader: Reader) -> None:
    path = reader.write("a.csv", b"id;name\n1;a\n2;\x81\n")
    assert f"{path} is not cp1252 from line 3 on" in reader.error(Csv, path="a.csv", encoding="windows-1252")
    assert 'unknown encoding "klingon"' in reader.error(Csv, path="a.csv", encoding="klingon")


def test_csv_utf_16_without_a_mark(reader: Reader) -> None:
    reader.write("a.csv", PERSIAN.replace("سلام", "Ann"), "utf-16-le")
    assert "utf-16-le" in reader.error(Csv, path="a.csv", encoding="utf-16")
    reader.write("b.csv", "id;name\n1;Ann\n", "utf-16-le")
    assert "it may be UTF-16" in reader.error(Csv, path="b.csv")


def test_csv_copy_is_made_again_when_the_file_changes(reader: Reader) -> None:
    for rows in (1, 2):
        reader.write("a.csv", "id;n\n" + "1;ü\n" * rows, "cp1256")
        assert reader.table(Csv, path="a.csv", encoding="cp1256").num_rows == rows


# -- csv: rows, headers, delimiters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "a;b,c\n1;2\n3;4\n",
        "a\tb,c\n1\t2\n3\t4\n",
        "a|b,c\n1|2\n3|4\n",
        '"a";"b,c"\n"1";"2"\n3;4\n',
        "a;b,c\r\n1;2\r\n3;4\r\n",
        "a;b,c\r1;2\r3;4",
        "a;b,c\r\n1;2\n3;4\r\n",  # line ends of two kinds
        "a;b,c\n1;2\r\n3;4\n",
        "\n\n a ; b,c \n1;2\n\n3;4\n\n",
        "\ufeffa;b,c\n1;2\n3;4\n",
    ],
)
def test_csv_delimiter_line_ends_and_header(reader: Reader, text: str) -> None:
    assert reader.csv(text).to_pylist() == [{"a": 1, "b,c": 2}, {"a": 3, "b,c": 4}]


def test_csv_line_ends_of_two_kinds_and_quotes(reader: Reader) -> None:
    table = reader.csv('a,b\r\n1,x\r\n2,"y\r\nz"\n3,"w"\r\n')
    assert table.to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": "y\nz"}, {"a": 3, "b": "w"}]


def test_csv_decimal_commas_do_not_make_columns(reader: Reader) -> None:
    assert reader.csv("day;amount\n2024-01-01;1,5\n2024-01-02;2,5\n", decimal=",").column_names == ["day", "amount"]


def test_csv_tab_ending(reader: Reader) -> None:
    assert reader.csv("a,b\tc\n1\t2\n", name="a.tsv").to_pylist() == [{"a,b": 1, "c": 2}]
    assert reader.csv("a\tb\n1\t2\n", name="a.csv", delimiter="tab").to_pylist() == [{"a": 1, "b": 2}]


def test_csv_one_column(reader: Reader) -> None:
    assert reader.csv("name\nx\ny\n").to_pylist() == [{"name": "x"}, {"name": "y"}]


def test_csv_header_that_repeats_and_lacks_names(reader: Reader) -> None:
    assert reader.csv("a, a ,A,,b\n1,2,3,4,5\n").column_names == ["a", "a_1", "A_2", "column3", "b"]


def test_csv_without_a_header(reader: Reader) -> None:
    assert reader.csv("1,x\n2,y\n", header=False).to_pylist()[0] == {"column0": 1, "column1": "x"}


def test_csv_lines_above_the_header(reader: Reader) -> None:
    text = "Sales report\ngenerated 2024-01-05, 10:00\n\nid,amount\n1,2.5\n"
    assert reader.csv(text, skip=2).to_pylist() == [{"id": 1, "amount": 2.5}]
    assert "skip" in reader.error(Csv, path="a.csv")
    assert "nothing after the 9 lines to skip" in reader.error(Csv, path="a.csv", skip=9)


def test_csv_quotes(reader: Reader) -> None:
    assert reader.csv('a,b\n"x, ""y""\nz",1\n').to_pylist() == [{"a": 'x, "y"\nz', "b": 1}]
    assert reader.csv('a,b\n5" pipe,1\n').to_pylist() == [{"a": '5" pipe', "b": 1}]
    assert reader.csv("a,b\n'x,y',1\n", quote="'").to_pylist() == [{"a": "x,y", "b": 1}]
    assert reader.csv('a,b\n"x,1\n', quote="none").to_pylist() == [{"a": '"x', "b": 1}]
    assert reader.csv('a,b\n"x \\"y\\"",1\n', escape="\\").to_pylist() == [{"a": 'x "y"', "b": 1}]


def test_csv_hash_is_no_comment(reader: Reader) -> None:
    assert reader.csv("a,b\n#1,2\n#3,4\n").num_rows == 2


def test_csv_row_with_too_many_fields(reader: Reader) -> None:
    path = reader.write("a.csv", "a,b\n1,2\n3,4,5\n6,7\n")
    assert reader.error(Csv, path="a.csv") == (
        f'source "orders": {path}, line 3: 3 fields where the header has 2; quote a value that holds ",", '
        f'or name another delimiter: "3,4,5"'
    )


def test_csv_row_with_too_few_fields(reader: Reader) -> None:
    path = reader.write("a.csv", 'a,b\n1,2\n3\n"6\n6",7\n')
    message = reader.error(Csv, path="a.csv")
    assert f"{path}, line 3: 1 of 2 fields; with short_rows: true" in message
    rows = reader.rows(Csv, path="a.csv", short_rows=True)
    assert rows == [{"a": "1", "b": 2}, {"a": "3", "b": None}, {"a": "6\n6", "b": 7}]


def test_csv_quote_that_is_not_closed(reader: Reader) -> None:
    path = reader.write("a.csv", 'a,b\n"x,1\ny,2\n')
    message = reader.error(Csv, path="a.csv")
    assert f"{path}, line 2: a quote is opened and not closed" in message
    assert "quote: none" in message


@pytest.mark.parametrize("data", [b"", b"\n\n", codecs.BOM_UTF8, gzip.compress(b"", mtime=0)])
def test_csv_empty_file(reader: Reader, data: bytes) -> None:
    name = "a.csv.gz" if data[:2] == b"\x1f\x8b" else "a.csv"
    path = reader.write(name, data)
    assert reader.error(Csv, path=name) == f'source "orders": {path} is empty'


def test_csv_header_alone(reader: Reader) -> None:
    table = reader.csv("id,amount\n")
    assert (table.num_rows, table.column_names) == (0, ["id", "amount"])


# -- csv: several files, packed files, paths --------------------------------------------------------------------------


def test_csv_files_of_a_pattern_meet_by_name(reader: Reader) -> None:
    reader.write("in/2024.csv", "id,amount\n1,10\n")
    reader.write("in/2025.csv", "amount,id\n20.5,2\n")
    reader.write("in/2026.csv", "id;note\n3;x\n")
    assert reader.rows(Csv, path="in/*.csv") == [
        {"id": 1, "amount": 10.0, "note": None},
        {"id": 2, "amount": 20.5, "note": None},
        {"id": 3, "amount": None, "note": "x"},
    ]


def test_csv_files_of_one_shape_are_one_call(reader: Reader) -> None:
    reader.write("in/a.csv", "id,x\n1,1\n")
    reader.write("in/b.csv", "id,x\n2,007\n")
    relation = Csv().relation({"path": "in/*.csv"}, reader.context)
    assert relation.expression.sql("duckdb").startswith(f"READ_CSV('{reader.root}/in/*.csv', ")
    assert [path.name for path in relation.files] == ["a.csv", "b.csv"]
    assert read_relation(relation).to_pylist() == [{"id": 1, "x": "1"}, {"id": 2, "x": "007"}]


def test_csv_list_of_files(reader: Reader) -> None:
    for name in ("a", "b", "c"):
        reader.write(f"{name}.csv", f"v\n{name}\n")
    assert reader.rows(Csv, path=["c.csv", "a.csv"]) == [{"v": "c"}, {"v": "a"}]


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.zst"])
def test_csv_packed(reader: Reader, name: str) -> None:
    data = b"id,amount\n1,2.5\n"
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "gzip" if name.endswith("gz") else "zstd") as stream:
        stream.write(data)
    assert reader.csv(sink.getvalue().to_pybytes(), name=name).to_pylist() == [{"id": 1, "amount": 2.5}]


def test_csv_packed_file_that_is_cut(reader: Reader) -> None:
    path = reader.write("a.csv.gz", gzip.compress(b"id,amount\n1,2.5\n" * 1000)[:-20])
    assert str(path) in reader.error(Csv, path="a.csv.gz")
    path = reader.write("b.csv.gz", b"id,amount\n1,2.5\n")
    assert str(path) in reader.error(Csv, path="b.csv.gz")


def test_csv_paths_with_signs_of_patterns_and_quotes(reader: Reader) -> None:
    for name in ("a [1].csv", "it's.csv", "a*.csv", "فروش.csv"):
        reader.write(name, f"v\n{name}\n")
        assert reader.rows(Csv, path=name) == [{"v": name}]


def test_csv_absolute_path(reader: Reader) -> None:
    path = reader.write("a.csv", "v\n1\n")
    assert reader.rows(Csv, path=str(path)) == [{"v": 1}]


def test_csv_sql_runs_by_itself(reader: Reader) -> None:
    """What `kpi sql` prints holds absolute paths and nothing of ours."""
    reader.write("a.csv", "day;amount\n05.01.2024;1,5\n", "latin-1")
    relation = Csv().relation({"path": "a.csv", "decimal": ",", "encoding": "latin-1"}, reader.context)
    statement = f"SELECT * FROM {relation.expression.sql('duckdb', pretty=True)}"
    assert duckdb.connect().execute(statement).fetchall() == [(dt.date(2024, 1, 5), 1.5)]
    assert str(reader.root) in statement


@pytest.mark.parametrize("connector", [Csv, Json, Parquet, Arrow, DuckDb, Excel])
def test_missing_file_is_told_with_its_path_and_the_nearest_name(reader: Reader, connector: type[Connector]) -> None:
    ending = connector.endings[0]
    reader.write(f"data/sales{ending}", "x")
    message = reader.error(connector, path=f"data/salse{ending}")
    assert message == (
        f'source "orders": no such file: {reader.root}/data/salse{ending}  (did you mean "sales{ending}"?)'
    )
    message = reader.error(connector, path=f"dta/sales{ending}")
    assert f'there is no folder {reader.root}/dta  (did you mean "data"?)' in message


def test_pattern_without_a_file(reader: Reader) -> None:
    assert reader.error(Csv, path="data/*.csv") == f'source "orders": no file matches {reader.root}/data/*.csv'


def test_folder_in_place_of_a_file(reader: Reader) -> None:
    reader.write("data/a.csv", "v\n1\n")
    assert f"{reader.root}/data is a folder; name a file in it" in reader.error(Csv, path="data")


def test_empty_list_of_paths(reader: Reader) -> None:
    assert "its path is an empty list" in reader.error(Csv, path=[])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_file_without_permission(reader: Reader) -> None:
    path = reader.write("a.csv", "v\n1\n")
    path.chmod(0)
    assert f"{path} cannot be read: Permission denied" in reader.error(Csv, path="a.csv")


# -- parquet ----------------------------------------------------------------------------------------------------------


def write_parquet(path: Path, **columns: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def test_parquet_file(reader: Reader) -> None:
    write_parquet(reader.root / "a.parquet", id=[1, 2], day=[dt.date(2024, 1, 5), None])
    assert reader.rows(Parquet, path="a.parquet") == [{"id": 1, "day": dt.date(2024, 1, 5)}, {"id": 2, "day": None}]


def test_parquet_pattern_and_list_meet_by_name(reader: Reader) -> None:
    write_parquet(reader.root / "a.parquet", id=[1], x=["a"])
    write_parquet(reader.root / "b.parquet", y=["b"], id=[2])
    expected = [{"id": 1, "x": "a", "y": None}, {"id": 2, "x": None, "y": "b"}]
    assert reader.rows(Parquet, path="*.parquet") == expected
    assert reader.rows(Parquet, path=["a.parquet", "b.parquet"]) == expected


def test_parquet_folder_of_hive(reader: Reader) -> None:
    for month, amount in (("2024-01-01", 1), ("2024-02-01", 2)):
        write_parquet(reader.root / f"out/month={month}/channel=web/part-0.parquet", amount=[amount])
    (reader.root / "out/_SUCCESS").touch()
    expected = [
        {"amount": 1, "channel": "web", "month": dt.date(2024, 1, 1)},
        {"amount": 2, "channel": "web", "month": dt.date(2024, 2, 1)},
    ]
    assert reader.rows(Parquet, path="out") == expected
    assert reader.rows(Parquet, path="out/*/*/*.parquet") == expected
    assert reader.rows(Parquet, path="out", hive=False) == [{"amount": 1}, {"amount": 2}]


def test_parquet_folder_leaves_out_what_writers_left(reader: Reader) -> None:
    write_parquet(reader.root / "out/part-0.parquet", amount=[1])
    write_parquet(reader.root / "out/_temporary/part-0.parquet", amount=[2])
    write_parquet(reader.root / "out/.part-1.parquet", amount=[3])
    assert reader.rows(Parquet, path="out") == [{"amount": 1}]


def test_parquet_files_that_are_none(reader: Reader) -> None:
    whole = write_parquet(reader.root / "a.parquet", id=list(range(100))).read_bytes()
    cases = {"cut.parquet": (whole[:-9], "is cut"), "csv.parquet": (b"a,b\n1,2\n", "is not a Parquet file"),
             "empty.parquet": (b"", "is empty")}  # fmt: skip
    for name, (data, wrong) in cases.items():
        path = reader.write(name, data)
        assert f"{path} {wrong}" in reader.error(Parquet, path=name)
    (reader.root / "hollow").mkdir()
    assert f"there is no .parquet file in {reader.root}/hollow" in reader.error(Parquet, path="hollow")


# -- json -------------------------------------------------------------------------------------------------------------

PEOPLE = [
    {"id": "007", "day": "2024-01-05", "amount": 1, "at": "2024-01-05T10:00:00Z", "address": {"city": "تهران"}},
    {"id": "008", "day": None, "amount": 2.5, "tags": ["a"]},
]


@pytest.mark.parametrize(
    ("name", "lines"), [("a.json", False), ("a.jsonl", True), ("a.ndjson", True), ("b.json", True)]
)
@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
def test_json(reader: Reader, name: str, lines: bool, packed: str) -> None:
    dumped = [json.dumps(row, ensure_ascii=False) for row in PEOPLE]
    data = ("\n\n".join(dumped) if lines else f"[{', '.join(dumped)}]").encode()
    if packed:
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "gzip" if packed == ".gz" else "zstd") as stream:
            stream.write(data)
        data = sink.getvalue().to_pybytes()
    reader.write(name + packed, data)
    assert reader.rows(Json, path=name + packed) == [
        {"id": "007", "day": dt.date(2024, 1, 5), "amount": 1.0, "at": dt.datetime(2024, 1, 5, 10, tzinfo=UTC),
         "address": {"city": "تهران"}, "tags": None},
        {"id": "008", "day": None, "amount": 2.5, "at": None, "address": None, "tags": ["a"]},
    ]  # fmt: skip


def test_json_field_of_several_types_is_a_text(reader: Reader) -> None:
    rows = [{"a": i} for i in range(30_000)] + [{"a": "x1"}, {"a": 2.5}, {}]
    reader.write("a.jsonl", "\n".join(json.dumps(row) for row in rows))
    values = [row["a"] for row in reader.rows(Json, path="a.jsonl")]
    assert values[:2] + values[-3:] == ["0", "1", "x1", "2.5", None]


def test_json_dates(reader: Reader) -> None:
    reader.write(
        "a.json", json.dumps([{"dmy": "05-01-2024", "jalali": "1402-05-30", "iso": "2024-01-05", "text": "x"}])
    )
    assert types(reader.table(Json, path="a.json")) == {
        "dmy": "string", "jalali": "string", "iso": "date32[day]", "text": "string",
    }  # fmt: skip


def test_json_given_types(reader: Reader) -> None:
    reader.write("a.json", '[{"id": 7, "amount": 1.10}]')
    table = reader.table(Json, path="a.json", types={"ID": "VARCHAR", "amount": "DECIMAL(9,2)"})
    assert types(table) == {"id": "string", "amount": "decimal128(9, 2)"}
    assert '(did you mean "amount"?)' in reader.error(Json, path="a.json", types={"amuont": "DOUBLE"})


def test_json_fields_that_differ_in_case(reader: Reader) -> None:
    reader.write("a.json", '[{"a": 1}, {"A": 2}]')
    assert reader.rows(Json, path="a.json") == [{"a": 1, "A_1": None}, {"a": None, "A_1": 2}]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_json_with_a_byte_order_mark(reader: Reader, encoding: str) -> None:
    reader.write("a.json", '[{"نام": "سلام"}]', encoding)
    assert reader.rows(Json, path="a.json") == [{"نام": "سلام"}]


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ("", "is empty"),
        ("[]", "holds no objects"),
        ("[1, 2]", "holds something else than objects"),
        ('{"a": 1}\n{"a": 2\n', "Malformed JSON"),
        ("id,name\n1,x\n", "a.json"),
    ],
)
def test_json_file_that_is_none(reader: Reader, data: str, wrong: str) -> None:
    path = reader.write("a.json", data)
    message = reader.error(Json, path="a.json")
    assert wrong in message
    assert str(path) in message
    assert "\n" not in message


# -- arrow ------------------------------------------------------------------------------------------------------------

TABLE = pa.table({"id": [1, 2], "name": ["الف", None], "day": [dt.date(2024, 1, 5), dt.date(2024, 1, 6)]})


def write_arrow(path: Path, table: pa.Table, *, stream: bool = False) -> None:
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as sink, make(sink, table.schema) as writer:
        writer.write_table(table)


def test_arrow_file_stream_and_feather(reader: Reader) -> None:
    write_arrow(reader.root / "a.arrow", TABLE)
    write_arrow(reader.root / "b.arrows", TABLE, stream=True)
    pa.feather.write_feather(TABLE, reader.root / "c.feather")
    for name in ("a.arrow", "b.arrows", "c.feather"):
        assert reader.rows(Arrow, path=name) == TABLE.to_pylist()


def test_arrow_is_read_more_than_once(reader: Reader) -> None:
    write_arrow(reader.root / "b.arrows", TABLE, stream=True)
    relation = Arrow().relation({"path": "b.arrows"}, reader.context)
    assert read_relation(relation).num_rows == read_relation(relation).num_rows == 2


def test_arrow_files_meet_by_name(reader: Reader) -> None:
    write_arrow(reader.root / "a.arrow", pa.table({"id": pa.array([1], pa.int32())}))
    write_arrow(reader.root / "b.arrow", pa.table({"note": ["x"], "id": pa.array([2], pa.int64())}))
    expected = [{"id": 1, "note": None}, {"id": 2, "note": "x"}]
    assert reader.rows(Arrow, path="*.arrow") == expected
    write_arrow(reader.root / "b.arrow", pa.table({"note": ["x"], "id": pa.array([2], pa.int64())}), stream=True)
    assert reader.rows(Arrow, path=["a.arrow", "b.arrow"]) == expected


def test_arrow_file_that_is_none(reader: Reader) -> None:
    write_arrow(reader.root / "a.arrow", TABLE)
    whole = (reader.root / "a.arrow").read_bytes()
    for data in (b"", b"id,name\n1,x\n", whole[:-20]):
        path = reader.write("b.arrow", data)
        message = reader.error(Arrow, path="b.arrow")
        assert str(path) in message
        assert "\n" not in message


# -- duckdb -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def database(reader: Reader) -> Path:
    path = reader.root / "my shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE orders AS SELECT 1 AS id, 2.5::DECIMAL(9,2) AS amount")
        connection.execute('CREATE SCHEMA raw; CREATE TABLE raw."Order Lines" AS SELECT 7 AS id')
        connection.execute("CREATE VIEW big AS SELECT * FROM orders WHERE amount > 1")
    return path


def test_duckdb_table_view_and_schema(reader: Reader, database: Path) -> None:
    name = database.name
    assert [row["id"] for row in reader.rows(DuckDb, path=name, table="Orders")] == [1]
    assert [row["id"] for row in reader.rows(DuckDb, path=name, table="big")] == [1]
    assert reader.rows(DuckDb, path=name, table="order lines") == [{"id": 7}]
    assert reader.rows(DuckDb, path=name, schema="raw") == [{"id": 7}]


def test_duckdb_sources_of_one_file_share_its_database(reader: Reader, database: Path) -> None:
    one = DuckDb().relation({"path": database.name, "table": "orders"}, reader.context)
    two = DuckDb().relation({"path": str(database), "table": "big"}, reader.context)
    assert one.attach == two.attach == {next(iter(one.attach)): database.resolve()}
    (reader.root / "other").mkdir()
    with duckdb.connect(str(reader.root / "other" / database.name)) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS id")
    other = DuckDb().relation({"path": f"other/{database.name}"}, reader.context)
    assert set(other.attach).isdisjoint(one.attach)


def test_duckdb_table_that_is_not_there(reader: Reader, database: Path) -> None:
    assert '(did you mean "orders"?)' in reader.error(DuckDb, path=database.name, table="order")
    assert "name the table with table: one of big, orders, raw.Order Lines" in reader.error(DuckDb, path=database.name)
    assert "there is no table" in reader.error(DuckDb, path=database.name, table="orders", schema="raw")


def test_duckdb_file_that_is_none(reader: Reader) -> None:
    path = reader.write("a.duckdb", "id,name\n1,x\n" * 1000)
    assert f"{path} is not a DuckDB database file" in reader.error(DuckDb, path="a.duckdb", table="t")


def test_duckdb_file_that_another_program_writes(reader: Reader, database: Path) -> None:
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        message = reader.error(DuckDb, path=database.name, table="orders")
        other.communicate("")
    assert f"{database} is locked by" in message
    assert str(other.pid) in message


# -- excel ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def workbook(reader: Reader) -> Iterator[openpyxl.Workbook]:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "فروش"
    for row in (
        ["Sales 2024"],
        [],
        ["id", "تاریخ", "amount", "amount", None, "code", "at", "ok", None],
        [1, dt.date(2024, 1, 5), 1.5, 2, None, 7, dt.datetime(2024, 1, 5, 10, 30), True, None],
        [None, None, None, None, None, "  ", None, None, None],
        [2, dt.date(2024, 1, 6), 2, 3, None, "x7", dt.datetime(2024, 1, 6), False, "note"],
        [],
    ):
        sheet.append(row)
    second = book.create_sheet("Second")
    second.append(["zip"])
    second.append(["007"])
    book.create_sheet("Empty")
    book.save(reader.root / "a.xlsx")
    yield book
    book.close()


def test_excel_sheet(reader: Reader, workbook: openpyxl.Workbook) -> None:
    assert reader.rows(Excel, path="a.xlsx", header_row=3) == [
        {"id": 1, "تاریخ": dt.date(2024, 1, 5), "amount": 1.5, "amount_1": 2, "code": "7",
         "at": dt.datetime(2024, 1, 5, 10, 30), "ok": True, "column8": None},
        {"id": 2, "تاریخ": dt.date(2024, 1, 6), "amount": 2.0, "amount_1": 3, "code": "x7",
         "at": dt.datetime(2024, 1, 6), "ok": False, "column8": "note"},
    ]  # fmt: skip


def test_excel_types(reader: Reader, workbook: openpyxl.Workbook) -> None:
    found = types(reader.table(Excel, path="a.xlsx", header_row=3))
    assert (found["id"], found["amount"], found["تاریخ"]) == ("int64", "double", "date32[day]")


def test_excel_sheets_by_name_and_number(reader: Reader, workbook: openpyxl.Workbook) -> None:
    assert reader.rows(Excel, path="a.xlsx", sheet="Second") == [{"zip": "007"}]
    assert reader.rows(Excel, path="a.xlsx", sheet="second ") == [{"zip": "007"}]
    assert reader.rows(Excel, path="a.xlsx", sheet=2) == [{"zip": "007"}]
    assert '(did you mean "Second"?)' in reader.error(Excel, path="a.xlsx", sheet="Secnd")
    assert "has no sheet 4; there are 3, counted from 1" in reader.error(Excel, path="a.xlsx", sheet=4)
    assert 'sheet "Empty"' in reader.error(Excel, path="a.xlsx", sheet="Empty")


def test_excel_columns_and_rows_to_leave_out(reader: Reader, workbook: openpyxl.Workbook) -> None:
    assert reader.table(Excel, path="a.xlsx", header_row=3, columns="A,C:D").column_names == [
        "id",
        "amount",
        "amount_1",
    ]
    assert reader.table(Excel, path="a.xlsx", header_row=3, columns=["ID", "code"]).column_names == ["id", "code"]
    assert [row["id"] for row in reader.rows(Excel, path="a.xlsx", header_row=3, skip=1)] == [2]
    assert '(did you mean "code"?)' in reader.error(Excel, path="a.xlsx", header_row=3, columns=["coed"])
    assert "no header in row 2" in reader.error(Excel, path="a.xlsx", header_row=2)


def test_excel_text_far_down_in_a_column_of_numbers(reader: Reader) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(["id"])
    for number in range(3000):
        sheet.append([number])
    sheet.append(["x1"])
    book.save(reader.root / "a.xlsx")
    values = reader.table(Excel, path="a.xlsx").column("id").to_pylist()
    assert values[:2] + values[-2:] == ["0", "1", "2999", "x1"]


def test_excel_file_that_is_none(reader: Reader) -> None:
    path = reader.write("a.xlsx", "id,name\n1,x\n")
    assert f"{path} cannot be read as a workbook" in reader.error(Excel, path="a.xlsx")


def test_excel_without_its_extra(reader: Reader, workbook: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastexcel", None)
    assert 'pip install "kpiengine[excel]"' in reader.error(Excel, path="a.xlsx")


# -- sql, and the suite for authors -----------------------------------------------------------------------------------


def test_sql(reader: Reader) -> None:
    reader.write("a.csv", "v\n1\n")
    assert reader.rows(Sql, query=f"SELECT v + 1 AS w FROM read_csv('{reader.root}/a.csv')") == [{"w": 2}]
    assert "its query is empty" in reader.error(Sql, query=" ")


@pytest.mark.parametrize("connector", [Csv, Json])
def test_conformance(reader: Reader, connector: type[Connector]) -> None:
    name, text = ("a.csv", "id,name\n1,x\n2,\n") if connector is Csv else ("a.json", '[{"id":1,"name":"x"},{"id":2}]')
    reader.write(name, text)
    check_connector(connector, {"path": name}, [{"id": 2, "name": None}, {"id": 1, "name": "x"}], reader.root)
    with pytest.raises(AssertionError, match="rows:"):
        check_connector(connector, {"path": name}, [{"id": 2, "name": None}], reader.root)


def test_conformance_finds_a_connector_that_hides_a_missing_file(reader: Reader) -> None:
    class Lenient(Csv):
        name = "lenient"

        def relation(self, options: Any, context: SourceContext) -> SqlRelation:
            return super().relation({**options, "path": "a.csv"}, context)

    reader.write("a.csv", "id\n1\n")
    with pytest.raises(AssertionError, match="a missing file is no error"):
        check_connector(Lenient, {"path": "a.csv"}, [{"id": 1}], reader.root)
