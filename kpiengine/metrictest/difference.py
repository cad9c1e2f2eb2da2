"""What differs between the rows that a test expects and those that came, told for a person."""

from __future__ import annotations

import datetime as dt
import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from kpiengine.errors import listing, suggest

if TYPE_CHECKING:
    import pyarrow

CLOSE = 1e-9
"""How far two numbers may be apart, relative to the larger, where one is no whole number or decimal."""
MOST_LINES = 60
ABSENT = object()
"""Stands where a row names no value for a column: nothing is expected there."""

Row = tuple[Any, ...]


def difference(
    found: pyarrow.Table, expected: Sequence[Mapping[str, Any]], dimensions: Sequence[str], zone: ZoneInfo
) -> str | None:
    """What differs, or None where nothing does. Only columns that an expected row names are compared.

    Rows are compared in the result's order. `dimensions` tell which rows belong together where some are missing.
    """
    spelt = {name.lower(): name for name in found.column_names}
    named = dict.fromkeys(name for row in expected for name in row)
    unknown = [name for name in named if name.lower() not in spelt]
    if unknown:
        known = found.column_names
        return f'"{unknown[0]}" is expected, and the result has: {listing(known, 30)}{suggest(unknown[0], known)}'
    wanted = {spelt[name.lower()] for name in named} or set(spelt.values())
    columns = [name for name in found.column_names if name in wanted]
    got: list[Row] = [tuple(row[name] for name in columns) for row in found.to_pylist()]
    want: list[Row] = []
    for row in expected:
        by_lower = {name.lower(): value for name, value in row.items()}
        want.append(tuple(by_lower.get(name.lower(), ABSENT) for name in columns))
    if len(got) == len(want) and all(_same_row(*pair, zone) for pair in zip(got, want, strict=True)):
        return None
    keys = [n for n, name in enumerate(columns) if name in dimensions]
    told = list(_told(columns, _pairs(got, want, keys, zone), zone))
    if _sorted_texts(got, zone) == _sorted_texts(want, zone):
        told[0] = "the rows expected came, in another order (without an order they are sorted by their dimensions)"
    return "\n".join(told)


def _sorted_texts(rows: Sequence[Row], zone: ZoneInfo) -> list[list[str]]:
    return sorted([_shown(value, zone) for value in row] for row in rows)


def _same_row(found: Row, expected: Row, zone: ZoneInfo) -> bool:
    return all(same(f, e, zone) for f, e in zip(found, expected, strict=True))


def same(found: Any, expected: Any, zone: ZoneInfo) -> bool:
    """Whether a value is what a test expects: numbers by value, dates by ISO text, instants in the project's zone."""
    if expected is ABSENT:
        return True
    if found is None or expected is None:
        return found is expected
    if isinstance(found, bool) or isinstance(expected, bool):
        return found is expected
    if isinstance(found, int | float | Decimal) and isinstance(expected, int | float | Decimal):
        if isinstance(found, float) or isinstance(expected, float):
            return _close(float(found), float(expected))
        return Decimal(found) == Decimal(expected)
    if isinstance(found, dt.date):
        return bool(_moment(found, zone) == _moment(expected, zone))
    return bool(found == expected)


def _close(found: float, expected: float) -> bool:
    if math.isnan(found) or math.isnan(expected):
        return math.isnan(found) and math.isnan(expected)
    return math.isclose(found, expected, rel_tol=CLOSE, abs_tol=CLOSE / 1000)


def _moment(value: Any, zone: ZoneInfo) -> Any:
    """A date is its midnight; an instant with a zone is told by the project's clocks."""
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, dt.datetime):
        return value.astimezone(zone).replace(tzinfo=None) if value.tzinfo else value
    return dt.datetime.combine(value, dt.time()) if isinstance(value, dt.date) else value


# -- telling


