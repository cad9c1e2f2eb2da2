"""What a project says, as read: checked for shape, not yet bound to data or to each other.

One frozen dataclass per thing of the language. The reader (`kpiengine.spec`) makes them from YAML,
tests and plugins may make them by hand. Names keep the spelling of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from kpiengine.errors import NOWHERE, Place
from kpiengine.records import dataclass
from kpiengine.spec.text import Text


@dataclass(frozen=True, repr=False)
class Option:
    """A plain value of a plugin's options (`path: data/x.csv`) with its place and that of its name (`key`).

    `text` is the value of an option that is a single text, with positions. `parts` are the entries of a list (by
    number) or a mapping (by key), for the places of each. `written` is what the file says, with `${NAME}` in it
    where the environment filled it: what may be shown.
    """

    value: Any
    place: Place = NOWHERE
    key: Place = field(default=NOWHERE, repr=False, compare=False)
    text: Text | None = field(default=None, repr=False, compare=False)
    parts: Mapping[Any, Option] = field(default_factory=dict, repr=False, compare=False)
    written: Any = field(default=None, repr=False, compare=False)

    @property
    def shown(self) -> Any:
        """The value for eyes: nothing of the environment in it."""
        return self.value if self.written is None else self.written

    def __repr__(self) -> str:
        return f"Option({self.shown!r}, {self.place})"


@dataclass(frozen=True)
class JoinSpec:
    """A many-to-one join: `on` are columns of the source that holds it, matched with the key of `to`."""

    name: str
    to: str
    on: tuple[str, ...]
    place: Place = NOWHERE


@dataclass(frozen=True)
class SourceSpec:
    """A source of `kpi.yaml`. `connector` and `options` are those of `from:`."""

    name: str
    connector: str
    options: Mapping[str, Option]
    key: tuple[str, ...] = ()
    time: str | None = None
    columns: Mapping[str, Text] = field(default_factory=dict)
    filters: tuple[Text, ...] = ()
    joins: Mapping[str, JoinSpec] = field(default_factory=dict)
    label: Mapping[str, str] = field(default_factory=dict)
    description: Mapping[str, str] = field(default_factory=dict)
    place: Place = NOWHERE
    places: Mapping[str, Place] = field(default_factory=dict)
    """Where the value of each key stands (`key`, `time`, …), for messages about it."""


@dataclass(frozen=True)
class TargetFile:
    """`target: {from: targets.csv}`."""

    path: str
    place: Place = NOWHERE


@dataclass(frozen=True)
class MetricSpec:
    """A metric. Exactly one of `formula` and `kind` is set once `extends` is resolved.

    `options` are the keys that belong to the kind. `given` are the keys that the file states, so that an
    extension replaces those and no others. `label` and `description` map a language to text; a plain text
    stands under "en". `target` is a number at the metric's own grain, a mapping of period to number, or a file.
    `extends` is None once resolved; `bases` then tells what the metric was made from, the nearest first.
    `otherwise` (source, time, formula, filters) stands in for a metric whose source the project does not have.
    """

    name: str
    source: str | None = None
    formula: Text | None = None
    filters: tuple[Text, ...] = ()
    grain: tuple[str, ...] = ()
    time: str | None = None
    label: Mapping[str, str] = field(default_factory=dict)
    description: Mapping[str, str] = field(default_factory=dict)
    unit: str | None = None
    fill: float | int | None = None
    target: float | Mapping[str, float] | TargetFile | None = None
    near: float = 0.9
    better: str = "up"
    owner: str | None = None
    tags: tuple[str, ...] = ()
    kind: str | None = None
    options: Mapping[str, Option] = field(default_factory=dict)
    extends: str | None = None
    bases: tuple[str, ...] = ()
    otherwise: MetricSpec | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    given: frozenset[str] = frozenset()
    place: Place = NOWHERE
    places: Mapping[str, Place] = field(default_factory=dict)
    """Where the value of each given key stands."""
    library: str | None = None
    """The plugin that brought it (`metrics`), or None for a metric of the project itself."""


@dataclass(frozen=True)
class ExportSpec:
    """An entry of `exports:`. `options` holds the query options other than metrics and by (where, since, …).

    `by` None means the metrics' own grain, () (`by: none`) the grand total.
    """

    name: str
    metrics: tuple[str, ...]
    by: tuple[str, ...] | None = None
    partition_by: tuple[str, ...] = ()
    path: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    place: Place = NOWHERE
    places: Mapping[str, Place] = field(default_factory=dict)


@dataclass(frozen=True)
class TestSpec:
    """An entry of `tests:`: rows given per source, a query, and the rows expected of it.

    Rows hold bool, int, float, str, None, date and datetime. `query` holds `metrics` (a tuple) and those of the
    options of a query that the test gives, `by` among them.
    """

    __test__ = False  # not a pytest class

    name: str
    given: Mapping[str, tuple[Mapping[str, Any], ...]]
    query: Mapping[str, Any]
    expect: tuple[Mapping[str, Any], ...]
    place: Place = NOWHERE


@dataclass(frozen=True)
class CalendarSpec:
    """`calendar: jalali`, or `{fiscal: {starts: april}}`."""

    name: str = "gregorian"
    options: Mapping[str, Option] = field(default_factory=dict)
    place: Place = NOWHERE


@dataclass(frozen=True)
class EngineSpec:
    """An engine's settings, under `engine: {name: …}` or `engines:`."""

    name: str
    options: Mapping[str, Option] = field(default_factory=dict)
    place: Place = NOWHERE


@dataclass(frozen=True)
class ProjectSpec:
    """A project folder, read. `root` is the absolute folder of `kpi.yaml`.

    `broken` are names of sources and metrics that were left out for their problems, so that a reference to one is
    no second problem. `secrets` are values that came from the environment: never to be printed.
    """

    root: str
    name: str = ""
    timezone: str = "UTC"
    language: str = ""
    """The language of labels in results (`fa`); empty where the project names none."""
    calendar: CalendarSpec = CalendarSpec()
    week_starts: str | None = None
    engine: str | None = None
    engines: Mapping[str, EngineSpec] = field(default_factory=dict)
    """Settings of engines by name; those of the one that runs, and of others."""
    sources: Mapping[str, SourceSpec] = field(default_factory=dict)
    metrics: Mapping[str, MetricSpec] = field(default_factory=dict)
    exports: Mapping[str, ExportSpec] = field(default_factory=dict)
    tests: tuple[TestSpec, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)
    broken: frozenset[str] = frozenset()
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
