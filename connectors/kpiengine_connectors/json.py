"""JSON: an array of objects, or an object per line, packed or not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from kpiengine.cache import cache
from kpiengine.connector import Connector, OptionType, SourceContext, SqlRelation
from kpiengine.errors import DataError, listing, suggest
from kpiengine.hooks import hookimpl

if TYPE_CHECKING:
    import duckdb
    from sqlglot import exp

_TYPES = {"JSON": "VARCHAR", "UUID": "VARCHAR", "NULL": "VARCHAR", '"NULL"': "VARCHAR"}
_OLDEST = "1700-01-01"


@hookimpl
def register_connectors() -> Iterable[type[Connector]]:
    """The connector `json`."""
    return [Json]


class Json(Connector):
    """JSON files: one array of objects, or one object per line. Options:

    - `path`: a file, a pattern or a list; fields of several files meet by name.
    - `types`: {field: DuckDB type}, where it is not to be told by the values.

    A field that is a number here and a text there is a text. Objects and lists in it become STRUCT and LIST columns,
    whose parts SQL reaches: `address.city`. Texts that are ISO dates throughout become dates.
    """

    name = "json"
    endings = tuple(base + packed for base in (".json", ".jsonl", ".ndjson") for packed in ("", ".gz", ".zst"))
    options: ClassVar[Mapping[str, OptionType]] = {"path": (str, list), "types": dict}

    def relation(self, options: Mapping[str, Any], context: SourceContext) -> SqlRelation:
        """A call of DuckDB's `read_json` with the types of all fields, told by all rows."""
        import duckdb

        from kpiengine_connectors import _files

        found = _files.find(options["path"], context)
        readable = [_readable(path, context) for path in found.files]
        plain = list(found.files) == readable
        texts = list(found.written) if plain else [_files.escaped(path) for path in readable]
        given = options.get("types") or {}
        try:
            if plain:
                about = [duckdb.__version__, texts, [[str(name), str(kind)] for name, kind in given.items()]]
                types = cache().of_files("json-types", found.files, about, lambda: _types(texts, given, context))
            else:
                types = _types(texts, given, context)
        except duckdb.Error as error:
            names = {str(read): str(path) for read, path in zip(readable, found.files, strict=True)}
            raise DataError(f'source "{context.source}": {_reason(str(error), names)}') from error
        return SqlRelation(_typed(texts, types), files=found.files)


def _readable(path: Path, context: SourceContext) -> Path:
    """The file, or its copy in UTF-8 without a byte order mark, which DuckDB's reader does not know."""
    from kpiengine_connectors import _text

    data = _text.head(path, context)
    encoding = _text.encoding_of(data, None, path, context)
    marked = encoding != "utf-8" or data.startswith(b"\xef\xbb\xbf")
    return _text.utf8_copy(path, encoding, context) if marked else path


def _types(texts: Sequence[str], given: Mapping[Any, Any], context: SourceContext) -> dict[str, str] | None:
    """The types of all fields, told by all rows; None where they are the reader's own guess."""
    import duckdb
    from sqlglot import exp

    with duckdb.connect() as connection:
        guessed = _guessing(texts)
        query = exp.Describe(this=exp.select("*").from_(guessed.copy())).sql("duckdb")
        types = {str(row[0]): _TYPES.get(str(row[1]), str(row[1])) for row in connection.execute(query).fetchall()}
        if list(types) == ["json"]:
            _check_objects(connection, texts, context)
        types |= {name: "VARCHAR" for name in _old_days(connection, guessed, types)}
        by_lower = {name.lower(): name for name in types}
        for field, kind in given.items():
            if str(field).lower() not in by_lower:
                near = suggest(str(field), types) or f"; it has: {listing(types, 20)}"
                raise DataError(f'source "{context.source}": types names a field "{field}" that is not there{near}')
            types[by_lower[str(field).lower()]] = str(kind)
        if any(re.sub(r"_\d+$", "", name.lower()) in by_lower for name in by_lower if re.search(r"_\d+$", name)):
            return None  # `a` and `A` are `a` and `A_1`: names that only the reader's own guess finds
        if given:
            read = [exp.Max(this=exp.column(n, quoted=True)) for n in types]
            connection.execute(exp.select(*read).from_(_typed(texts, types)).sql("duckdb"))
    return types


def _guessing(texts: Sequence[str]) -> exp.Expr:
    from sqlglot import exp

    return _call(texts, {"sample_size": exp.Literal.number(-1), "dateformat": exp.Literal.string("%Y-%m-%d")})


def _typed(texts: Sequence[str], types: Mapping[str, str] | None) -> exp.Expr:
    """The call that reads the files, with the types of all fields, or (None) with the reader's own guess."""
    from sqlglot import exp

    if types is None:
        return _guessing(texts)
    text = exp.Literal.string
    columns = [exp.PropertyEQ(this=text(name), expression=text(kind)) for name, kind in types.items()]
    return _call(texts, {"columns": exp.Struct(expressions=columns)})


def _call(texts: Sequence[str], arguments: Mapping[str, exp.Expr]) -> exp.Expr:
    from sqlglot import exp

    from kpiengine_connectors._files import path_literal

    named = [exp.EQ(this=exp.column(name), expression=value) for name, value in arguments.items()]
    return exp.Anonymous(this="READ_JSON", expressions=[path_literal(texts), *named])


def _old_days(connection: duckdb.DuckDBPyConnection, call: exp.Expr, types: Mapping[str, str]) -> list[str]:
    """Date columns with years before 1700: dates of another calendar, which stay texts."""
    from sqlglot import exp

    names = [name for name, kind in types.items() if kind in ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE")]
    if not names:
        return []
    oldest = exp.cast(exp.Literal.string(_OLDEST), "DATE")
    old = [exp.alias_(exp.Min(this=exp.column(n, quoted=True)) < oldest, f"a{i}") for i, n in enumerate(names)]
    row = connection.execute(exp.select(*old).from_(call.copy()).sql("duckdb")).fetchone() or ()
    return [name for name, is_old in zip(names, row, strict=True) if is_old]


def _check_objects(connection: duckdb.DuckDBPyConnection, texts: Sequence[str], context: SourceContext) -> None:
    """DuckDB calls the column `json` where a file holds no objects; fails where it holds something else."""
    from sqlglot import exp

    # Two columns, for with one DuckDB would take any value for a row.
    text = exp.Literal.string
    parts = [exp.PropertyEQ(this=text(name), expression=text("JSON")) for name in ("json", "other")]
    columns = exp.Struct(expressions=parts)
    # A column has to be read: DuckDB counts values of any kind as rows.
    query = exp.select(exp.Count(this=exp.Star()), exp.Count(this=exp.column("json")))
    counts = connection.execute(query.from_(_call(texts, {"columns": columns})).sql("duckdb")).fetchone()
    if not counts or not counts[0]:
        raise DataError(f'source "{context.source}": {", ".join(texts)} holds no objects, so there are no columns')


def _reason(text: str, names: Mapping[str, str]) -> str:
    """DuckDB's lines about a JSON file in one that names the file."""
    first = text.split("\n")[0]
    told = re.search(r'file "([^"]*)"', first)
    path = names.get(told[1], told[1]) if told else ", ".join(names.values())
    if "Expected OBJECT" in first:
        return f"{path} holds something else than objects; it has to be a list of objects, or an object per line"
    reason = re.sub(r'^[A-Za-z ]* Error: |in file "[^"]*",? ?', "", first).strip()
    return f"{path}: {reason}"
