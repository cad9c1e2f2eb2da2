"""Our `dataclass` makes what the standard one makes."""

from __future__ import annotations

import copy
import dataclasses
import inspect
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

    @decorate(frozen=True, order=True)
    class Place:
        line: int
        name: str = field(default="", compare=False)

    return [Step, Longer, Nothing, Open, Own, Place]


def inherited(base: Any, frozen: bool) -> Any:
    """A class as someone else makes it, by the standard decorator."""

    @dataclasses.dataclass(frozen=frozen)
    class Other(base):  # type: ignore[misc]
        more: int = 1

    return Other


ASKED: list[Callable[[Any, Any, Any, Any, Any, Any], Any]] = [
    lambda step, longer, nothing, opened, own, place: repr(step("a", (1,), note="x")).split(".")[-1],
    lambda step, longer, nothing, opened, own, place: repr(longer("a", more=2)).split(".")[-1],
    lambda step, longer, nothing, opened, own, place: repr(nothing()).split(".")[-1],
    lambda step, longer, nothing, opened, own, place: repr(own(1)),
    lambda step, longer, nothing, opened, own, place: step("a") == step("a", note="other"),
    lambda step, longer, nothing, opened, own, place: step("a") == step("b"),
    lambda step, longer, nothing, opened, own, place: step("a") == longer("a"),
    lambda step, longer, nothing, opened, own, place: (nothing() == nothing(), opened() == opened(), own(1) == own(2)),
    lambda step, longer, nothing, opened, own, place: hash(step("a", seen={"x": 1})) == hash(step("a", note="other")),
    lambda step, longer, nothing, opened, own, place: {nothing(), nothing()} == {nothing()},
    lambda step, longer, nothing, opened, own, place: hash(opened()),
    lambda step, longer, nothing, opened, own, place: hash(own(1)) == hash(own(1)),
    lambda step, longer, nothing, opened, own, place: vars(replace(step("a", (1,)), name="b")),
    lambda step, longer, nothing, opened, own, place: vars(copy.copy(step("a", (1,)))),
    lambda step, longer, nothing, opened, own, place: dataclasses.asdict(longer("a", seen={"b": 1})),
    lambda step, longer, nothing, opened, own, place: (
        step.__match_args__,
        longer.__match_args__,
        step.__doc__,
        step.parts,
    ),
    lambda step, longer, nothing, opened, own, place: step("a").seen is step("a").seen,
    lambda step, longer, nothing, opened, own, place: setattr(step("a"), "name", "b"),
    lambda step, longer, nothing, opened, own, place: setattr(longer("a"), "more", 2),
    lambda step, longer, nothing, opened, own, place: setattr(step("a"), "other", "b"),
    lambda step, longer, nothing, opened, own, place: delattr(step("a"), "name"),
    lambda step, longer, nothing, opened, own, place: setattr(opened(), "known", 5),
    lambda step, longer, nothing, opened, own, place: step(),
    lambda step, longer, nothing, opened, own, place: step("a", name="b"),
    lambda step, longer, nothing, opened, own, place: step("a", nmae="b"),
    lambda step, longer, nothing, opened, own, place: step(nmae="b"),
    lambda step, longer, nothing, opened, own, place: step("a", (), {}, "", 1),
    lambda step, longer, nothing, opened, own, place: nothing(1),
    lambda step, longer, nothing, opened, own, place: (
        sorted([place(2), place(1, "z"), place(1, "a")]) == [place(1), place(1), place(2)]
    ),
    lambda step, longer, nothing, opened, own, place: [
        (place(1) < other, place(1) <= other, place(1) > other, place(1) >= other)
        for other in (place(1, "x"), place(2))
    ],
    lambda step, longer, nothing, opened, own, place: place(1) < (2, "x"),
    lambda step, longer, nothing, opened, own, place: step("a") < step("b"),
    lambda step, longer, nothing, opened, own, place: inherited(step, frozen=True)("a", more=2).more,
    lambda step, longer, nothing, opened, own, place: setattr(inherited(step, frozen=True)("a"), "more", 2),
    lambda step, longer, nothing, opened, own, place: inherited(step, frozen=False),
    lambda step, longer, nothing, opened, own, place: inherited(opened, frozen=True),
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


def test_a_class_without_words_is_made_without_a_look_at_its_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(*given: Any, **named: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(inspect, "signature", looked)

    @OURS
    class Wordless:
        one: int

    assert Wordless(1).one == 1
