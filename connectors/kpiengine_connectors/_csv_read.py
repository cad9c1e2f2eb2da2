"""A CSV source as a call of DuckDB's `read_csv`, with nothing in it left to guessing."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
from sqlglot import exp

from kpiengine.cache import cache
from kpiengine.connector import SqlRelation
from kpiengine.errors import DataError, KpiError, listing, suggest
from kpiengine_connectors import _files, _text
from kpiengine_connectors._csv_shape import CsvOptions, Shape, shape_of
from kpiengine_connectors._csv_types import TEXT, ColumnType, TypeRules, column_types

if TYPE_CHECKING:
    from kpiengine.connector import SourceContext


def relation(options: CsvOptions, given: Any, context: SourceContext) -> SqlRelation:
    """The relation of a source. Reads all of its files once, to prove their columns' types."""
    found = _files.find(given, context)
    return SqlRelation(_expression(options, found, context), files=found.files)


def _expression(options: CsvOptions, found: _files.Found, context: SourceContext) -> exp.Expr:
    shapes: dict[Shape, dict[Path, Path]] = {}
    for path in found.files:
        shape, readable = shape_of(path, options, context)
        shapes.setdefault(shape, {})[path] = readable
    _check_types(options, shapes, context)
    native = all(path == readable for files in shapes.values() for path, readable in files.items())
    written = found.written if native and len(shapes) == 1 else ()
    with ExitStack() as opened:
        connection = functools.cache(lambda: opened.enter_context(duckdb.connect()))
        parts = [_Group(options, shape, files, context, connection).read(written) for shape, files in shapes.items()]
    if len(parts) == 1:
        return parts[0]
    return _by_name(parts).subquery("files")


def _by_name(parts: Sequence[exp.Expr]) -> exp.Query:
    """Rows of files whose columns differ: they meet by name, and are NULL where a file has no such column."""
    selects: list[exp.Query] = [exp.select("*").from_(part) for part in parts]
    query = selects[0]
    for select in selects[1:]:
        query = exp.Union(this=query, expression=select, distinct=False, by_name=True)
    return query


def _check_types(options: CsvOptions, shapes: Mapping[Shape, Any], context: SourceContext) -> None:
    names = {name.lower(): name for shape in shapes for name in shape.names}
    for column, _ in options.types:
        if column.lower() not in names:
            near = suggest(column, names.values()) or f"; it has: {listing(names.values(), 20)}"
            raise DataError(f'source "{context.source}": types names a column "{column}" that is not there{near}')


