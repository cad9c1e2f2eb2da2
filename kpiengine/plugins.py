"""Plugins: found by entry points, loaded one at a time when needed, each failure named and stopping nothing else.

A plugin is an entry point of the group `kpiengine` that names a module. Names are first come, first served, in an
order that never changes: the plugins of the distribution `kpiengine` first, then by name. pluggy's own loader is not
used, since one plugin that fails to import would end it.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from importlib.metadata import EntryPoint, entry_points
from inspect import isabstract
from pathlib import Path, PurePath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pluggy

from kpiengine import hooks
from kpiengine.errors import PluginError, listing, suggest
from kpiengine.records import dataclass

if TYPE_CHECKING:
    from kpiengine.calendar import Calendar
    from kpiengine.connector import Connector
    from kpiengine.engine import Engine
    from kpiengine.kind import Kind

GROUP = "kpiengine"
BLOCK_VARIABLE = "KPI_PLUGINS_BLOCK"


@dataclass(frozen=True)
class PluginInfo:
    """What is known of a plugin. `adds` are texts such as `connector csv`; `error` is the cause of what failed."""

    name: str
    distribution: str
    version: str
    adds: tuple[str, ...]
    error: str | None = None

    def __str__(self) -> str:
        """`plugin "ledger" (acme 1.0)`."""
        origin = f"{self.distribution} {self.version}".strip()
        return f'plugin "{self.name}"' + (f" ({origin})" if origin else "")


@dataclass
class _Plugin:
    """A plugin and how far it has come. `load` imports it."""

    name: str
    load: Callable[[], object]
    distribution: str = ""
    version: str = ""
    built_in: bool = False
    module: object | None = None
    tried: bool = False
    called: set[str] = field(default_factory=set)
    adds: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def info(self) -> PluginInfo:
        error = "; ".join(self.errors) or None
        return PluginInfo(self.name, self.distribution, self.version, tuple(self.adds), error)


class Plugins:
    """The plugins of this installation. Nothing is loaded before it is asked for."""

    def __init__(self, plugins: Iterable[_Plugin], blocked: Iterable[str] = ()) -> None:
        self._manager = pluggy.PluginManager(GROUP)
        self._manager.add_hookspecs(hooks)
        self._plugins: dict[str, _Plugin] = {}
        self._refused: list[_Plugin] = []
        self._registries: dict[str, dict[str, Any]] = {}
        self._owners: dict[tuple[str, str], _Plugin] = {}
        self._code: set[Path] = set()
        names = set(blocked)
        for plugin in sorted(plugins, key=lambda p: (not p.built_in, p.name, p.distribution)):
            if plugin.name in names:
                self._refuse(plugin, f"blocked by {BLOCK_VARIABLE}")
            elif holder := self._plugins.get(plugin.name):
                self._refuse(plugin, f'the name "{plugin.name}" is taken by {holder.info()}')
            else:
                self._plugins[plugin.name] = plugin

    @classmethod
    def of(cls, modules: Mapping[str, object], blocked: Iterable[str] = ()) -> Plugins:
        """Plugins given as objects with hooks (modules, namespaces), by name. For tests."""
        return cls([_Plugin(name, functools.partial(_itself, module)) for name, module in modules.items()], blocked)

    @classmethod
    def of_entry_points(cls, points: Iterable[EntryPoint], blocked: Iterable[str] = ()) -> Plugins:
        """The plugins that entry points name."""
        return cls(_from_entry_points(points), blocked)

    # -- what plugins bring

    def connector(self, name: str) -> Connector | None:
        """The connector of that name, or None. No more plugins are loaded than it takes to find it."""
        found: Connector | None = self._one("connector", name)
        return found

    def required_connector(self, name: str) -> Connector:
        """Like `connector`.

        Raises:
            PluginError: there is none; with the nearest name, and the plugins that failed, which may be the cause.
        """
        connector = self.connector(name)
        if connector is None:
            known = self.connectors()
            raise PluginError(f'unknown connector "{name}"{self.why_missing(name, known)}')
        return connector

    def connectors(self) -> Mapping[str, Connector]:
        """All connectors by name."""
        return self._all("connector")

    def connector_for(self, path: str) -> Connector | None:
        """The connector that claims a path by its ending; the longest ending wins (".csv.gz" before ".gz")."""
        name = PurePath(path.rstrip("/")).name.lower() if path else ""
        claims = [(e.lower(), c) for c in self.connectors().values() for e in c.endings if name.endswith(e.lower())]
        return max(claims, key=lambda claim: len(claim[0]))[1] if claims else None

    def engine(self, name: str) -> Engine | None:
        """The engine of that name, or None. No more plugins are loaded than it takes to find it."""
        found: Engine | None = self._one("engine", name)
        return found

    def engines(self) -> Mapping[str, Engine]:
        """All engines by name, save the embedded one, which is no plugin."""
        return self._all("engine")

    def kind(self, name: str) -> Kind | None:
        """The kind of that name, or None. No more plugins are loaded than it takes to find it."""
        found: Kind | None = self._one("kind", name)
        return found

    def kinds(self) -> Mapping[str, Kind]:
        """All metric kinds by name."""
        return self._all("kind")

    def calendars(self) -> Mapping[str, type[Calendar]]:
        """All calendars by name."""
        return self._all("calendar")

    def metric_packages(self) -> Mapping[str, str]:
        """Packages that hold metrics in YAML: plugin name → package name."""
        return {self._owners["metrics", package].name: package for package in self._all("metrics")}

    def code(self) -> list[Path]:
        """The folders (or files) that plugins and their metrics come from, as far as they were loaded, or are known."""
        modules = [getattr(p.module, "__name__", "") for p in self._plugins.values() if p.module is not None]
        names = {name.partition(".")[0] for name in (*modules, *self._registries.get("metrics", ())) if name}
        specs = [importlib.util.find_spec(name) for name in sorted(names)]
        places = [place for s in specs if s is not None for place in (s.submodule_search_locations or [s.origin or ""])]
        return sorted({Path(place) for place in places if place} | self._code)

    def know_code(self, places: Iterable[Path]) -> None:
        """Adds folders to `code`: those of plugins that an earlier process loaded for what is now in use."""
        self._code.update(places)

    # -- what there is

    def infos(self) -> list[PluginInfo]:
        """Every plugin, blocked and failed ones too, with all that it brings."""
        for thing in _THINGS:
            self._all(thing)
        every = [*self._plugins.values(), *self._refused]
        return [p.info() for p in sorted(every, key=lambda p: (not p.built_in, p.name, p.distribution))]

    def failures(self) -> list[PluginInfo]:
        """The plugins that failed as far as they were needed, with the causes. A blocked plugin has not failed."""
        every = [*self._plugins.values(), *self._refused]
        return [p.info() for p in every if p.errors and not p.errors[0].startswith("blocked by")]

    def why_missing(self, name: str, known: Iterable[str]) -> str:
        """The end of a message about an unknown name: the nearest known one or all of them, and failed plugins."""
        names = sorted(known)
        near = suggest(name, names) or f"; there are: {listing(names, 20)}"
        blocked = [f"{p.info()} is {p.errors[0]}" for p in self._refused if p.name == name]
        failed = blocked + [f"{info} failed: {info.error}" for info in self.failures()]
        return near + (f"; {'; '.join(failed)}" if failed else "")

    # -- loading

    def _refuse(self, plugin: _Plugin, cause: str) -> None:
        plugin.tried = True
        plugin.errors.append(cause)
        self._refused.append(plugin)

    def _one(self, thing: str, name: str) -> Any:
        """What bears that name: kpiengine's own plugin of the same name is asked first, then all in their order."""
        found = self._registries.get(thing, {}).get(name)
        namesake = self._plugins.get(name)
        first = [namesake] if namesake is not None and namesake.built_in else []
        for plugin in (*first, *self._plugins.values()):
            if found is not None:
                break
            found = self._collect(thing, plugin).get(name)
        return found

    def _all(self, thing: str) -> Mapping[str, Any]:
        for plugin in self._plugins.values():
            self._collect(thing, plugin)
        return MappingProxyType(self._registries.setdefault(thing, {}))

    def _collect(self, thing: str, plugin: _Plugin) -> dict[str, Any]:
        """Calls one plugin's hook, once, and keeps what it brings."""
        registry = self._registries.setdefault(thing, {})
        hook, accept = _THINGS[thing]
        if hook in plugin.called:
            return registry
        plugin.called.add(hook)
        try:
            for value in self._call(hook, plugin):
                self._keep(thing, plugin, registry, accept, value)
        except (Exception, SystemExit) as error:
            plugin.errors.append(f"{hook}() failed: {_cause(error)}")
        return registry

    def _keep(
        self, thing: str, plugin: _Plugin, registry: dict[str, Any], accept: Callable[[Any], _Named], value: Any
    ) -> None:
        try:
            name, made = accept(value)
        except (Exception, SystemExit) as error:
            shown = getattr(value, "__name__", None) or repr(value)
            plugin.errors.append(f"{thing} {shown} cannot be used: {_cause(error)}")
            return
        if name in registry:
            owner = self._owners[thing, name].info()
            plugin.errors.append(f'the {thing} name "{name}" is taken by {owner}')
            return
        registry[name] = made
        self._owners[thing, name] = plugin
        plugin.adds.append(f"{thing} {name}")

    def _call(self, hook: str, plugin: _Plugin) -> Iterator[Any]:
        """What one plugin's hook gives, through pluggy, with all other plugins left out."""
        module = self._loaded(plugin)
        if module is None:
            return
        implementing = [impl.plugin for impl in getattr(self._manager.hook, hook).get_hookimpls()]
        if module not in implementing:
            return
        others = [other for other in implementing if other is not module]
        for given in self._manager.subset_hook_caller(hook, others)():
            yield from [given] if isinstance(given, str) else given

    def _loaded(self, plugin: _Plugin) -> object | None:
        if plugin.tried:
            return plugin.module
        plugin.tried = True
        try:
            module = plugin.load()
            self._manager.register(module, name=plugin.name)
        except (Exception, SystemExit) as error:
            plugin.errors.append(_cause(error))
            return None
        plugin.module = module
        callers = self._manager.get_hookcallers(module) or []
        known = [name for name in vars(hooks) if name.startswith("register_")]
        for caller in callers:
            if not caller.has_spec():
                plugin.errors.append(f'there is no hook "{caller.name}"{suggest(caller.name, known)}')
        if not callers:
            plugin.errors.append("it implements no hook: its functions need the decorator @kpiengine.hooks.hookimpl")
        return module


