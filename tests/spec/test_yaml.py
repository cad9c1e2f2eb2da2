"""The YAML layer: what a scalar means, where its characters stand, aliases, the environment."""

from __future__ import annotations

import datetime as dt
import math
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpiengine.errors import Place
from kpiengine.spec.nodes import MappingNode, ScalarNode, plain
from kpiengine.spec.text import Text
from kpiengine.spec.yaml import MOST_NODES, read_yaml


def tree(source: str | bytes, environment=None, expect=()):
    problems = []
    data = source if isinstance(source, bytes) else source.encode()
    node, file = read_yaml(data, "f.yaml", problems, environment or {})
    assert [str(problem) for problem in problems] == list(expect)
    return node, file


def text_of(source: str, environment=None) -> Text:
    node, _ = tree(source, environment)
    assert isinstance(node, MappingNode)
    (value,) = node.items.values()
    assert isinstance(value, ScalarNode)
    return value.as_text()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("NO", "NO"), ("on", "on"), ("yes", "yes"), ("y", "y"), ("012", "012"), ("1:30", "1:30"), ("0x1F", "0x1F"),
        ("1_000", "1_000"), ("1e3", 1000.0), ("12", 12), ("-3", -3), ("+4", 4), ("0", 0), ("1.50", 1.5), (".5", 0.5),
        ("1.", 1.0), ("1e400", "1e400"), ("true", True), ("FALSE", False), ("tRUE", "tRUE"), ("null", None),
        ("~", None), ("", None), ('""', ""), ("'12'", "12"), ("!!str 12", "12"), (".inf", math.inf), ("=", "="),
        ("2026-01-05", "2026-01-05"), ("<<", "<<"), ("9" * 50, "9" * 50),
    ],
)  # fmt: skip
def test_a_scalar_is_what_a_person_means(written, meant):
    node, _ = tree(f"a: {written}\n")
    value = plain(node)["a"]
    assert value == meant
    assert type(value) is type(meant)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-01-05", dt.date(2026, 1, 5)),
        ("2026-01-05 10:30:00", dt.datetime(2026, 1, 5, 10, 30)),
        ("2026-01-05T10:30", dt.datetime(2026, 1, 5, 10, 30)),
        ("2026-01-05T10:30:00.250Z", dt.datetime(2026, 1, 5, 10, 30, 0, 250000, dt.UTC)),
        ("2026-01-05 10:30:00 +02:00", dt.datetime(2026, 1, 5, 10, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))),
        ("2026-02-30", "2026-02-30"),
        ("'2026-01-05'", "2026-01-05"),
    ],
)
def test_dates_are_dates_where_asked_for(written, meant):
    node, _ = tree(f"[{written}]")
    assert plain(node, dates=True) == [meant]


SCALARS = {
    "plain": "a: sum(amount) / count(x)\n",
    "plain over lines": "a: sum(amount)\n  / count(x)\n\n  + avg(y)\n",
    "plain with a comment": "a: sum(amount) # not this amount\n",
    "single quotes": "a: 'it''s  x'\n",
    "single quotes over lines": "a: 'it''s\n  long\n\n  text'\n",
    "double quotes": 'a: "x\\t\\"y\\" \\u00e9\\x41 \\U0001F600z"\n',
    "double quotes over lines": 'a: "x \\\n   y\n   z"\n',
    "literal": "a: |\n  first\n    indented\n\n  last\n",
    "literal, stripped": "a: |-  # a comment\n  first\n  last\n\n",
    "literal, kept": "a: |+\n  first\n\n\n",
    "literal, indent told": "a: |2\n    first\n  last\n",
    "folded": "a: >-\n  first\n  more\n\n  next\n    kept\n  last\n",
    "another script": "a: فروش + 日本 x\n",
    "anchored": "a: &anchor   first second\n",
    "tagged and anchored": "a: !!str &anchor 'first second'\n",
    "in a flow mapping": "{a: sum(amount) / 2}",
    "windows line ends": "a: first\r\n  second\r\n",
    "after a byte order mark": "\ufeffa: first second\n",
    "tabs": "a: first\t\tsecond\n",
}


@pytest.mark.parametrize("source", SCALARS.values(), ids=SCALARS)
def test_every_character_has_its_place(source):
    """A character that is no blank stands in the file just where it is said to, or is written as an escape there."""
    text = text_of(source)
    lines = re.split("\r\n|\n", source.removeprefix("\ufeff"))
    assert len(text.offsets) == len(text.value) > 0
    assert list(text.offsets) == sorted(text.offsets)
    for index, char in enumerate(text.value):
        place = text.at(index)
        if not char.isspace():
            assert lines[place.line - 1][place.column - 1] in (char, "\\")