class _Group:
    """Files of one shape, read by one call."""

    def __init__(
        self,
        options: CsvOptions,
        shape: Shape,
        files: Mapping[Path, Path],
        context: SourceContext,
        connection: Callable[[], duckdb.DuckDBPyConnection],
    ) -> None:
        self.options = options
        self.shape = shape
        self.files = dict(files)
        self.context = context
        self.connection = connection
        given = {name.lower(): kind for name, kind in options.types}
        self.given = {name: given[name.lower()] for name in shape.names if name.lower() in given}

    def read(self, written: Sequence[str]) -> exp.Expr:
        """What stands in a FROM clause. `written` names the files where they are all of the source's."""
        try:
            types = self._known_types() if all(path == read for path, read in self.files.items()) else self._types()
        except duckdb.Error as error:
            if not self._with_plain_line_ends():
                raise _fault(error, self.files, self.shape, self.context) from error
            written = ()
            try:
                types = self._types()
            except duckdb.Error as second:
                raise _fault(second, self.files, self.shape, self.context) from second
        return self._with_formats(self._call({n: _read_as(t) for n, t in types.items()}, written), types)

    def _known_types(self) -> dict[str, ColumnType]:
        """`_types`, once for files that stay as they are."""
        about = [duckdb.__version__, asdict(self.options), asdict(self.shape)]
        found = cache().of_files("csv-types", self.files, about, lambda: _as_told(self._types()))
        return {name: ColumnType(kind, format_) for name, kind, format_ in found}

    def _types(self) -> dict[str, ColumnType]:
        """Every column's type: given, or told by all of its values."""
        options = self.options
        for kind in self.given.values():
            self._check_type(kind)
        read_as = {name: self.given.get(name, TEXT) for name in self.shape.names}
        formatted = {name: f for name, kind in self.given.items() if (f := _given_format(kind, options))}
        texts = self._call(read_as | dict.fromkeys(formatted, TEXT), ())
        rules = TypeRules(options.decimal, options.thousands, options.dateformat, options.timestampformat)
        told = column_types([name for name in self.shape.names if name not in self.given], texts, rules, self._row)
        if self.given:
            types = {name: ColumnType(kind, formatted.get(name)) for name, kind in self.given.items()}
            self._check_values(self._with_formats(texts, types), list(self.given))
            told |= types
        return {name: told[name] for name in self.shape.names}

    def _check_values(self, rows: exp.Expr, names: Sequence[str]) -> None:
        """Reads columns whose types are given: values that are none of that type are found here, by file and line."""
        columns = [exp.alias_(exp.Max(this=exp.column(n, quoted=True)), f"a{i}") for i, n in enumerate(names)]
        self._row(exp.select(*columns).from_(rows.copy()))

    def _check_type(self, kind: str) -> None:
        try:
            built = exp.DataType.build(kind, dialect="duckdb", udt=True)
            self._row(exp.select(exp.cast(exp.null(), built)))
        except (duckdb.Error, ValueError) as error:
            known = "BIGINT, DOUBLE, DECIMAL(18,2), VARCHAR, BOOLEAN, DATE, TIMESTAMP"
            message = f'source "{self.context.source}": types: there is no type "{kind}"; some there are: {known}'
            raise DataError(message) from error

    def _row(self, query: exp.Query) -> Sequence[object]:
        row: Sequence[object] | None = self.connection().execute(query.sql("duckdb")).fetchone()
        assert row is not None
        return row

    def _with_plain_line_ends(self) -> bool:
        """DuckDB refuses a file that ends its lines now with CR LF, now with LF: such files are copied, once."""
        mixed = {path for path, read in self.files.items() if path == read and _mixed_line_ends(path)}
        for path in mixed:
            encoding = "iso8859-1" if self.shape.latin else "utf-8"
            self.files[path] = _text.utf8_copy(path, encoding, self.context)
        if mixed and self.shape.latin:
            rest = {path: _text.utf8_copy(path, "iso8859-1", self.context) for path in self.files}
            self.files, self.shape = rest, replace(self.shape, latin=False)
        return bool(mixed)

    def _call(self, types: Mapping[str, str], written: Sequence[str]) -> exp.Expr:
        texts = written or [_files.escaped(path) for path in self.files.values()]
        columns = [
            exp.PropertyEQ(this=exp.Literal.string(n), expression=exp.Literal.string(t)) for n, t in types.items()
        ]
        arguments = {**self._arguments(), "columns": exp.Struct(expressions=columns)}
        named = [exp.EQ(this=exp.column(name), expression=value) for name, value in arguments.items()]
        return exp.ReadCSV(this=_files.path_literal(texts), expressions=named)

    def _arguments(self) -> dict[str, exp.Expr]:
        options, shape = self.options, self.shape
        quote, escape = options.quote, options.escape if options.escape is not None else options.quote
        found: dict[str, exp.Expr] = {
            "auto_detect": exp.false(),
            "delim": exp.Literal.string(shape.delimiter),
            "header": exp.convert(shape.header),
        }
        if shape.latin:
            found["encoding"] = exp.Literal.string("latin-1")
        if shape.skip:
            found["skip"] = exp.convert(shape.skip)
        if (quote, escape) != ('"', '"'):
            found |= {"quote": exp.Literal.string(quote), "escape": exp.Literal.string(escape)}
        if options.null:
            found["nullstr"] = exp.Array(expressions=[exp.Literal.string(text) for text in ("", *options.null)])
        if options.decimal != ".":
            found["decimal_separator"] = exp.Literal.string(options.decimal)
        if options.thousands:
            found["thousands"] = exp.Literal.string(options.thousands)
        if options.short_rows:
            # Quoted line ends and filled rows go together in one thread only.
            found |= {"null_padding": exp.true(), "parallel": exp.false()}
        return found

    @staticmethod
    def _with_formats(call: exp.Expr, types: Mapping[str, ColumnType]) -> exp.Expr:
        """Columns whose dates are written in a format of their own, read by it."""
        if not any(column.format for column in types.values()):
            return call
        made = []
        for name, column in types.items():
            value: exp.Expr = exp.column(name, quoted=True)
            if column.format:
                value = exp.func("strptime", value, exp.Literal.string(column.format), dialect="duckdb")
                value = exp.alias_(exp.cast(value, column.type), name, quoted=True)
            made.append(value)
        return exp.select(*made).from_(call).subquery("dated")


