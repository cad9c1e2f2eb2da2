"""Where each character of a YAML scalar's value stands in the file.

YAML folds lines, drops indents and decodes escapes, so a value's n-th character is not the file's n-th after the
scalar's start. Blanks are what folding changes; all other characters come through in order. So the non-blank
characters of both are aligned, and blanks are placed by their neighbours. Where the two do not match, no position is
given at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from kpiengine.records import dataclass

Cell = tuple[str, int, int]
"""A character with its line and column, from 1."""

BREAKS = "\n\r\x85\u2028\u2029"
BLANKS = " \t" + BREAKS
ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b",
    "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip
HEX_DIGITS = {"x": 2, "u": 4, "U": 8}


@dataclass(frozen=True)
class Fill:
    """A `${NAME}` that was replaced: its bounds in the written value, and how long its replacement is."""

    start: int
    end: int
    length: int


@dataclass(frozen=True)
class Origin:
    """A scalar's way from the file to its value.

    `start`, `line` and `column` tell where it begins in `source`, `style` is YAML's ("", "'", '"', "|", ">"),
    `written` its value before `fills`, the replacements from the environment.
    """

    source: str
    start: int
    line: int
    column: int
    style: str
    written: str
    fills: tuple[Fill, ...] = ()

    @cached_property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """(line, column) from 1 of each character of the filled value; empty where that is not known."""
        cells = _cells(self.source, self.start, self.line, self.column)
        read = {"'": _single_quoted, '"': _double_quoted, "|": _block, ">": _block}.get(self.style, _plain)
        places = _aligned(self.written, read(cells))
        return _filled(places, self.fills) if places else ()


def _cells(source: str, start: int, line: int, column: int) -> Iterator[Cell]:
    for index in range(start, len(source)):
        char = source[index]
        yield char, line, column
        if char in BREAKS and source[index : index + 2] != "\r\n":
            line, column = line + 1, 1
        else:
            column += 1


def _plain(cells: Iterator[Cell]) -> Iterator[Cell]:
    return (cell for cell in cells if cell[0] not in BLANKS)


def _block(cells: Iterator[Cell]) -> Iterator[Cell]:
    for char, _, _ in cells:  # the header: `|`, `>-`, a comment
        if char in BREAKS:
            break
    return _plain(cells)


def _single_quoted(cells: Iterator[Cell]) -> Iterator[Cell]:
    next(cells)
    for cell in cells:
        if cell[0] == "'" and next(cells, ("", 0, 0))[0] != "'":
            return
        if cell[0] not in BLANKS:
            yield cell


def _double_quoted(cells: Iterator[Cell]) -> Iterator[Cell]:
    next(cells)
    for char, line, column in cells:
        if char == '"':
            return
        decoded = _escape(cells) if char == "\\" else char
        if decoded and decoded not in BLANKS:
            yield decoded, line, column


def _escape(cells: Iterator[Cell]) -> str:
    """What follows a backslash, decoded; nothing for a line that goes on, and for what libyaml would have refused."""
    char = next(cells, ("", 0, 0))[0]
    if char in HEX_DIGITS:
        digits = "".join(next(cells, ("", 0, 0))[0] for _ in range(HEX_DIGITS[char]))
        try:
            return chr(int(digits, 16))
        except (ValueError, OverflowError):
            return ""
    return "" if char in BREAKS else ESCAPES.get(char, char)


def _aligned(value: str, cells: Iterator[Cell]) -> list[tuple[int, int]] | None:
    places: list[tuple[int, int] | None] = []
    for char in value:
        if char in BLANKS:
            places.append(None)
            continue
        found, line, column = next(cells, ("", 0, 0))
        if found != char:
            return None
        places.append((line, column))
    return _with_blanks(value, places)


def _with_blanks(value: str, places: list[tuple[int, int] | None]) -> list[tuple[int, int]] | None:
    """Blanks follow the character before them; those that indent a line precede the one after them."""
    known = [place for place in places if place]
    if not known:
        return None
    done = list(places)
    for index, place in enumerate(places):
        if place is None and index and value[index - 1] not in BREAKS and (before := done[index - 1]):
            done[index] = (before[0], before[1] + 1)
    for index in range(len(done) - 1, -1, -1):
        if places[index] is None and (index == 0 or _indents(value, index)) and index + 1 < len(done):
            after = done[index + 1]
            done[index] = (after[0], max(1, after[1] - 1)) if after else None
    last = known[0]
    for index, place in enumerate(done):
        last = done[index] = place or last
    return [place for place in done if place]


def _indents(value: str, index: int) -> bool:
    """Whether the blank at `index` is one of those that begin a line of `value`."""
    before = value[:index].rstrip(" \t")
    return value[index] in " \t" and before[-1:] in BREAKS


def _filled(places: list[tuple[int, int]], fills: tuple[Fill, ...]) -> tuple[tuple[int, int], ...]:
    done: list[tuple[int, int]] = []
    copied = 0
    for fill in fills:
        done += places[copied : fill.start]
        done += [places[fill.start]] * fill.length
        copied = fill.end
    return tuple(done + places[copied:])