@functools.cache
def installed() -> Plugins:
    """The plugins of this Python installation, without those that KPI_PLUGINS_BLOCK names (separated by commas)."""
    blocked = [name.strip() for name in os.environ.get(BLOCK_VARIABLE, "").split(",")]
    return Plugins.of_entry_points(entry_points(group=GROUP), blocked)


def _itself(module: object) -> object:
    return module


def _from_entry_points(points: Iterable[EntryPoint]) -> list[_Plugin]:
    # A distribution's name and version are read from its metadata file: once, not once per entry point.
    origins: dict[int, tuple[str, str]] = {}
    found = []
    for point in points:
        dist = point.dist
        if dist is not None and id(dist) not in origins:
            origins[id(dist)] = (dist.name or "", dist.version or "")
        distribution, version = origins[id(dist)] if dist is not None else ("", "")
        found.append(_Plugin(point.name, point.load, distribution, version, distribution == "kpiengine"))
    return found


def _cause(error: BaseException) -> str:
    """An error in one line: its kind and text."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


# -- what each hook may bring: a value → its name, and what is kept of it

_Named = tuple[str, Any]


def _connector(value: Any) -> _Named:
    from kpiengine.connector import Connector

    return _name_of(value, Connector), value()


def _engine(value: Any) -> _Named:
    from kpiengine.engine import Engine

    return _name_of(value, Engine), value()


def _kind(value: Any) -> _Named:
    from kpiengine.kind import Kind

    return _name_of(value, Kind), value()


def _calendar(value: Any) -> _Named:
    from kpiengine.calendar import Calendar

    return _name_of(value, Calendar), value


def _package(value: Any) -> _Named:
    if not isinstance(value, str) or importlib.util.find_spec(value) is None:
        raise PluginError("there is no such package")
    return value, value


def _name_of(value: Any, base: type) -> str:
    if not (isinstance(value, type) and issubclass(value, base)):
        raise PluginError(f"it is no subclass of {base.__module__}.{base.__name__}")
    if isabstract(value):
        missing = sorted(getattr(value, "__abstractmethods__", ()))
        raise PluginError(f"it lacks {listing(missing)}")
    name = getattr(value, "name", None)
    if not isinstance(name, str) or not name:
        raise PluginError("it has no name")
    return name


_THINGS: Mapping[str, tuple[str, Callable[[Any], _Named]]] = {
    "connector": ("register_connectors", _connector),
    "engine": ("register_engines", _engine),
    "kind": ("register_kinds", _kind),
    "calendar": ("register_calendars", _calendar),
    "metrics": ("register_metrics", _package),
}
