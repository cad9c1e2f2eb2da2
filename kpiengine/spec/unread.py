"""Things by name, each made when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

Value = TypeVar("Value")


class Unread(Mapping[str, Value]):
    """A mapping that knows its names; a value is what its maker gives for the name, once."""

    def __init__(self, makers: Mapping[str, Callable[[str], Value]]) -> None:
        self._makers = makers
        self._made: dict[str, Value] = {}

    def __getitem__(self, name: str) -> Value:
        if name not in self._made:
            self._made[name] = self._makers[name](name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __contains__(self, name: object) -> bool:
        return name in self._makers


def layered(*layers: Mapping[str, Value]) -> Mapping[str, Value]:
    """`{**one, **other}` in which nothing is made before it is asked for."""
    makers: dict[str, Callable[[str], Value]] = {}
    for layer in layers:
        makers |= dict.fromkeys(layer, layer.__getitem__)
    return Unread(makers)
