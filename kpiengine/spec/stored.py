"""Specs as JSON can hold them, and back: what was read of files that have not changed need not be read again.

A dataclass is `[its letter, {field: value}]`, without the fields that have their defaults. A text keeps its place, down
to each character; the files' texts stand beside. Values from the environment are not stored.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any

from kpiengine.errors import Place
from kpiengine.spec import specs
from kpiengine.spec.positions import Fill, Origin
from kpiengine.spec.text import Text

_CLASSES: Mapping[str, type] = {
    "C": specs.CalendarSpec, "E": specs.ExportSpec, "F": specs.TargetFile, "G": specs.EngineSpec, "J": specs.JoinSpec,
    "M": specs.MetricSpec, "O": specs.Option, "P": specs.ProjectSpec, "Q": specs.TestSpec, "S": specs.SourceSpec,
}  # fmt: skip


def _default(field: Any) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


_FIELDS = {
    made: (letter, [(field.name, _default(field)) for field in fields(made)]) for letter, made in _CLASSES.items()
}


class NotStored(Exception):
    """A value that is not to be stored, or cannot be."""


class Texts:
    """The files' texts, by the paths that places tell."""

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        self.texts = dict(texts or {})

    # -- out

    def stored(self, value: Any) -> Any:
        """The value as JSON can hold it. Raises NotStored."""
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return ["n", repr(value)]
        if isinstance(value, Mapping):
            return ["d", [[self.stored(key), self.stored(item)] for key, item in value.items()]]
        if isinstance(value, list | tuple):
            return ["l" if isinstance(value, list) else "t", [self.stored(item) for item in value]]
        if isinstance(value, frozenset):
            return ["s", sorted(value)]
        if isinstance(value, Place):
            return ["@", value.path, value.line, value.column]
        if isinstance(value, Text):
            return self._text(value)
        if isinstance(value, dt.datetime):
            return ["i", value.isoformat()]
        if isinstance(value, dt.date):
            return ["y", value.isoformat()]
        return self._record(value)

    def _record(self, value: Any) -> Any:
        found = _FIELDS.get(type(value))
        if found is None:
            raise NotStored(type(value).__name__)
        letter, known = found
        given = [(name, getattr(value, name), default) for name, default in known]
        return [letter, {n: self.stored(v) for n, v, d in given if v is not d and (d is MISSING or v != d)}]

    def _text(self, text: Text) -> Any:
        origin = text.origin
        if origin is None:
            return ["x", text.value, self.stored(text.place)]
        if self.texts.setdefault(text.place.path, origin.source) != origin.source:
            raise NotStored(f"there are two files {text.place.path}")
        written = None if origin.written == text.value else origin.written
        place = text.place
        fills = [[fill.start, fill.end, fill.length] for fill in origin.fills]
        inside = [origin.start, origin.line, origin.column, origin.style, written, fills]
        return ["X", text.value, place.path, place.line, place.column, *inside]

    # -- back

    def read(self, stored: Any) -> Any:
        """What was stored."""
        return _READERS[stored[0]](self, *stored[1:]) if isinstance(stored, list) else stored

    def _read_text(
        self, value: str, path: str, line: int, column: int, start: int, first: int, left: int, style: str,
        written: str | None, fills: list[list[int]],
    ) -> Text:  # fmt: skip
        told = value if written is None else written
        origin = Origin(self.texts[path], start, first, left, style, told, tuple(Fill(*fill) for fill in fills))
        return Text(value, Place(path, line, column), origin)


_READERS: dict[str, Callable[..., Any]] = {
    "n": lambda texts, value: float(value),
    "d": lambda texts, pairs: {texts.read(key): texts.read(item) for key, item in pairs},
    "l": lambda texts, items: [texts.read(item) for item in items],
    "t": lambda texts, items: tuple([texts.read(item) for item in items]),
    "s": lambda texts, items: frozenset(items),
    "@": lambda texts, path, line, column: Place(path, line, column),
    "x": lambda texts, value, place: Text(value, texts.read(place)),
    "X": Texts._read_text,
    "i": lambda texts, value: dt.datetime.fromisoformat(value),
    "y": lambda texts, value: dt.date.fromisoformat(value),
}


def _reader(made: type) -> Callable[..., Any]:
    return lambda texts, given: made(**{name: texts.read(value) for name, value in given.items()})


_READERS |= {letter: _reader(made) for letter, made in _CLASSES.items()}
