"""`kpi doctor`: what the set-up is, what of it does not work, and what to do about it."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kpiengine import __version__
from kpiengine.cache import cache
from kpiengine.engine import Engine, EngineContext
from kpiengine.errors import KpiError, UsageError
from kpiengine.hide import hidden
from kpiengine.plugins import Plugins
from kpiengine.project import Project
from kpiengine.running import EMBEDDED, Chosen
from kpiengine.spec import find_project

if TYPE_CHECKING:
    from kpiengine.spec import ProjectSpec

State = Literal["ok", "absent", "wrong"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `ok`: it works; `absent`: it is not there, or not set up; `wrong`: it fails.

    `cure` says what to do about it. `needed` marks the engine that the project runs on.
    """

    name: str
    state: State
    told: str
    cure: str = ""
    needed: bool = False


def findings(folder: Path, plugins: Plugins, engine: Chosen = None) -> Iterator[Finding]:
    """What was found out, one thing after the other: reaching a server may take its time.

    Of the project at or above `folder`, where there is one, engines that have settings are asked for their versions.
    """
    yield from _installation(plugins)
    project, told = _project(folder, plugins, engine)
    yield told
    spec = project.spec if project is not None else None
    running = (spec.engine or EMBEDDED) if spec is not None else None
    yield Finding("engine duckdb", "ok", f"DuckDB {version('duckdb')}, embedded", needed=running == EMBEDDED)
    for name, plugin in plugins.engines().items():
        yield _engine(plugin, spec, needed=running == name)


def _installation(plugins: Plugins) -> Iterator[Finding]:
    yield Finding("kpiengine", "ok", f"{__version__}, in {Path(__file__).parent}")
    yield Finding("python", "ok", f"{platform.python_version()}, {sys.executable}, {platform.platform(terse=True)}")
    for name in ("duckdb", "pyarrow"):
        yield Finding(name, "ok", version(name))
    compiled = _version("sqlglotc")
    cure = "" if compiled else 'statements are made two to four times faster with pip install "kpiengine[fast]"'
    yield Finding("sqlglot", "ok", f"{version('sqlglot')}, {'compiled' if compiled else 'not compiled'}", cure)
    yield _cache()
    for failed in plugins.failures():
        yield Finding(f"plugin {failed.name}", "wrong", failed.error or "", "`kpi plugins` lists all")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _cache() -> Finding:
    place = cache().folder
    if place is None:
        return Finding("cache", "absent", "off: each run proves and compiles again", "KPI_CACHE names a folder for it")
    return Finding("cache", "ok", str(place))


def _project(folder: Path, plugins: Plugins, engine: Chosen) -> tuple[Project | None, Finding]:
    try:
        find_project(folder)
    except KpiError as error:
        return None, Finding("project", "absent", str(error.problems[0]))
    try:
        project = Project.open(folder, plugins, engine)
    except UsageError:
        raise
    except KpiError as error:
        first, others = error.problems[0], len(error.problems) - 1
        more = f", and {others} more" if others else ""
        return None, Finding("project", "wrong", f"{first}{more}", "`kpi check` lists all problems")
    return project, Finding("project", "ok", f"{project.spec.name}, in {project.root}")


def _engine(engine: Engine, spec: ProjectSpec | None, *, needed: bool) -> Finding:
    """Whether an engine is installed and, where the project has settings for it, what it answers."""
    name = f"engine {engine.name}"
    if missing := engine.missing():
        return Finding(name, "wrong" if needed else "absent", f"{engine.title} is not installed", missing, needed)
    settings = spec.engines.get(engine.name) if spec is not None else None
    if settings is None and engine.required:
        wanted = ", ".join(f"{option}: …" for option in engine.required)
        return Finding(name, "absent", "installed, no settings", f"engine: {{{engine.name}: {{{wanted}}}}}", needed)
    options = {key: option.value for key, option in settings.options.items()} if settings is not None else {}
    secrets = spec.secrets if spec is not None else frozenset()
    context = EngineContext(
        Path(spec.root) if spec is not None else Path(), spec.timezone if spec is not None else "UTC"
    )
    try:
        session = engine.open(options, context)
        try:
            told = f"{engine.title} {session.version}"
        finally:
            session.close()
    except KpiError as error:
        place = settings.place if settings is not None and settings.place.line else ""
        cure = f"its settings stand at {place}" if place else ""
        return Finding(name, "wrong", hidden(error.problems[0].message, secrets), cure, needed)
    return Finding(name, "ok", told, needed=needed)
