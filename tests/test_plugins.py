"""Plugins: what is broken, blocked, or bears a taken name is told with its cause and stops nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kpiengine.connector import Connector
from kpiengine.errors import PluginError
from kpiengine.hooks import hookimpl
from kpiengine.plugins import PluginInfo, Plugins, installed

CONNECTOR = """
from kpiengine.connector import ArrowRelation, Connector
from kpiengine.hooks import hookimpl

class {name}(Connector):
    name = "{name}"
    endings = {endings}
    origin = "{origin}"
    def relation(self, options, context):
        import pyarrow
        return ArrowRelation(lambda: pyarrow.table({{"line": ["x"]}}))

@hookimpl
def register_connectors():
    return [{name}]
"""


class Site:
    """A folder of installed distributions, as pip leaves them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, distribution: str, modules: dict[str, str], points: dict[str, str], version: str = "1.0") -> None:
        for module, text in modules.items():
            path = self.folder / f"{module.replace('.', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = [f"{name} = {value}" for name, value in points.items()]
        (info / "entry_points.txt").write_text("\n".join(["[kpiengine]", *lines]) + "\n")

    def plugins(self, *, blocked: tuple[str, ...] = (), backwards: bool = False) -> Plugins:
        points = [p for d in distributions(path=[str(self.folder)]) for p in d.entry_points if p.group == "kpiengine"]
        return Plugins.of_entry_points(sorted(points, key=lambda p: p.name, reverse=backwards), blocked)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield Site(tmp_path)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def connector(name: str, origin: str = "", endings: tuple[str, ...] = ()) -> str:
    return CONNECTOR.format(name=name, origin=origin, endings=endings)


def origin(made: Connector | None) -> str:
    return str(vars(type(made))["origin"])


def by_name(plugins: Plugins) -> dict[str, PluginInfo]:
    return {info.name: info for info in plugins.infos()}


# -- what goes wrong --------------------------------------------------------------------------------------------------


def test_plugin_that_fails_to_import_is_named_with_its_cause(site: Site) -> None:
    site.install("acme-broken", {"acme_broken": "import there_is_no_such_module"}, {"broken": "acme_broken"}, "2.1")
    site.install("acme", {"acme_lines": connector("lines")}, {"lines": "acme_lines"})
    plugins = site.plugins()
    assert list(plugins.connectors()) == ["lines"]
    broken = by_name(plugins)["broken"]
    assert (broken.distribution, broken.version, broken.adds) == ("acme-broken", "2.1", ())
    assert broken.error == "ModuleNotFoundError: No module named 'there_is_no_such_module'"
    assert by_name(plugins)["lines"] == PluginInfo("lines", "acme", "1.0", ("connector lines",))


