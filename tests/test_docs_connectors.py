"""The example of docs/writing-a-connector.md, run as it stands there, and the tables against the code."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from kpiengine import hooks
from kpiengine.connector import Connector
from kpiengine.plugins import Plugins, installed

DOCS = Path(__file__).resolve().parent.parent / "docs"
BLOCKS = re.findall(
    r"```python\n# (\S+)\.py\n(.*?)```", (DOCS / "writing-a-connector.md").read_text("utf-8"), re.DOTALL
)
PAGES = {name: code for name, code in BLOCKS}


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The modules of the page, in its order, each importable by the next."""
    modules = {}
    for name, code in PAGES.items():
        modules[name] = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, modules[name])
        exec(compile(code, f"writing-a-connector.md: {name}", "exec"), modules[name].__dict__)
    return modules


def test_the_page_s_test_passes(written: dict[str, ModuleType], tmp_path: Path) -> None:
    written["test_acme_logs"].test_access_log(tmp_path)


def test_the_page_s_connector_is_a_plugin(written: dict[str, ModuleType]) -> None:
    plugins = Plugins.of({"access_log": written["acme_logs"]})
    connector = plugins.connector_for("logs/today.access.log")
    assert connector is not None
    assert connector.name == "access_log"
    assert [info.error for info in plugins.infos()] == [None]


def test_the_example_is_as_short_as_promised() -> None:
    lines = [line for line in PAGES["acme_logs"].splitlines() if line.strip()]
    assert len(lines) <= 40


def test_every_hook_is_on_the_page() -> None:
    page = (DOCS / "writing-a-connector.md").read_text("utf-8")
    known = {name for name, value in vars(hooks).items() if hasattr(value, "kpiengine_spec")}
    assert known == set(re.findall(r"^\| `(register_\w+)\(\)`", page, re.MULTILINE))


def own() -> list[Connector]:
    return [c for c in installed().connectors().values() if type(c).__module__.startswith("kpiengine_connectors.")]


def test_every_connector_option_and_ending_is_on_the_page() -> None:
    page = (DOCS / "connectors.md").read_text("utf-8")
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE))
    if not own():
        pytest.skip("kpiengine is not installed here")
    assert {connector.name for connector in own()} == set(sections)
    for connector in own():
        told = set(re.findall(r"`(\w+)`", sections[connector.name]))
        assert set(connector.options) - {"query"} <= told, connector.name
        assert all(f"{ending.removesuffix('.gz').removesuffix('.zst')}" in page for ending in connector.endings)
