"""What a reader has to know of plugins: which connectors and kinds there are, and which options they take.

Stated as protocols, so that this layer needs neither the contracts of plugins nor what those import.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol


class KnownConnector(Protocol):
    """The part of `kpiengine.connector.Connector` that a source is checked against."""

    @property
    def name(self) -> str:
        """As `from:` writes it."""

    @property
    def endings(self) -> tuple[str, ...]:
        """Endings of bare paths that it claims."""

    @property
    def options(self) -> Mapping[str, type | tuple[type, ...]]:
        """Options and their types; a bare value is the first one's."""

    @property
    def required(self) -> tuple[str, ...]:
        """Options that have to be given."""


class KnownEngine(Protocol):
    """The part of `kpiengine.engine.Engine` that its settings are checked against."""

    @property
    def name(self) -> str:
        """As `engine:` writes it."""

    @property
    def options(self) -> Mapping[str, type | tuple[type, ...]]:
        """Settings and their types."""

    @property
    def required(self) -> tuple[str, ...]:
        """Settings that have to be given where the engine runs."""


class KnownOption(Protocol):
    """The part of `kpiengine.kind.KindOption` that a value is checked against."""

    @property
    def type(self) -> type | tuple[type, ...]:
        """The types that it takes."""

    @property
    def default(self) -> Any:
        """The value where it is not given."""

    @property
    def required(self) -> bool:
        """Whether it has to be given."""

    @property
    def choices(self) -> tuple[str, ...]:
        """All the values that it takes; empty for any."""


class KnownKind(Protocol):
    """The part of `kpiengine.kind.Kind` that a metric is checked against."""

    @property
    def name(self) -> str:
        """As `kind:` writes it."""

    @property
    def options(self) -> Mapping[str, KnownOption]:
        """Its options."""

    def check(self, options: Mapping[str, Any]) -> Mapping[str, str]:
        """What is wrong with options that are each right by themselves: name → message."""


class KnownPlugins(Protocol):
    """The installed plugins, loaded as far as asked for."""

    def connector(self, name: str) -> KnownConnector | None:
        """The connector of that name; loads no other."""

    def connector_for(self, path: str) -> KnownConnector | None:
        """The connector that claims a bare path by its ending."""

    def connectors(self) -> Mapping[str, KnownConnector]:
        """All connectors by name."""

    def engine(self, name: str) -> KnownEngine | None:
        """The engine of that name; loads no other plugin where it is one of kpiengine's own."""

    def engines(self) -> Mapping[str, KnownEngine]:
        """All engines by name, save the embedded one."""

    def kind(self, name: str) -> KnownKind | None:
        """The kind of that name; loads no other plugin where it is one of kpiengine's own."""

    def kinds(self) -> Mapping[str, KnownKind]:
        """All kinds by name."""

    def why_missing(self, name: str, known: Iterable[str]) -> str:
        """The end of a message about an unknown name: the nearest known one, or all, and plugins that failed."""