def _pairs(
    got: Sequence[Row], want: Sequence[Row], keys: Sequence[int], zone: ZoneInfo
) -> Iterator[tuple[Row | None, Row | None]]:
    """Rows found and expected that belong together; one alone where the other side has none. Where `keys` tell
    which do, no others are paired."""

    def key(row: Row) -> tuple[str, ...]:
        return tuple(_shown(row[n], zone) for n in keys or range(len(row)))

    matcher = difflib.SequenceMatcher(None, [key(row) for row in got], [key(row) for row in want], autojunk=False)
    for what, start, end, first, last in matcher.get_opcodes():
        both = 0 if keys and what == "replace" else min(end - start, last - first)
        yield from zip(got[start : start + both], want[first : first + both], strict=True)
        yield from ((None, row) for row in want[first + both : last])
        yield from ((row, None) for row in got[start + both : end])


def _told(columns: Sequence[str], pairs: Iterator[tuple[Row | None, Row | None]], zone: ZoneInfo) -> Iterator[str]:
    """A line of what is wrong, and the rows: expected ones that did not come marked "-", those that came "+"."""
    lines: list[tuple[str, list[str]]] = []
    wrong: set[str] = set()
    missing = extra = 0
    for found, expected in pairs:
        if found is None or expected is None:
            missing, extra = missing + (found is None), extra + (expected is None)
            lines.append(("-" if found is None else "+", [_shown(v, zone) for v in (expected or found or ())]))
            continue
        differs = [not same(f, e, zone) for f, e in zip(found, expected, strict=True)]
        wrong |= {name for name, bad in zip(columns, differs, strict=True) if bad}
        if any(differs):
            lines.append(("-", [_marked(v, bad, zone) for v, bad in zip(expected, differs, strict=True)]))
            lines.append(("+", [_marked(v, bad, zone) for v, bad in zip(found, differs, strict=True)]))
        else:
            lines.append((" ", [_shown(v, zone) for v in found]))
    yield "; ".join(_summary(wrong, columns, missing, extra))
    yield ""
    yield from _grid(columns, _near_first(lines))


def _summary(wrong: set[str], columns: Sequence[str], missing: int, extra: int) -> Iterator[str]:
    if wrong:
        yield f"differs: {', '.join(name for name in columns if name in wrong)}"
    if missing:
        yield f"{missing} expected {'row is' if missing == 1 else 'rows are'} missing (-)"
    if extra:
        yield f"{extra} {'row was' if extra == 1 else 'rows were'} not expected (+)"


def _near_first(lines: Sequence[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    first = next(n for n, (mark, _) in enumerate(lines) if mark != " ")
    start = max(0, min(first - 5, len(lines) - MOST_LINES)) if len(lines) > MOST_LINES else 0
    return list(lines[start : start + MOST_LINES])


def _grid(columns: Sequence[str], lines: Sequence[tuple[str, list[str]]]) -> Iterator[str]:
    widths = [max(len(name), *(len(cells[n]) for _, cells in lines)) for n, name in enumerate(columns)]
    words = {"-": "expected", "+": "found", " ": ""}
    yield "  " + "  ".join(name.ljust(size) for name, size in zip(columns, widths, strict=True)).rstrip()
    for mark, cells in lines:
        row = "  ".join(cell.ljust(size) for cell, size in zip(cells, widths, strict=True))
        yield f"{mark} {row}  {words[mark]}".rstrip()


def _marked(value: Any, differs: bool, zone: ZoneInfo) -> str:
    return f"[{_shown(value, zone)}]" if differs else _shown(value, zone)


def _shown(value: Any, zone: ZoneInfo) -> str:
    """As it is written in YAML: a text that would be read as a number, date or word has quotes."""
    if value is ABSENT:
        return "…"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    if isinstance(value, dt.date):
        moment: dt.datetime = _moment(value, zone)
        return moment.date().isoformat() if moment.time() == dt.time() else moment.isoformat(" ")
    if isinstance(value, str):
        return repr(value) if value.strip() != value or not value or value[0] in "+-.0123456789~" else value
    return str(value)
