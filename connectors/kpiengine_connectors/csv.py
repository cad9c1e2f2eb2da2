"""CSV and its kin, in any encoding, packed or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from kpiengine.connector import Connector, OptionType, SourceContext, SqlRelation
from kpiengine.errors import DataError
from kpiengine.hooks import hookimpl

if TYPE_CHECKING:
    from kpiengine_connectors._csv_shape import CsvOptions

_BASES = (".csv", ".tsv", ".tab")
_PACKED = ("", ".gz", ".zst")
_NAMED_SIGNS = {"tab": "\t", "\\t": "\t", "space": " ", "none": ""}
_GROUP_SIGNS = (",", ".", " ", "'", "_")


@hookimpl
def register_connectors() -> Iterable[type[Connector]]:
    """The connector `csv`."""
    return [Csv]


class Csv(Connector):
    """Text files of rows and delimiters. Options:

    - `path`: a file, a pattern or a list; columns of several files meet by name.
    - `delimiter`: told by the header where it is not given.
    - `decimal`: `,` or `.`; `thousands`: the sign between groups of three digits.
    - `encoding`: any that Python knows; UTF-8, and what a byte order mark says, need none.
    - `header`: false where the first row is data; columns are then `column0`, `column1`, …
    - `skip`: lines above the header.
    - `quote`, `escape`: one sign each; `quote: none` where quotes mean nothing.
    - `null`: a text, or a list of texts, that stands for NULL, as an empty field always does.
    - `types`: {column: DuckDB type}, where it is not to be told by the values.
    - `dateformat`, `timestampformat`: as in `strptime` (`%d.%m.%Y`).
    - `short_rows`: true fills rows that end too early with NULL.
    """

    name = "csv"
    endings = tuple(base + packed for base in _BASES for packed in _PACKED)
    options: ClassVar[Mapping[str, OptionType]] = {
        "path": (str, list),
        "delimiter": str,
        "decimal": str,
        "thousands": str,
        "encoding": str,
        "header": bool,
        "skip": int,
        "quote": str,
        "escape": str,
        "null": (str, list),
        "types": dict,
        "dateformat": str,
        "timestampformat": str,
        "short_rows": bool,
    }

    def relation(self, options: Mapping[str, Any], context: SourceContext) -> SqlRelation:
        """A call of DuckDB's `read_csv` with every column's type written out, proved on all rows."""
        from kpiengine_connectors._csv_read import relation

        return relation(_csv_options(options, context), options["path"], context)


def _csv_options(options: Mapping[str, Any], context: SourceContext) -> CsvOptions:
    from kpiengine_connectors._csv_shape import CsvOptions

    signs = {name: _sign(name, options.get(name), context) for name in ("delimiter", "quote", "escape", "thousands")}
    decimal = options.get("decimal") or "."
    if decimal not in (",", "."):
        raise DataError(f'source "{context.source}": decimal is "," or ".", not "{decimal}"')
    thousands = signs["thousands"] or None
    if thousands is not None and (thousands not in _GROUP_SIGNS or thousands == decimal):
        other = f"one of {' '.join(repr(s) for s in _GROUP_SIGNS)}, and not the decimal sign"
        raise DataError(f'source "{context.source}": thousands is {other}; it is {thousands!r}')
    skip = options.get("skip") or 0
    if skip < 0:
        raise DataError(f'source "{context.source}": skip is a number of lines, not {skip}')
    null = options.get("null")
    quote = signs["quote"]
    return CsvOptions(
        delimiter=signs["delimiter"] or None,
        header=options.get("header", True),
        skip=skip,
        quote='"' if quote is None else quote,
        escape=signs["escape"],
        decimal=decimal,
        thousands=thousands,
        encoding=options.get("encoding"),
        null=tuple(str(text) for text in (null if isinstance(null, list) else [null]) if text is not None),
        types=tuple((str(name), str(kind)) for name, kind in (options.get("types") or {}).items()),
        dateformat=options.get("dateformat"),
        timestampformat=options.get("timestampformat"),
        short_rows=options.get("short_rows", False),
    )


def _sign(name: str, value: str | None, context: SourceContext) -> str | None:
    """One sign, or its name: `tab`, `space`, `none`."""
    if value is None:
        return None
    sign = _NAMED_SIGNS.get(value, value)
    if len(sign) > 1:
        raise DataError(f'source "{context.source}": {name} is one sign, not "{value}"')
    return sign
