"""What libyaml finds wrong, in plain words and by its place."""

from __future__ import annotations

import re
from typing import Any

import yaml

from kpiengine.errors import Place, Problem

UNPRINTABLE = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
"""A pattern, which takes longer to compile than a project's YAML to read: only a file that is wrong needs it."""

TAB = "a tab indents this line; YAML indents with spaces only"
QUOTES_NEEDED = "a text that holds a comma, a colon, quotes, brackets or braces needs quotes there"
SENTENCES = {
    "mapping values are not allowed in this context": (
        'a second ": " on this line, or a line indented too far; a text that holds ": " needs quotes'
    ),
    "did not find expected key": (
        "this does not continue what stands before: the indent differs, or something follows a closing quote or "
        "bracket (put the whole text in quotes)"
    ),
    "did not find expected '-' indicator": 'a line of a list begins with "- ", and this one does not',
    "block sequence entries are not allowed in this context": (
        'a list cannot begin on this line; begin it on the next, or put a text that starts with "- " in quotes'
    ),
    "could not find expected ':'": 'a "key: value" is expected here, and there is no ":"',
    "but found another document": 'a file holds one document, and "---" begins a second',
    "found undefined alias": (
        "YAML reads a text that begins with * as an alias, and no anchor bears that name; put it in quotes"
    ),
    "did not find expected alphabetic or numeric character": "a text that begins with * or & needs quotes",
    "found a tab character that violates indentation": TAB,
    "found a tab character where an indentation space is expected": TAB,
    "found unknown escape character": r"inside double quotes a backslash must be doubled: \\ (or use single quotes)",
    "found duplicate anchor": "this anchor is given twice",
    "did not find expected comment or line break": "a text that begins with | or > needs quotes",
}


def undecodable(path: str, data: bytes, error: UnicodeDecodeError) -> Problem:
    """The problem of a file that is not UTF-8, at its first bad byte."""
    before = data[: error.start].decode("utf-8-sig", errors="replace")
    place = _place(path, before, len(before))
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Problem(Place(path, 1, 1), "this file is UTF-16; save it as UTF-8")
    return Problem(place, f"not UTF-8 (byte 0x{data[error.start]:02x}); save the file as UTF-8")


def yaml_problem(error: yaml.YAMLError, path: str, source: str) -> Problem:
    """libyaml's complaint as a problem."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        match = re.search(UNPRINTABLE, source)
        if match:
            message = f"a control character (U+{ord(match[0]):04X}) is not allowed in YAML"
            return Problem(_place(path, source, match.start()), message)
        return Problem(Place(path), f"not readable as YAML: {error}")
    mark: Any = error.problem_mark
    problem = error.problem or ""
    place = Place(path, mark.line + 1, mark.column + 1)
    opened: Any = error.context_mark
    begun = Place(path, opened.line + 1, opened.column + 1) if opened is not None else place
    if problem == "found unexpected end of stream" and "quoted scalar" in (error.context or ""):
        return Problem(begun, "this quote is never closed")
    if problem in ("did not find expected ',' or '}'", "did not find expected ',' or ']'"):
        return _unclosed(source, mark.index, place, begun, "}" if "}" in problem else "]")
    if problem == "found character that cannot start any token":
        return Problem(place, _cannot_start(source[mark.index : mark.index + 1]))
    return Problem(place, SENTENCES.get(problem) or f"not readable as YAML: {problem}")


def _unclosed(source: str, index: int, place: Place, begun: Place, closing: str) -> Problem:
    bracket = "{…}" if closing == "}" else "[…]"
    if not source[index:].strip():
        return Problem(begun, f'this "{bracket[0]}" is never closed; "{closing}" is missing')
    if source[index - 1 : index + 1] == "${":
        return Problem(place, f"inside {bracket} a ${{NAME}} needs quotes")
    return Problem(place, f'inside {bracket} a "," or "{closing}" is expected here; {QUOTES_NEEDED}')


def _cannot_start(char: str) -> str:
    if char == "\t":
        return TAB
    return f'a text cannot begin with "{char}"; put it in quotes'


def _place(path: str, source: str, index: int) -> Place:
    lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", source[:index])
    return Place(path, len(lines), len(lines[-1]) + 1)
