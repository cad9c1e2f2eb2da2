"""A YAML file → our tree of nodes (`kpiengine.spec.nodes`), with every problem that YAML itself can have.

libyaml composes; PyYAML's resolvers, constructors and tags have no say. What is refused here, by its place: text that
is no YAML or no UTF-8, a key given twice, a key that is no text, unknown tags, aliases that run in a circle or
multiply, and inside {…} or […] a text with a comma that YAML has cut in pieces.
"""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import yaml
from yaml._yaml import CParser

from kpiengine.errors import Place, Problem
from kpiengine.spec.environment import filled
from kpiengine.spec.nodes import MappingNode, Node, ScalarNode, SequenceNode, YamlFile
from kpiengine.spec.yaml_errors import undecodable, yaml_problem

MOST_NODES = 100_000
"""How many nodes a file may come to by its aliases written out."""
DEEPEST = 100
CORE_TAGS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq")}
PROPERTIES = re.compile(r"(?:[&!]\S*[ \t]+)+")
"""`&anchor` and `!!tag` before a node: YAML counts them as its beginning, a reader does not."""


class _Parser(CParser):
    """libyaml's composer without PyYAML's guesses at types: a scalar without a tag has the tag ""."""

    def resolve(self, kind: type, value: str | None, implicit: object) -> str:
        return ""

    def descend_resolver(self, parent: object, index: object) -> None:
        """Nothing: there are no path resolvers."""

    def ascend_resolver(self) -> None:
        """Nothing: there are no path resolvers."""


class TooMuch(Exception):
    """The file is refused as a whole; the problem says why."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(place, message)


def read_yaml(
    data: bytes, path: str, problems: list[Problem], environment: Mapping[str, str] | None = None
) -> tuple[Node | None, YamlFile]:
    """The tree of a file's bytes; None where it is empty or cannot be read at all. `path` is told in messages.

    `environment` fills `${NAME}`; None is the process's own.
    """
    try:
        source = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append(undecodable(path, data, error))
        return None, YamlFile(path, "")
    file = YamlFile(path, source)
    try:
        with _without_collector():
            _refuse_deep(source, path)
            root = _Parser(source).get_single_node()
            if root is None:
                return None, file
            return _Converter(file, problems, os.environ if environment is None else environment).node(root, 0), file
    except yaml.YAMLError as error:
        problems.append(yaml_problem(error, path, source))
    except TooMuch as error:
        problems.append(error.problem)
    return None, file


@contextmanager
def _without_collector() -> Iterator[None]:
    """Python's collector looks through a growing tree again and again, for garbage that composing never makes: on a
    large file that is four fifths of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _refuse_deep(source: str, path: str) -> None:
    """Composing recurses in C without a bound, so a file that could be very deep is walked by its events first."""
    if sum(source.count(opening) for opening in ("[", "{", "- ", "? ")) < 10 * DEEPEST:
        return
    parser, depth = CParser(source), 0
    while (event := parser.get_event()) is not None:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            mark: Any = event.start_mark
            raise TooMuch(Place(path, mark.line + 1, mark.column + 1), f"nested deeper than {DEEPEST} levels")


