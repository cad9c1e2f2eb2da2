"""Small results written without Arrow, which takes longer to import than they take to compute.

Rows come as Python values. What is written is what the writers over Arrow write, byte for byte; a value that Python
cannot hold as Arrow does (a day after the year 9999) is none of ours: `PlainRows.of` gives None.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import click

from kpiengine.cli.formats import Look, Target
from kpiengine.cli.formats.shown import NOTHING, clean, decimals, floats, integers, markdown_line, percents
from kpiengine.cli.tables import Grid, rich_lines
from kpiengine.records import dataclass

MOST_ROWS = 1_000
"""More rows are written by way of Arrow, which takes many at once."""

_SPECIAL = re.compile('[",\r\n]')
_KINDS = {
    **dict.fromkeys(["TINYINT", "SMALLINT", "INTEGER", "BIGINT"], "integer"),
    **dict.fromkeys(["UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"], "integer"),
    **{"HUGEINT": "decimal", "DOUBLE": "float", "VARCHAR": "text", "BOOLEAN": "boolean"},
    **{"DATE": "date", "TIMESTAMP": "timestamp", '"NULL"': "nothing"},
}
_NUMBERS = frozenset({"integer", "float", "decimal"})


@dataclass(frozen=True)
class PlainColumn:
    """A column: its kind ("integer", "float", "decimal", "text", "boolean", "date", "timestamp", "nothing"), values."""

    name: str
    kind: str
    values: Sequence[Any]

    @property
    def is_number(self) -> bool:
        """Whether the values are numbers."""
        return self.kind in _NUMBERS


@dataclass(frozen=True)
class PlainRows:
    """A result in memory, column by column."""

    columns: tuple[PlainColumn, ...]
    rows: int

    @classmethod
    def of(cls, types: Sequence[tuple[str, str]], fetch: Callable[[int], list[tuple[Any, ...]]]) -> PlainRows | None:
        """Rows of columns of these names and DuckDB types; None where Arrow has to write them.

        `fetch` gives so many rows at most; it is asked only where Python holds values of all these types.
        """
        kinds = ["decimal" if kind.startswith("DECIMAL") else _KINDS.get(kind, "") for _, kind in types]
        if not all(kinds):
            return None
        rows = fetch(MOST_ROWS + 1)
        if len(rows) > MOST_ROWS:
            return None
        columns = []
        for place, ((name, told), kind) in enumerate(zip(types, kinds, strict=True)):
            values = [row[place] for row in rows]
            if not all(value is None or _is_plain(kind, value) for value in values):
                return None
            if told == "HUGEINT":
                values = [None if value is None else Decimal(value) for value in values]
            columns.append(PlainColumn(name, kind, values))
        return cls(tuple(columns), len(rows))


_FIRST, _LAST = dt.date.min, dt.date.max
_CLASSES: Mapping[str, tuple[type, ...]] = {
    "integer": (int,), "float": (float,), "decimal": (Decimal, int), "text": (str,), "boolean": (bool,),
    "date": (dt.date,), "timestamp": (dt.datetime,), "nothing": (),
}  # fmt: skip


def _is_plain(kind: str, value: Any) -> bool:
    """Whether Python holds the value as it is: days out of its range come as text, endless ones as first and last."""
    if not isinstance(value, _CLASSES[kind]):
        return False
    day = value.date() if isinstance(value, dt.datetime) else value
    return not isinstance(day, dt.date) or _FIRST < day < _LAST


# -- texts


def texts(column: PlainColumn) -> list[str | None]:
    """Each value as text: plain digits, ISO dates and times."""
    write = _TEXTS[column.kind]
    return [None if value is None else write(value) for value in column.values]


def number(value: float) -> str:
    """A DOUBLE as Arrow writes it: the shortest digits that mean it, plain from 0.000001 to below 10,000,000,000."""
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if 1e-4 <= abs(value) < 1e10:
        return repr(value).removesuffix(".0")
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)
    shown, power = "".join(map(str, digits)), len(digits) - 1 + exponent
    minus = "-" if sign else ""
    if value == 0:
        return f"{minus}0"
    if power >= -6 and power < 0:
        return f"{minus}0.{'0' * (-power - 1)}{shown}"
    return f"{minus}{shown[0]}{'.' if shown[1:] else ''}{shown[1:]}e{power:+d}"


def _instant(value: dt.datetime) -> str:
    text = value.isoformat()
    return text.rstrip("0") if value.microsecond else text


_TEXTS: Mapping[str, Callable[[Any], str]] = {
    "integer": str, "float": number, "decimal": lambda value: format(value, "f"), "text": str,
    "boolean": lambda value: "true" if value else "false", "date": dt.date.isoformat, "timestamp": _instant,
    "nothing": str,
}  # fmt: skip


def cells(column: PlainColumn, look: Look, terminal: bool) -> list[str]:
    """Each value as a table shows it."""
    if column.is_number and look.unit in ("percent", "%"):
        return percents(column.values)
    if column.kind == "float":
        return floats(column.values, terminal, look.measure)
    if column.kind == "decimal" and terminal:
        return decimals(column.values)
    if column.kind == "integer" and terminal and look.measure:
        return integers(column.values)
    found = [NOTHING if text is None else clean(text) for text in texts(column)]
    return [text.replace("T", " ") for text in found] if column.kind == "timestamp" else found


# -- formats


def write_table(rows: PlainRows, looks: Mapping[str, Look], target: Target) -> int:
    """All rows as a table."""
    grid = Grid([c.name for c in rows.columns], [c.is_number for c in rows.columns])
    grid.add(_lines([cells(c, looks.get(c.name, Look()), target.terminal) for c in rows.columns]))
    target.file.write("".join(line + "\n" for line in (rich_lines(grid) if target.terminal else grid.lines())).encode())
    if not rows.rows:
        click.echo("no rows", err=True)
    return rows.rows


def write_csv(rows: PlainRows, looks: Mapping[str, Look], target: Target) -> int:
    """A header, then a line a row."""
    nothing = '""' if len(rows.columns) == 1 else ""
    columns = [[nothing if text is None else _quoted(text) for text in texts(c)] for c in rows.columns]
    lines = [[_quoted(c.name) for c in rows.columns], *_lines(columns)]
    target.file.write("".join(",".join(line) + "\n" for line in lines).encode())
    return rows.rows


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if not text or _SPECIAL.search(text) else text


def write_json(rows: PlainRows, looks: Mapping[str, Look], target: Target) -> int:
    """One array, an object a line."""
    objects = _objects(rows)
    target.file.write(("[\n  " + ",\n  ".join(objects) + "\n]\n" if objects else "[]\n").encode())
    return rows.rows


def write_jsonl(rows: PlainRows, looks: Mapping[str, Look], target: Target) -> int:
    """An object a line."""
    target.file.write("".join(f"{line}\n" for line in _objects(rows)).encode())
    return rows.rows


def _objects(rows: PlainRows) -> list[str]:
    from json.encoder import encode_basestring

    parts = []
    for column in rows.columns:
        label = f"{encode_basestring(column.name)}: "
        found = texts(column)
        if column.kind == "float":
            kept = [value is not None and math.isfinite(value) for value in column.values]
            found = [text if keep else None for text, keep in zip(found, kept, strict=True)]
        elif column.kind == "text":
            found = [None if text is None else encode_basestring(text) for text in found]
        elif column.kind in ("date", "timestamp"):
            found = [None if text is None else f'"{text}"' for text in found]
        parts.append([label + ("null" if text is None else text) for text in found])
    return ["{" + ", ".join(line) + "}" for line in _lines(parts)]


def write_markdown(rows: PlainRows, looks: Mapping[str, Look], target: Target) -> int:
    """A header, a rule, a line a row."""
    names = [c.name for c in rows.columns]
    rule = ["---:" if c.is_number else "---" for c in rows.columns]
    columns = [cells(c, looks.get(c.name, Look()), terminal=False) for c in rows.columns]
    target.file.write("".join(map(markdown_line, [names, rule, *_lines(columns)])).encode())
    return rows.rows


def _lines(columns: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    return list(zip(*columns, strict=True))


WRITERS: Mapping[str, Callable[[PlainRows, Mapping[str, Look], Target], int]] = {
    "table": write_table,
    "csv": write_csv,
    "json": write_json,
    "jsonl": write_jsonl,
    "markdown": write_markdown,
}
"""Format → its writer here; the others are Arrow's own."""
