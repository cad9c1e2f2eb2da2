"""The tree of a YAML file, with the place of each node: what `kpiengine.spec.yaml` reads and the readers walk.

Scalars keep their text; `typed` says what a person means by it. YAML 1.1 would turn NO, on, 012 and 1:30 into other
things; here only true/false, null, decimal numbers and (where asked for) dates are more than text.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass, field
from typing import Any, ClassVar

from kpiengine.errors import Place
from kpiengine.spec.positions import Fill, Origin
from kpiengine.spec.text import Text

WORDS: dict[str, Any] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
    ".inf": math.inf, "-.inf": -math.inf, ".nan": math.nan,
}  # fmt: skip
INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,39})")
FLOAT = re.compile(
    r"[-+]?(?:(?:(?:0|[1-9][0-9]*)?\.[0-9]+|(?:0|[1-9][0-9]*)\.)(?:[eE][-+]?[0-9]+)?|(?:0|[1-9][0-9]*)[eE][-+]?[0-9]+)"
)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]"
    r"([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)"
    r" ?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)


@dataclass(slots=True)
class YamlFile:
    """A file as read. `path` is told in messages; `secrets` are the values that came from the environment."""

    path: str
    source: str
    secrets: list[str] = field(default_factory=list)


class Node:
    """A node and its place; `line` and `column` are from 1."""

    __slots__ = ("column", "file", "line")
    size: int
    """How many nodes it stands for, aliases written out."""
    called: ClassVar[str]

    def __init__(self, file: YamlFile, line: int, column: int) -> None:
        self.file = file
        self.line = line
        self.column = column

    @property
    def place(self) -> Place:
        """Where the node begins."""
        return Place(self.file.path, self.line, self.column)


class ScalarNode(Node):
    """A text, number, word or nothing. `text` is filled from the environment, `written` is what the file says."""

    __slots__ = ("fills", "start", "style", "text", "written")
    size = 1
    called = "a text"

    def __init__(self, file: YamlFile, line: int, column: int, start: int, style: str, written: str) -> None:
        super().__init__(file, line, column)
        self.start = start
        self.style = style
        self.text = self.written = written
        self.fills: tuple[Fill, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing is written at all (`formula:`)."""
        return not self.written and not self.style

    @property
    def null(self) -> bool:
        """Whether it is nothing, `null` or `~`."""
        return not self.style and self.typed() is None

    def typed(self, dates: bool = False) -> Any:
        """The value that a person means: bool, None, int, float or str; with `dates` also date and datetime."""
        return typed(self.text, dates) if not self.style else self.text

    def shown(self) -> Any:
        """`typed` of what the file says, with nothing of the environment in it: for messages."""
        return typed(self.written) if not self.style else self.written

    def as_text(self) -> Text:
        """The text, able to tell the place of each of its characters."""
        file = self.file
        origin = Origin(file.source, self.start, self.line, self.column, self.style, self.written, self.fills)
        return Text(self.text, self.place, origin)


class SequenceNode(Node):
    """A list."""

    __slots__ = ("items", "size")
    called = "a list"

    def __init__(self, file: YamlFile, line: int, column: int, items: list[Node]) -> None:
        super().__init__(file, line, column)
        self.items = items
        self.size = 1 + sum(item.size for item in items)


class MappingNode(Node):
    """A mapping; `keys` tells the place of each key, as its scalar."""

    __slots__ = ("items", "keys", "size")
    called = "a mapping"

    def __init__(
        self, file: YamlFile, line: int, column: int, items: dict[str, Node], keys: dict[str, ScalarNode]
    ) -> None:
        super().__init__(file, line, column)
        self.items = items
        self.keys = keys
        self.size = 1 + len(keys) + sum(item.size for item in items.values())


def typed(text: str, dates: bool = False) -> Any:
    """What an unquoted text means."""
    if text in WORDS:
        return WORDS[text]
    if text[0] in "+-.0123456789":
        if INTEGER.fullmatch(text):
            return int(text)
        if FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
            return number
        if dates:
            return _dated(text)
    return text


def _dated(text: str) -> Any:
    try:
        if DAY.fullmatch(text):
            return dt.date.fromisoformat(text)
        if match := INSTANT.fullmatch(text):
            return dt.datetime.fromisoformat(f"{match[1]}T{match[2]}{match[3] or ''}")
    except ValueError:  # 2026-02-30: no date, so it stays a text, and the column's type will refuse it
        pass
    return text


def plain(node: Node, dates: bool = False, written: bool = False) -> Any:
    """The node as Python values; with `written` as the file says, nothing of the environment in it."""
    if isinstance(node, ScalarNode):
        return node.shown() if written else node.typed(dates)
    if isinstance(node, SequenceNode):
        return [plain(item, dates, written) for item in node.items]
    assert isinstance(node, MappingNode)
    return {key: plain(item, dates, written) for key, item in node.items.items()}


def called(node: Node) -> str:
    """What a node is, for a message: `a list`, `a mapping`, `nothing`, `true`, `12`, `"text"`."""
    if not isinstance(node, ScalarNode):
        return node.called
    if node.empty:
        return "nothing"
    return f'"{node.written}"' if isinstance(node.shown(), str) else node.written