class _Converter:
    """One file's PyYAML nodes → ours."""

    def __init__(self, file: YamlFile, problems: list[Problem], environment: Mapping[str, str]) -> None:
        self.file = file
        self.problems = problems
        self.environment = environment
        self.done: dict[int, Node | None] = {}  # by id of a collection, since an alias is the same object; None: begun
        self.nodes_by_alias = 0

    def wrong(self, place: Place, message: str) -> None:
        self.problems.append(Problem(place, message))

    def node(self, raw: Any, depth: int) -> Node:
        if isinstance(raw, yaml.ScalarNode):
            return self.scalar(raw)
        if id(raw) in self.done:
            return self.alias(raw)
        if depth >= DEEPEST:
            raise TooMuch(self.place(raw), f"nested deeper than {DEEPEST} levels")
        self.check_tag(raw)
        self.done[id(raw)] = None
        made = self.mapping(raw, depth) if isinstance(raw, yaml.MappingNode) else self.sequence(raw, depth)
        self.done[id(raw)] = made
        return made

    def place(self, raw: Any) -> Place:
        _, line, column = self.start(raw)
        return Place(self.file.path, line, column)

    def start(self, raw: Any) -> tuple[int, int, int]:
        mark = raw.start_mark
        index: int = mark.index
        if self.file.source[index : index + 1] in ("&", "!") and (match := PROPERTIES.match(self.file.source, index)):
            shift = match.end() - index
            return index + shift, mark.line + 1, mark.column + 1 + shift
        return index, mark.line + 1, mark.column + 1

    def alias(self, raw: Any) -> Node:
        made = self.done[id(raw)]
        if made is None:
            raise TooMuch(self.place(raw), "what stands here holds an alias of itself")
        self.nodes_by_alias += made.size
        if self.nodes_by_alias > MOST_NODES:
            raise TooMuch(made.place, f"aliases of this file multiply to more than {MOST_NODES:,} nodes")
        return made

    def check_tag(self, raw: Any) -> None:
        tag = raw.tag
        if tag and tag not in CORE_TAGS:
            shown = tag.replace("tag:yaml.org,2002:", "!!")
            mark = raw.start_mark
            place = Place(self.file.path, mark.line + 1, mark.column + 1)
            self.wrong(place, f'YAML reads "{shown}" as a tag; a text that begins with ! needs quotes')

    def scalar(self, raw: Any) -> ScalarNode:
        start, line, column = self.start(raw)
        node = ScalarNode(self.file, line, column, start, raw.style or "", raw.value)
        if raw.tag:
            self.check_tag(raw)
            if raw.tag == "tag:yaml.org,2002:str" and not node.style:
                node.style = " "  # as good as quoted: text, whatever it looks like
        if "${" in raw.value:
            self.fill(node)
        return node

    def fill(self, node: ScalarNode) -> None:
        result = filled(node.written, self.environment)
        for offset, message in result.wrong:
            self.wrong(node.as_text().at(offset), message)
        node.text, node.fills = result.text, result.fills
        self.file.secrets.extend(result.secrets)

    def sequence(self, raw: Any, depth: int) -> SequenceNode:
        _, line, column = self.start(raw)
        items = [self.node(item, depth + 1) for item in raw.value]
        return SequenceNode(self.file, line, column, self.uncut_items(items) if raw.flow_style else items)

    def uncut_items(self, items: list[Node]) -> list[Node]:
        """`[x in (1, 2)]` is two texts to YAML: a parenthesis that opens in one and closes in another."""
        whole: list[Node] = []
        for item in items:
            before, rest = _plain(whole[-1]) if whole else None, _plain(item)
            if before and rest and _open_parentheses(before.written) > 0:
                before.text = before.written = f"{before.written}, {rest.written}"
                if _open_parentheses(before.written) <= 0:
                    self.wrong(before.place, _needs_quotes("[…]", before.written))
            else:
                whole.append(item)
        return whole

    def mapping(self, raw: Any, depth: int) -> MappingNode:
        _, line, column = self.start(raw)
        pairs = self.uncut(raw.value) if raw.flow_style else raw.value
        items: dict[str, Node] = {}
        keys: dict[str, ScalarNode] = {}
        merged: list[Node] = []
        for raw_key, raw_value in pairs:
            if not isinstance(raw_key, yaml.ScalarNode):
                self.wrong(self.place(raw_key), "a key must be a text")
                continue
            key = ScalarNode(self.file, *self._key_start(raw_key), raw_key.style or "", raw_key.value)
            value = self.node(raw_value, depth + 1)
            name = key.text
            if name == "<<" and not key.style:
                merged.append(value)
            elif name in items:
                self.wrong(key.place, f'"{name}" is given twice; the first stands at {keys[name].place}')
            else:
                items[name], keys[name] = value, key
        for value in merged:
            self.merge(value, items, keys)
        return MappingNode(self.file, line, column, items, keys)

    def _key_start(self, raw: Any) -> tuple[int, int, int]:
        start, line, column = self.start(raw)
        return line, column, start

    def merge(self, value: Node, items: dict[str, Node], keys: dict[str, ScalarNode]) -> None:
        """`<<: *base` or a list of them: keys that the mapping lacks; the first to bring one wins."""
        for base in value.items if isinstance(value, SequenceNode) else [value]:
            if not isinstance(base, MappingNode):
                self.wrong(base.place, '"<<" takes a mapping, or a list of them')
                continue
            for name in base.items:
                if name not in items:
                    items[name], keys[name] = base.items[name], base.keys[name]

    def uncut(self, pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
        """The pairs of a {…} without those keys that are the rest of a text with a comma; they are problems."""
        whole: list[tuple[Any, Any]] = []
        rest: list[tuple[Any, Any]] = []  # the pair that was cut, then its pieces
        for pair in pairs:
            if not self.lacks_value(pair):
                self.report_cut(rest)
                rest = [pair]
                whole.append(pair)
            elif rest and isinstance(rest[0][1], yaml.ScalarNode):
                rest.append(pair)
            else:
                self.wrong(self.place(pair[0]), f'"{pair[0].value}" has no value; inside {{…}} every key needs one')
        self.report_cut(rest)
        return whole

    def lacks_value(self, pair: tuple[Any, Any]) -> bool:
        key, value = pair
        if not isinstance(key, yaml.ScalarNode) or not isinstance(value, yaml.ScalarNode) or value.value:
            return False
        begin, end = key.end_mark.index, value.start_mark.index
        return end == value.end_mark.index and ":" not in self.file.source[begin:end]

    def report_cut(self, pairs: list[tuple[Any, Any]]) -> None:
        if len(pairs) > 1:
            key, value = pairs[0]
            whole = " ".join(self.file.source[value.start_mark.index : pairs[-1][0].end_mark.index].split())
            self.wrong(self.place(value), _needs_quotes("{…}", whole, f"{key.value}: "))
            if not value.style:
                value.value = whole  # read on as it was meant: one mistake is one problem


def _plain(node: Node) -> ScalarNode | None:
    """The node where it is a text without quotes."""
    return node if isinstance(node, ScalarNode) and not node.style else None


def _open_parentheses(text: str) -> int:
    return text.count("(") - text.count(")")


def _needs_quotes(bracket: str, text: str, key: str = "") -> str:
    quoted = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"inside {bracket} a text with a comma needs quotes: {key}{quoted}"