def _as_told(types: Mapping[str, ColumnType]) -> list[tuple[str, str, str | None]]:
    """Types as a cache keeps them."""
    return [(name, column.type, column.format) for name, column in types.items()]


def _read_as(column: ColumnType) -> str:
    return TEXT if column.format else column.type


def _given_format(kind: str, options: CsvOptions) -> str | None:
    """The format by which a column of a given type is read."""
    if kind.upper() == "DATE":
        return options.dateformat
    return options.timestampformat if kind.upper().startswith("TIMESTAMP") else None


def _mixed_line_ends(path: Path) -> bool:
    with _text.unpacked(path) as stream:
        plain = carriage = False
        while chunk := stream.read(1 << 20):
            if chunk.endswith(b"\r"):
                chunk += stream.read(1)
            together = chunk.count(b"\r\n")
            carriage = carriage or together > 0
            plain = plain or chunk.count(b"\n") > together
            if plain and carriage:
                return True
    return False


def _fault(error: duckdb.Error, files: Mapping[Path, Path], shape: Shape, context: SourceContext) -> KpiError:
    """DuckDB's many lines about a CSV file in one that names the file, the line and the cure."""
    text = str(error)
    told = re.search(r"^\s*file = (.*)$", text, re.MULTILINE)
    originals = {str(read): path for path, read in files.items()}
    path = originals.get(told[1].strip()) if told else None
    if path is None:
        path = next(iter(files)) if len(files) == 1 else None
    line = re.search(r"CSV Error on Line: (\d+)", text)
    row = re.search(r"^Original Line: (.*)$", text, re.MULTILINE)
    place = f"{path or listing(str(p) for p in files)}" + (f", line {line[1]}" if line else "")
    shown = f': "{row[1][:120]}"' if row else ""
    return DataError(
        f'source "{context.source}": {place}: {_reason(text, shape, int(line[1]) if line else None)}{shown}'
    )


def _reason(text: str, shape: Shape, line: int | None) -> str:
    """What is wrong and what would be right."""
    if counts := re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", text):
        expected, found = int(counts[1]), int(counts[2])
        sign = "tab" if shape.delimiter == "\t" else f'"{shape.delimiter}"'
        if found > expected:
            cure = f"quote a value that holds {sign}, or name another delimiter"
            if line is not None and line == shape.skip + 2:
                cure += "; where lines stand above the header, skip: 1 leaves one out"
            return f"{found} fields where the header has {expected}; {cure}"
        cure = "with short_rows: true the missing ones are NULL; skip: 1 leaves out a line above the header"
        return f"{found} of {expected} fields; {cure}"
    if "nvalid unicode" in text:
        return f"this is not UTF-8; {_text.CURE}"
    if "unterminated quote" in text:
        cure = "where quotes mean nothing say quote: none, where they follow a backslash escape: '\\'"
        return f"a quote is opened and not closed; {cure}"
    if value := re.search(r'converting column "(.*)"\. Could not convert string "(.*)" to \'(.*)\'', text):
        return f'"{value[2]}" in column "{value[1]}" is no {value[3]}, which types says it is'
    if value := re.search(r'Could not parse string "(.*)" according to format specifier "(.*)"', text):
        return f'"{value[1]}" is not written as "{value[2]}"'
    return " ".join(text.split("Possible")[0].split())
