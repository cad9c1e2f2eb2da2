"""A small declarative walker: which keys a mapping may have, how each is read, all that is wrong with them.

A reader of a value (`Read`) takes its node and a `Site`, and gives the value, or `WRONG` after adding a problem.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import Any

from kpiengine.errors import Place, Problem, listing, suggest
from kpiengine.records import dataclass
from kpiengine.spec.nodes import MappingNode, Node, ScalarNode, SequenceNode, called, plain
from kpiengine.spec.text import Text


class Missing(Enum):
    """The type of `WRONG`."""

    WRONG = "wrong"


WRONG = Missing.WRONG
"""What a `Read` gives for a value that it refused."""


@dataclass(frozen=True)
class Site:
    """Which key of what is being read, for messages: `"key" of source "orders" must be …`."""

    owner: str
    key: str
    problems: list[Problem]

    def wrong(self, node: Node, wanted: str) -> Missing:
        """Report that the value should be `wanted`."""
        self.problem(node, f"must be {wanted}, not {called(node)}")
        return WRONG

    def problem(self, node: Node, message: str) -> Missing:
        """Report something else about the value; `message` follows its name."""
        self.problems.append(Problem(node.place, f'"{self.key}" of {self.owner} {message}'))
        return WRONG


Read = Callable[[Node, Site], Any]


@dataclass(frozen=True)
class Field:
    """A key: how it is read, whether it has to be there, and whether it may be left empty (a list, a mapping)."""

    read: Read
    required: bool = False
    may_be_empty: bool = False


def read_fields(node: Node, owner: str, fields: Mapping[str, Field], problems: list[Problem]) -> dict[str, Any]:
    """The values of a mapping's keys, those refused left out. `null` or `~` gives None: the key's default."""
    if not isinstance(node, MappingNode):
        problems.append(Problem(node.place, f"{owner} must be a mapping of keys, not {called(node)}"))
        return {}
    values: dict[str, Any] = {}
    for key, item in node.items.items():
        field = fields.get(key)
        if field is None:
            problems.append(Problem(node.keys[key].place, unknown_key(key, owner, fields)))
        elif isinstance(item, ScalarNode) and item.null:
            if not item.empty and not field.required:
                values[key] = None
            elif not field.may_be_empty:
                problems.append(Problem(node.keys[key].place, f'"{key}" of {owner} is empty'))
        elif (value := field.read(item, Site(owner, key, problems))) is not WRONG:
            values[key] = value
    for key, field in fields.items():
        if field.required and key not in node.items:
            problems.append(Problem(node.place, f'{owner} needs "{key}"'))
    return values


def unknown_key(key: str, owner: str, known: Collection[str]) -> str:
    """The message for a key that `owner` does not take."""
    return f'unknown key "{key}" in {owner}' + (suggest(key, known) or f"; it takes: {listing(known, 30)}")


def text(node: Node, site: Site) -> Text | Missing:
    """A text with positions; a number or true is the text that it is written as."""
    if not isinstance(node, ScalarNode):
        return site.wrong(node, "a text")
    return node.as_text() if node.text.strip() else site.problem(node, "is empty")


def word(node: Node, site: Site) -> str | Missing:
    """A text without positions."""
    found = text(node, site)
    return found if isinstance(found, Missing) else found.value


def texts(node: Node, site: Site) -> tuple[Text, ...] | Missing:
    """A text or a list of texts, with positions."""
    items = node.items if isinstance(node, SequenceNode) else [node]
    found = [item.as_text() for item in items if isinstance(item, ScalarNode) and item.text.strip() and not item.null]
    if len(found) == len(items):
        return tuple(found)
    bad = next(item for item in items if not isinstance(item, ScalarNode) or not item.text.strip() or item.null)
    return site.wrong(bad, "a text or a list of texts")


def words(node: Node, site: Site) -> tuple[str, ...] | Missing:
    """A text or a list of texts, without positions."""
    found = texts(node, site)
    return found if isinstance(found, Missing) else tuple(item.value for item in found)


def names(node: Node, site: Site) -> tuple[str, ...] | Missing:
    """A name, a list of names, or names with commas between, as on the command line."""
    if isinstance(node, ScalarNode) and "," in node.text and '"' not in node.text:
        return tuple(name for part in node.text.split(",") if (name := part.strip()))
    return words(node, site)


def number(node: Node, site: Site) -> float | int | Missing:
    """A number."""
    value = node.typed() if isinstance(node, ScalarNode) else None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return site.wrong(node, "a number")


def count(node: Node, site: Site) -> int | Missing:
    """A whole number from 0."""
    value = node.typed() if isinstance(node, ScalarNode) else None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return site.wrong(node, "a whole number from 0")


def flag(node: Node, site: Site) -> bool | Missing:
    """true or false."""
    value = node.typed() if isinstance(node, ScalarNode) else None
    return value if isinstance(value, bool) else site.wrong(node, "true or false")


@dataclass(frozen=True)
class Choice:
    """Reads one of some words, whatever their case."""

    choices: tuple[str, ...]

    def __call__(self, node: Node, site: Site) -> str | Missing:
        """The word in lower case."""
        value = node.text.lower() if isinstance(node, ScalarNode) else ""
        if value in self.choices:
            return value
        wanted = " or ".join(self.choices) if len(self.choices) < 3 else f"one of {listing(self.choices, 20)}"
        return site.problem(node, f"must be {wanted}, not {called(node)}{suggest(value, self.choices)}")


def choice(*choices: str) -> Choice:
    """One of some words, whatever their case."""
    return Choice(choices)


def translated(node: Node, site: Site) -> dict[str, str] | Missing:
    """A text, which stands under "en", or a mapping of language to text."""
    if isinstance(node, ScalarNode):
        return {"en": node.text}
    if isinstance(node, MappingNode) and all(isinstance(item, ScalarNode) for item in node.items.values()):
        return {language: item.text for language, item in node.items.items() if isinstance(item, ScalarNode)}
    return site.wrong(node, "a text, or a mapping of language to text")


def scalars(node: Node, site: Site) -> dict[str, Any] | Missing:
    """A mapping of names to single values; unquoted dates are dates."""
    if not isinstance(node, MappingNode):
        return site.wrong(node, "a mapping of names to values")
    for name, item in node.items.items():
        if not isinstance(item, ScalarNode):
            return site.problem(item, f'gives "{name}" {called(item)}, and takes single values')
    return plain(node, dates=True)  # type: ignore[no-any-return]


def parameters(node: Node, site: Site) -> dict[str, Any] | Missing:
    """A mapping of names to single values or lists of them."""
    if not isinstance(node, MappingNode):
        return site.wrong(node, "a mapping of names to values")
    for name, item in node.items.items():
        for value in item.items if isinstance(item, SequenceNode) else [item]:
            if not isinstance(value, ScalarNode):
                return site.problem(value, f'gives "{name}" {called(value)}, and takes values and lists of them')
    return plain(node, dates=True)  # type: ignore[no-any-return]


def entries(node: Node | None, what: str, problems: list[Problem]) -> list[tuple[str, ScalarNode, Node]]:
    """The named entries of a section (`metrics:`): name, its node, what stands under it. Names are checked, and no
    two may differ by case alone."""
    if node is None or (isinstance(node, ScalarNode) and node.null):
        return []
    if not isinstance(node, MappingNode):
        problems.append(Problem(node.place, f'"{what}s" must be a mapping of names, not {called(node)}'))
        return []
    found: list[tuple[str, ScalarNode, Node]] = []
    seen: dict[str, Place] = {}
    for name, item in node.items.items():
        key = node.keys[name]
        if not name or name != name.strip() or any(char in name for char in '.,:"\n'):
            message = f'"{name}" cannot name a {what}: no dot, comma, colon or quote in a name'
            problems.append(Problem(key.place, message))
        elif name.lower() in seen:
            message = f'{what} "{name}" is defined twice; the first stands at {seen[name.lower()]}'
            problems.append(Problem(key.place, message))
        else:
            seen[name.lower()] = key.place
            found.append((name, key, item))
    return found


def value_places(node: Node) -> dict[str, Place]:
    """Where the value of each key of a mapping stands."""
    return {key: item.place for key, item in node.items.items()} if isinstance(node, MappingNode) else {}
