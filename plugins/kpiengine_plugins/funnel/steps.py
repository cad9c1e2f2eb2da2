"""The steps of a funnel as its YAML gives them, and which of them one event may fit at once.

One event serves one step. Where no event can fit two steps that is so by itself; where steps repeat, or conditions
may overlap, events of one instant have to be shared out among the steps. By Hall's theorem they can be exactly if
for each set of conditions at least as many events fit one of them as there are steps that ask for one of them.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from kpiengine.records import dataclass

Conditions = tuple[int, ...]
"""A set of conditions, by their numbers from 1, ascending."""

MOST_OVERLAPPING = 8
"""How many conditions may hang together by events that fit several of them: each set of them is counted."""

TEXT_TYPES = ("VARCHAR", "ENUM", "CHAR", "TEXT", "STRING", "UUID")

_TRUTH_WORDS = {"true", "false", "yes", "no", "on", "off", "infinity", "epoch", "now", "today"}


@dataclass(frozen=True)
class Condition:
    """What an event must fulfil: its stage is `value`, or `sql` holds, which the column `column` tells."""

    value: Any = None
    sql: str | None = None
    column: str = "stage"

    def tree(self, types: Mapping[str, str]) -> exp.Condition:
        """The condition over the kind's input rows."""
        if self.sql is not None:
            return exp.column(self.column)
        text = types.get("stage", "VARCHAR").upper().startswith(TEXT_TYPES)
        literal = exp.Literal.string(_text(self.value)) if text else exp.convert(self.value)
        return exp.EQ(this=exp.column("stage"), expression=literal)


@dataclass(frozen=True)
class Steps:
    """A funnel's steps: their names, and the number of each one's condition (from 1) in `conditions`."""

    names: tuple[str, ...]
    asks: tuple[int, ...]
    conditions: tuple[Condition, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def numbers(self) -> range:
        """1, 2, … of the steps."""
        return range(1, len(self.names) + 1)

    def ask(self, step: int) -> int:
        """The condition of a step, both numbered from 1."""
        return self.asks[step - 1]

    def needed(self, conditions: Conditions, first: int, last: int) -> int:
        """How many of the steps first … last ask for one of the conditions."""
        return sum(self.ask(step) in conditions for step in range(first, last + 1))

    @cached_property
    def one_step_each(self) -> bool:
        """Whether no event can ever fit two steps."""
        return len(self.conditions) == len(self.names) and len(self.clusters) == len(self.conditions)

    @cached_property
    def clusters(self) -> tuple[Conditions, ...]:
        """The conditions, parted so that no event fits conditions of two parts."""
        parts = [{number} for number in range(1, len(self.conditions) + 1)]
        for one, other in itertools.combinations(range(1, len(self.conditions) + 1), 2):
            if _may_overlap(self.conditions[one - 1], self.conditions[other - 1]):
                joined = [part for part in parts if part & {one, other}]
                parts = [part for part in parts if not part & {one, other}] + [set().union(*joined)]
        return tuple(sorted(tuple(sorted(part)) for part in parts))

    def sets(self, within: Sequence[int] | None = None) -> Iterator[Conditions]:
        """Every set of conditions that has to be counted: those inside one cluster (and inside `within`)."""
        for cluster in self.clusters:
            members = [number for number in cluster if within is None or number in within]
            for size in range(1, len(members) + 1):
                yield from itertools.combinations(members, size)


def parse_steps(given: Any) -> Steps:
    """Steps from a list (of values, or of {name: SQL}) or from a mapping {name: SQL}. ValueError says what is wrong."""
    entries = [{name: sql} for name, sql in given.items()] if isinstance(given, Mapping) else list(given)
    if not entries:
        raise ValueError("a funnel needs at least one step")
    names: list[str] = []
    asks: list[int] = []
    known: dict[Any, int] = {}
    conditions: list[Condition] = []
    for number, entry in enumerate(entries, 1):
        name, condition, key = _entry(entry, number)
        if key not in known:
            conditions.append(condition)
            known[key] = len(conditions)
        names.append(name)
        asks.append(known[key])
    return Steps(tuple(names), tuple(asks), tuple(conditions))


def _entry(entry: Any, number: int) -> tuple[str, Condition, Any]:
    if isinstance(entry, Mapping):
        if len(entry) != 1 or not isinstance(next(iter(entry.values())), str):
            raise ValueError(f"step {number} must be a value of stage, or one name with its SQL: {{paid: amount > 0}}")
        ((name, sql),) = entry.items()
        return str(name), Condition(sql=sql, column=f"step_{number}"), ("sql", _normal(sql))
    if entry is None or isinstance(entry, list):
        raise ValueError(f"step {number} must be a value of stage, or one name with its SQL: {{paid: amount > 0}}")
    return _text(entry), Condition(value=entry), ("value", _text(entry))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _normal(sql: str) -> str:
    tree = _tree(sql)
    return sql if tree is None else tree.sql("duckdb", comments=False)


def _tree(sql: str) -> exp.Expr | None:
    try:
        return sqlglot.parse_one(sql, read="duckdb")
    except SqlglotError:
        return None  # told by whoever checks the source's columns


def _may_overlap(one: Condition, other: Condition) -> bool:
    """False where it is sure that no event fits both."""
    if one.sql is None and other.sql is None:
        return False
    if one.sql is None or other.sql is None:
        return True
    left, right = _pinned(one.sql), _pinned(other.sql)
    return not any(left[column].isdisjoint(right[column]) for column in left.keys() & right.keys())


def _pinned(sql: str) -> dict[str, frozenset[str]]:
    """Columns that a condition pins to one of a few texts: `status = 'paid' and …`, `status in ('paid', 'sent')`."""
    tree = _tree(sql)
    if tree is None:
        return {}
    pinned: dict[str, frozenset[str]] = {}
    for part in tree.unnest().flatten() if isinstance(tree.unnest(), exp.And) else [tree.unnest()]:
        bare = part.unnest()
        if isinstance(bare, exp.EQ):
            sides = [bare.this, bare.expression]
            column = next((side for side in sides if isinstance(side, exp.Column)), None)
            texts = [side for side in sides if side is not column]
        elif isinstance(bare, exp.In) and bare.expressions:
            column, texts = bare.this, bare.expressions
        else:
            continue
        if isinstance(column, exp.Column) and all(_is_plain_text(text) for text in texts):
            key = column.sql("duckdb").lower().replace('"', "")
            pinned[key] = frozenset(text.name.casefold() for text in texts)
    return pinned


def _is_plain_text(literal: exp.Expr) -> bool:
    """Whether it is a text that cannot be another writing of another text's value, as '1.0' is of '1'."""
    if not (isinstance(literal, exp.Literal) and literal.is_string):
        return False
    text = literal.name.casefold()
    return (
        re.match(r"[^\W\d]", text) is not None
        and re.search(r"[^\Wa-f\d]", text) is not None
        and (text not in _TRUTH_WORDS and len(text) > 1)
    )
