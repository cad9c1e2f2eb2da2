"""A piece of text from a YAML file that knows where it stands, down to each character."""

from __future__ import annotations

from dataclasses import field

from kpiengine.errors import Place
from kpiengine.records import dataclass
from kpiengine.spec.positions import Origin


@dataclass(frozen=True)
class Text:
    """A scalar of a YAML file: its value and, for a position inside it, the place in the file.

    `origin` knows the file's characters; without it (a text made in Python), or where the two cannot be aligned,
    every position inside is told as the scalar's own place, since a made-up place is worse than none.
    """

    value: str
    place: Place = Place()
    origin: Origin | None = field(default=None, repr=False, compare=False)

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        """(line, column) from 1 of each character of `value`, or empty. Found when first asked for."""
        return self.origin.offsets if self.origin else ()

    def at(self, offset: int) -> Place:
        """The place of the character at `offset` (from 0) of the value."""
        offsets = self.offsets
        if 0 <= offset < len(offsets):
            line, column = offsets[offset]
            return Place(self.place.path, line, column)
        return self.place

    def __str__(self) -> str:
        return self.value
