"""Our `dataclass` makes what the standard one makes."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field, replace
from typing import Any

import pytest

from kpiengine import records

Decorate = Callable[..., Any]
OURS: Decorate = records.dataclass


def classes(decorate: Decorate) -> list[Any]:
    @decorate(frozen=True)
    class Step:
        """A step."""

        name: str
        parts: tuple[int, ...] = ()
        seen: dict[str, int] = field(default_factory=dict, hash=False)
        note: str = field(default="", repr=False, compare=False)

    @decorate(frozen=True)
    class Longer(Step):
        more: int = 1

    @decorate(frozen=True)
    class Nothing:
        pass

    @decorate
    class Open:
        found: list[int] = field(default_factory=list)
        known: int = 0

    @decorate(frozen=True, repr=False)
    class Own:
        one: int

        def __eq__(self, other: object) -> bool:
            return True

        def __repr__(self) -> str:
            return "own"

    return [Step, Longer, Nothing, Open, Own]


ASKED: list[Callable[[Any, Any, Any, Any, Any], Any]] = [
    lambda step, longer, nothing, opened, own: repr(step("a", (1,), note="x")).split(".")[-1],
    lambda step, longer, nothing, opened, own: repr(longer("a", more=2)).split(".")[-1],
    lambda step, longer, nothing, opened, own: repr(nothing()).split(".")[-1],
    lambda step, longer, nothing, opened, own: repr(own(1)),
    lambda step, longer, nothing, opened, own: step("a") == step("a", note="other"),
    lambda step, longer, nothing, opened, own: step("a") == step("b"),
    lambda step, longer, nothing, opened, own: step("a") == longer("a"),
    lambda step, longer, nothing, opened, own: (nothing() == nothing(), opened() == opened(), own(1) == own(2)),
    lambda step, longer, nothing, opened, own: hash(step("a", seen={"x": 1})) == hash(step("a", note="other")),
    lambda step, longer, nothing, opened, own: {nothing(), nothing()} == {nothing()},
    lambda step, longer, nothing, opened, own: hash(opened()),
    lambda step, longer, nothing, opened, own: hash(own(1)) == hash(own(1)),
    lambda step, longer, nothing, opened, own: vars(replace(step("a", (1,)), name="b")),
    lambda step, longer, nothing, opened, own: vars(copy.copy(step("a", (1,)))),
    lambda step, longer, nothing, opened, own: dataclasses.asdict(longer("a", seen={"b": 1})),
    lambda step, longer, nothing, opened, own: (step.__match_args__, longer.__match_args__, step.__doc__, step.parts),
    lambda step, longer, nothing, opened, own: step("a").seen is step("a").seen,
    lambda step, longer, nothing, opened, own: setattr(step("a"), "name", "b"),
    lambda step, longer, nothing, opened, own: setattr(longer("a"), "more", 2),
    lambda step, longer, nothing, opened, own: setattr(step("a"), "other", "b"),
    lambda step, longer, nothing, opened, own: delattr(step("a"), "name"),
    lambda step, longer, nothing, opened, own: setattr(opened(), "known", 5),
    lambda step, longer, nothing, opened, own: step(),
    lambda step, longer, nothing, opened, own: step("a", name="b"),
    lambda step, longer, nothing, opened, own: step("a", nmae="b"),
    lambda step, longer, nothing, opened, own: step(nmae="b"),
    lambda step, longer, nothing, opened, own: step("a", (), {}, "", 1),
    lambda step, longer, nothing, opened, own: nothing(1),
]


@pytest.mark.parametrize("ask", range(len(ASKED)))
def test_it_does_what_the_standard_one_does(ask: int) -> None:
    def told(decorate: Decorate) -> Any:
        try:
            return ASKED[ask](*classes(decorate))
        except FrozenInstanceError as error:
            return FrozenInstanceError, str(error)
        except TypeError:
            return TypeError

    assert told(OURS) == told(dataclasses.dataclass)


@OURS(frozen=True)
class Known:
    """One that can be pickled: it stands in a module."""

    name: str
    after: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "after", (self.name,))


def test_what_comes_after_the_fields() -> None:
    known = Known("a")
    assert known.after == ("a",)
    assert pickle.loads(pickle.dumps(known)) == known