@pytest.mark.parametrize(
    ("module", "cause"),
    [
        ("raise RuntimeError('no\\nlicence')", "RuntimeError: no licence"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("def f(:", "SyntaxError"),
        ("x = 1", "it implements no hook"),
    ],
)
def test_plugin_that_cannot_be_loaded(site: Site, module: str, cause: str) -> None:
    site.install("acme-bad", {"acme_bad": module}, {"bad": "acme_bad"})
    site.install("acme", {"acme_lines": connector("lines")}, {"lines": "acme_lines"})
    plugins = site.plugins()
    assert list(plugins.connectors()) == ["lines"]
    assert cause in (by_name(plugins)["bad"].error or "")


def test_entry_point_to_a_module_that_is_not_there(site: Site) -> None:
    site.install("acme-bad", {}, {"bad": "acme_gone"})
    assert "No module named 'acme_gone'" in (by_name(site.plugins())["bad"].error or "")


def test_hook_that_raises_stops_no_other_hook() -> None:
    class Broken:
        @hookimpl
        def register_connectors(self) -> Any:
            raise ValueError("no connection")

        @hookimpl
        def register_metrics(self) -> str:
            return "kpiengine_metrics"

    plugins = Plugins.of({"broken": Broken(), "good": Good()})
    assert list(plugins.connectors()) == ["good"]
    assert plugins.metric_packages() == {"broken": "kpiengine_metrics"}
    info = by_name(plugins)["broken"]
    assert info.error == "register_connectors() failed: ValueError: no connection"
    assert info.adds == ("metrics kpiengine_metrics",)


def test_hook_that_raises_after_its_first_connector_keeps_it() -> None:
    class Half:
        @hookimpl
        def register_connectors(self) -> Any:
            yield made("first")
            raise OSError("gone")

    plugins = Plugins.of({"half": Half()})
    assert list(plugins.connectors()) == ["first"]
    assert "OSError: gone" in (by_name(plugins)["half"].error or "")


@pytest.mark.parametrize(
    ("brought", "cause"),
    [
        (object(), "it is no subclass of kpiengine.connector.Connector"),
        (int, "connector int cannot be used"),
        (type("Unnamed", (Connector,), {"relation": lambda *_: None}), "it has no name"),
        (type("Unfinished", (Connector,), {"name": "unfinished"}), "it lacks relation"),
    ],
)
def test_connector_that_keeps_no_contract(brought: object, cause: str) -> None:
    class Plugin:
        @hookimpl
        def register_connectors(self) -> Any:
            return [brought, made("good")]

    plugins = Plugins.of({"plugin": Plugin()})
    assert list(plugins.connectors()) == ["good"]
    assert cause in (by_name(plugins)["plugin"].error or "")


def test_hook_with_a_misspelt_name() -> None:
    class Plugin:
        @hookimpl
        def register_conectors(self) -> Any:
            return []

    assert by_name(Plugins.of({"plugin": Plugin()}))["plugin"].error == (
        'there is no hook "register_conectors"  (did you mean "register_connectors"?)'
    )


def test_hook_with_an_argument_that_is_not_specified() -> None:
    class Plugin:
        @hookimpl
        def register_connectors(self, settings: Any) -> Any:
            return []

    plugins = Plugins.of({"plugin": Plugin(), "good": Good()})
    assert list(plugins.connectors()) == ["good"]
    assert "settings" in (by_name(plugins)["plugin"].error or "")


def test_package_of_metrics_that_is_not_there() -> None:
    class Plugin:
        @hookimpl
        def register_metrics(self) -> str:
            return "acme_metrics_gone"

    plugins = Plugins.of({"plugin": Plugin()})
    assert plugins.metric_packages() == {}
    assert "acme_metrics_gone" in (by_name(plugins)["plugin"].error or "")


# -- taken names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backwards", [False, True])
def test_taken_connector_name_goes_to_the_first_by_name(site: Site, backwards: bool) -> None:
    site.install("beta", {"beta_lines": connector("lines", "beta")}, {"b_lines": "beta_lines"})
    site.install("alpha", {"alpha_lines": connector("lines", "alpha")}, {"a_lines": "alpha_lines"}, "3.0")
    plugins = site.plugins(backwards=backwards)
    assert origin(plugins.required_connector("lines")) == "alpha"
    infos = by_name(plugins)
    assert infos["b_lines"].error == 'the connector name "lines" is taken by plugin "a_lines" (alpha 3.0)'
    assert infos["b_lines"].adds == ()
    assert infos["a_lines"].error is None


@pytest.mark.parametrize("all_first", [False, True])
def test_kpiengine_s_own_plugins_come_first_whatever_is_asked_first(site: Site, all_first: bool) -> None:
    site.install("aaa", {"aaa_lines": connector("lines", "aaa")}, {"aaa": "aaa_lines"})
    site.install("kpiengine", {"own_lines": connector("lines", "own")}, {"lines": "own_lines"}, "9.9")
    plugins = site.plugins()
    if all_first:
        assert len(plugins.connectors()) == 1
    assert origin(plugins.connector("lines")) == "own"
    assert by_name(plugins)["aaa"].error == 'the connector name "lines" is taken by plugin "lines" (kpiengine 9.9)'


@pytest.mark.parametrize("all_first", [False, True])
def test_names_do_not_depend_on_what_is_asked_first(site: Site, all_first: bool) -> None:
    """A third party's plugin that bears the connector's name has no precedence over one before it."""
    site.install("aaa", {"aaa_lines": connector("lines", "aaa")}, {"aaa": "aaa_lines"})
    site.install("lines", {"zzz_lines": connector("lines", "lines")}, {"lines": "zzz_lines"})
    plugins = site.plugins()
    if all_first:
        assert len(plugins.connectors()) == 1
    assert origin(plugins.connector("lines")) == "aaa"


@pytest.mark.parametrize("backwards", [False, True])
def test_taken_plugin_name(site: Site, backwards: bool) -> None:
    site.install("alpha", {"alpha_lines": connector("lines")}, {"same": "alpha_lines"})
    site.install("beta", {"beta_rows": connector("rows")}, {"same": "beta_rows"})
    plugins = site.plugins(backwards=backwards)
    assert list(plugins.connectors()) == ["lines"]
    assert [(i.distribution, i.error) for i in plugins.infos()] == [
        ("alpha", None),
        ("beta", 'the name "same" is taken by plugin "same" (alpha 1.0)'),
    ]


def test_taken_kind_calendar_and_package() -> None:
    from kpiengine.calendar import Calendar
    from kpiengine.kind import Kind

    kind = type("K", (Kind,), {"name": "k", "options": {}, "inputs": None, "columns": None, "compile": None})
    days = dict.fromkeys(("start", "move", "label", "start_of", "moved", "date"))
    calendar = type("C", (Calendar,), {"name": "c", **days})

    def plugin() -> Any:
        module = ModuleType("acme")
        module.__dict__.update(
            register_kinds=hookimpl(lambda: [kind]),
            register_calendars=hookimpl(lambda: [calendar]),
            register_metrics=hookimpl(lambda: "kpiengine_metrics"),
        )
        return module

    plugins = Plugins.of({"one": plugin(), "two": plugin()})
    assert (list(plugins.kinds()), dict(plugins.calendars())) == (["k"], {"c": calendar})
    assert isinstance(plugins.kinds()["k"], kind)
    assert plugins.metric_packages() == {"one": "kpiengine_metrics"}
    assert by_name(plugins)["two"].error == (
        'the kind name "k" is taken by plugin "one"; the calendar name "c" is taken by plugin "one"; '
        'the metrics name "kpiengine_metrics" is taken by plugin "one"'
    )


# -- asking -----------------------------------------------------------------------------------------------------------


def made(name: str, endings: tuple[str, ...] = ()) -> type[Connector]:
    return type(name.title(), (Connector,), {"name": name, "endings": endings, "relation": lambda *_: None})


class Good:
    @hookimpl
    def register_connectors(self) -> Any:
        return [made("good", (".gz", ".good"))]


class Long:
    @hookimpl
    def register_connectors(self) -> Any:
        return [made("long", (".csv.gz",))]


def test_connector_by_ending_the_longest_wins() -> None:
    plugins = Plugins.of({"a": Good(), "b": Long()})
    found = {
        path: plugins.connector_for(path) for path in ("x.gz", "d.csv/x.CSV.GZ", "x.good", "x.csv", "", "*.csv.gz")
    }
    names = {path: each.name if each else None for path, each in found.items()}
    assert names == {
        "x.gz": "good", "d.csv/x.CSV.GZ": "long", "x.good": "good", "x.csv": None, "": None, "*.csv.gz": "long",
    }  # fmt: skip


def test_unknown_connector_is_told_with_what_failed() -> None:
    class Broken:
        @hookimpl
        def register_connectors(self) -> Any:
            raise ImportError("no module named 'ledger'")

    plugins = Plugins.of({"good": Good(), "broken": Broken()})
    assert plugins.connector("goood") is None
    with pytest.raises(PluginError) as caught:
        plugins.required_connector("goood")
    assert str(caught.value) == (
        'unknown connector "goood"  (did you mean "good"?); plugin "broken" failed: '
        "register_connectors() failed: ImportError: no module named 'ledger'"
    )


def test_blocked_plugin() -> None:
    plugins = Plugins.of({"good": Good(), "long": Long()}, blocked=["long"])
    assert list(plugins.connectors()) == ["good"]
    assert by_name(plugins)["long"].error == "blocked by KPI_PLUGINS_BLOCK"
    assert plugins.failures() == []
    with pytest.raises(PluginError, match='plugin "long" is blocked by KPI_PLUGINS_BLOCK'):
        plugins.required_connector("long")


def test_nothing_is_loaded_before_it_is_asked_for(site: Site) -> None:
    noisy = "raise RuntimeError('loaded')"
    site.install("kpiengine", {"own_lines": connector("lines")}, {"lines": "own_lines"})
    site.install("acme", {"acme_noisy": noisy}, {"noisy": "acme_noisy"})
    plugins = site.plugins()
    assert plugins.connector("lines") is not None
    assert plugins.failures() == []
    assert "acme_noisy" not in sys.modules
    assert [info.name for info in plugins.infos() if info.error] == ["noisy"]


def test_no_more_is_loaded_than_finds_a_name(site: Site) -> None:
    site.install(
        "acme", {"acme_lines": connector("lines"), "acme_noisy": "1 / 0"}, {"a": "acme_lines", "z": "acme_noisy"}
    )
    plugins = site.plugins()
    assert plugins.connector("lines") is plugins.connector("lines")
    assert plugins.failures() == []
    assert plugins.connector("nowhere") is None
    assert [info.name for info in plugins.failures()] == ["z"]


def test_hooks_are_called_once() -> None:
    calls: list[str] = []

    class Counting:
        @hookimpl
        def register_connectors(self) -> Any:
            calls.append("connectors")
            return [made("one")]

    plugins = Plugins.of({"counting": Counting()})
    for _ in range(3):
        assert plugins.connectors()["one"] is plugins.connector("one")
    plugins.infos()
    assert calls == ["connectors"]


def test_built_ins_load_without_a_fault() -> None:
    found = [info for info in installed().infos() if info.distribution == "kpiengine"]
    if not found:
        pytest.skip("kpiengine is not installed here")
    assert [(info.name, info.error) for info in found if info.error] == []
    assert {"csv", "parquet", "json", "arrow", "duckdb", "excel", "sql"} <= set(installed().connectors())


def test_block_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPI_PLUGINS_BLOCK", "csv, excel")
    installed.cache_clear()
    try:
        blocked = {info.name for info in installed().infos() if info.error and info.error.startswith("blocked")}
        own = {info.name for info in installed().infos() if info.distribution == "kpiengine"}
        assert blocked == {"csv", "excel"} & own
        assert installed().connector("csv") is None
    finally:
        installed.cache_clear()