def test_places_by_hand():
    assert text_of("a: sum(amout)").at(4) == Place("f.yaml", 1, 8)
    assert text_of("a: 'x''y'").at(2) == Place("f.yaml", 1, 8)
    assert text_of('a: "\\u00e9b"').at(1) == Place("f.yaml", 1, 11)
    assert text_of("a: >\n  x\n  yz\n").at(3) == Place("f.yaml", 3, 4)
    assert text_of("a: |\n  x\n    y\n").at(3) == Place("f.yaml", 3, 4)
    assert text_of("a: x").at(99) == Place("f.yaml", 1, 4)
    assert Text("made in Python", Place("f.yaml", 2, 3)).at(5) == Place("f.yaml", 2, 3)


@given(st.text(alphabet=st.sampled_from("ab '\"\\\n\té#:,日"), max_size=30))
def test_places_of_any_quoted_text(value):
    """Whatever the text, each of its characters that is no blank is found where it stands."""
    quoted = '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'
    text = text_of(f"a: {quoted}")
    assert text.value == value
    for index, char in enumerate(value):
        if not char.isspace():
            line, column = text.offsets[index]
            assert line == 1
            assert f"a: {quoted}"[column - 1] in (char, "\\")


def test_a_place_is_the_value_and_not_its_anchor():
    node, _ = tree("a: &x !!str y\nb: *x\n")
    assert node.items["a"].place == Place("f.yaml", 1, 13)
    assert plain(node) == {"a": "y", "b": "y"}


def test_aliases_and_merge_keys():
    node, _ = tree(
        "base: &base {x: 1, y: 2}\nmore: &more {y: 3, z: 4}\nboth: {<<: [*base, *more], x: 5}\none: {<<: *more}\n"
    )
    assert plain(node)["both"] == {"x": 5, "y": 2, "z": 4}
    assert plain(node)["one"] == {"y": 3, "z": 4}
    assert node.items["both"].keys["z"].place == Place("f.yaml", 2, 20)


def test_many_aliases_are_fine_where_they_do_not_multiply():
    node, _ = tree("a: &a {x: 1}\nb:\n" + "- *a\n" * 5000)
    assert len(plain(node)["b"]) == 5000


def test_much_data_is_no_bomb():
    """Only what aliases multiply counts: 120,000 nodes that are written out are read."""
    node, _ = tree("rows:\n" + "- {a: 1, b: [2, 3]}\n" * 20_000)
    assert node.size > MOST_NODES
    assert len(plain(node)["rows"]) == 20_000


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("${A}", "one"), ("x${A}y${B}", "xoney2"), ("${C:-three}", "three"), ("${E:-empty}", "empty"), ("${E}", None),
        ("${A:-three}", "one"), ("$A $$ $name", "$A $$ $name"), ("${B}", 2), ("'${B}'", "2"), ("$${A}", "$${A}"),
        ("${C:-}", None), ("${C:-http://x:1/?a=b}", "http://x:1/?a=b"),
    ],
)  # fmt: skip
def test_the_environment_fills(written, value):
    node, _ = tree(f"a: {written}", {"A": "one", "B": "2", "E": ""})
    assert plain(node)["a"] == value


def test_places_hold_beside_what_the_environment_filled():
    text = text_of("a: x ${LONG} yz ${S} q", {"LONG": "much longer than before", "S": ""})
    assert text.value == "x much longer than before yz  q"
    assert text.at(text.value.index("yz")) == Place("f.yaml", 1, 14)
    assert text.at(text.value.index("longer")) == Place("f.yaml", 1, 6)
    assert text.at(text.value.index("q")) == Place("f.yaml", 1, 22)


def test_what_came_from_the_environment_is_remembered_and_not_shown():
    node, file = tree("a: 'pw=${PW}'\nb: ${X:-open}\n", {"PW": "hush"})
    assert file.secrets == ["hush"]
    assert plain(node) == {"a": "pw=hush", "b": "open"}
    assert plain(node, written=True) == {"a": "pw=${PW}", "b": "${X:-open}"}


@given(st.text(max_size=60))
def test_no_text_brings_the_reader_down(source):
    problems = []
    node, _ = read_yaml(source.encode("utf-8", "replace"), "f.yaml", problems, {})
    assert node is not None or problems or not plain_content(source)
    assert all(problem.place.path == "f.yaml" for problem in problems)


def plain_content(source: str) -> str:
    """What is left of a file without comments and document marks."""
    lines = re.split("[\n\r\x85\u2028\u2029]", source.removeprefix("\ufeff"))
    return "".join(line.split("#")[0] for line in lines).replace("...", "").replace("---", "").strip(" \t")


def test_reading_takes_linear_time():
    """A ratio of two times, the better of three each: four times the rows; a quadratic step would make it sixteen."""

    def seconds(rows: int) -> float:
        data = ("rows:\n" + "- {a: 1, b: [2, 3]}\n" * rows).encode()
        runs = []
        for _ in range(3):
            start = time.process_time()
            read_yaml(data, "f.yaml", [], {})
            runs.append(time.process_time() - start)
        return min(runs)

    assert seconds(4_000) < 12 * seconds(1_000)
