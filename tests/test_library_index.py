"""A file of the library is read when one of its metrics is asked for, as its index says; and says what it said."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import kpiengine_metrics
from kpiengine.plugins import Plugins, installed
from kpiengine.spec import read_library, read_metrics_package
from kpiengine.spec.library import INDEX, index_of

PACKAGE = "kpiengine_metrics"
FOLDER = Path(kpiengine_metrics.__path__[0])


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the library, under another name."""
    folder = tmp_path / "copied_metrics"
    shutil.copytree(FOLDER, folder)
    (folder / INDEX).write_text((folder / INDEX).read_text().replace(PACKAGE, folder.name))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, folder.name, raising=False)  # that of the test before
    return folder


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were read."""
    import kpiengine.spec.library as library

    paths: list[str] = []
    original = library.read_yaml

    def watched(text: bytes, path: str, problems: list[object]) -> object:
        paths.append(Path(path).name)
        return original(text, path, problems)

    monkeypatch.setattr(library, "read_yaml", watched)
    return paths


def test_the_index_is_that_of_the_files(request: pytest.FixtureRequest) -> None:
    text = index_of(PACKAGE, "metrics", installed())
    if request.config.getoption("--update-golden"):
        (FOLDER / INDEX).write_text(text)
    assert (FOLDER / INDEX).read_text() == text, "write it with --update-golden"


def test_a_metric_reads_its_own_file(package: Path, read: list[str]) -> None:
    library = read_library({"copy": package.name}, Plugins.of({}))
    assert library.indexed == {"copy": package.name}
    assert {"revenue", "rfm", "nps"} <= set(library.metrics)
    assert read == []
    assert library.metrics["revenue"].formula is not None
    assert library.metrics["aov"].place.path == "copied_metrics/sales.yaml"
    assert read == ["sales.yaml"]


def test_every_metric_is_what_it_is_when_all_are_read(package: Path) -> None:
    plugins = installed()
    library = read_library({"copy": package.name}, plugins)
    whole, _, problems = read_metrics_package(package.name, "copy", plugins)
    assert dict(library.metrics) == whole
    assert list(library.metrics) == list(whole)
    assert problems == []


@pytest.mark.parametrize("change", ["edited", "added", "removed", "without"])
def test_an_index_that_is_not_true_is_not_believed(package: Path, read: list[str], change: str) -> None:
    sales = package / "sales.yaml"
    if change == "edited":
        new = "metrics:\n  brand_new: {source: orders, formula: count(*)}\n"
        sales.write_text(sales.read_text().replace("metrics:\n", new, 1))
    elif change == "added":
        (package / "more.yaml").write_text("metrics:\n  brand_new: {source: orders, formula: count(*)}\n")
    elif change == "removed":
        sales.unlink()
    else:
        (package / INDEX).unlink()
    library = read_library({"copy": package.name}, installed())
    assert library.indexed == {}
    assert len(read) == len(list(package.glob("*.yaml")))
    assert ("brand_new" in library.metrics) == (change in ("edited", "added"))
    assert ("revenue" in library.metrics) == (change != "removed")


def test_of_two_packages_the_first_has_the_name(package: Path) -> None:
    library = read_library({"copy": package.name, "metrics": PACKAGE}, installed())
    assert library.metrics["revenue"].library == "copy"
    assert list(library.metrics) == list(read_metrics_package(PACKAGE, "metrics", installed())[0])
