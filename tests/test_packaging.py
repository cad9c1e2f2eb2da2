"""What is installed is what the repository says: entry points, wheel, lock files."""

from __future__ import annotations

import email
import email.message
import importlib
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import kpiengine

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
DECLARED: dict[str, str] = PYPROJECT["project"]["entry-points"]["kpiengine"]
PACKAGES = [Path(folder) for folder in PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]]

INSTALL = "install again: `make install`"


def installed_entry_points() -> dict[str, str]:
    """Entry points of the installed distribution: name → module."""
    points = metadata.distribution("kpiengine").entry_points
    return {point.name: point.value for point in points if point.group == "kpiengine"}


def shipped_files() -> set[str]:
    """Every file of every import package, named as it must be named in the wheel."""
    return {
        path.relative_to(ROOT / folder.parent).as_posix()
        for folder in PACKAGES
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


# -- entry points -----------------------------------------------------------------------------------------------------


def test_installed_entry_points_are_those_of_pyproject() -> None:
    assert installed_entry_points() == DECLARED, INSTALL


def test_installed_version_is_the_package_s_own() -> None:
    assert metadata.version("kpiengine") == kpiengine.__version__, INSTALL


@pytest.mark.parametrize("name", DECLARED)
def test_entry_point_is_a_plugin_that_imports(name: str) -> None:
    module = importlib.import_module(DECLARED[name])
    hooks = [value for value in vars(module).values() if hasattr(value, "kpiengine_impl")]
    assert hooks, f"{DECLARED[name]} implements no hook"


@pytest.mark.parametrize("folder", ["plugins/kpiengine_plugins", "connectors/kpiengine_connectors"])
def test_every_module_with_a_hook_has_an_entry_point(folder: str) -> None:
    package = ROOT / folder
    hooked = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in package.rglob("*.py")
        if re.search(r"^@hookimpl", path.read_text("utf-8"), re.MULTILINE)
    }
    assert hooked == {module for module in DECLARED.values() if module.split(".")[0] == package.name}


def test_command_is_there() -> None:
    (point,) = metadata.entry_points(group="console_scripts", name="kpi")
    assert callable(point.load())


# -- wheel ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of this checkout."""
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = out.glob("*.whl")
    return zipfile.ZipFile(path)


def wheel_metadata(wheel: zipfile.ZipFile) -> email.message.Message:
    """The METADATA file of a wheel."""
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return email.message_from_bytes(wheel.read(name))


def test_wheel_holds_every_file_of_the_packages_and_no_other(wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == shipped_files()


def test_wheel_installs_four_packages_each_typed(wheel: zipfile.ZipFile) -> None:
    names = {folder.name for folder in PACKAGES}
    top = {name.split("/")[0] for name in wheel.namelist() if ".dist-info/" not in name}
    assert top == names == {"kpiengine", "kpiengine_plugins", "kpiengine_connectors", "kpiengine_metrics"}
    assert {f"{name}/py.typed" for name in names} <= set(wheel.namelist())


def test_wheel_brings_the_library_s_yaml(wheel: zipfile.ZipFile) -> None:
    sources = {path.name for path in (ROOT / "metrics/kpiengine_metrics").rglob("*.yaml")}
    brought = {Path(name).name for name in wheel.namelist() if name.startswith("kpiengine_metrics/")}
    assert sources
    assert sources <= brought


def test_wheel_bears_its_license(wheel: zipfile.ZipFile) -> None:
    assert wheel_metadata(wheel)["License-Expression"] == "Apache-2.0"
    (held,) = [name for name in wheel.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
    assert wheel.read(held) == (ROOT / "LICENSE").read_bytes()


def test_wheel_asks_for_no_upper_bound_and_no_numpy(wheel: zipfile.ZipFile) -> None:
    requirements = [Requirement(text) for text in wheel_metadata(wheel).get_all("Requires-Dist", [])]
    bounds = {spec.operator for requirement in requirements for spec in requirement.specifier}
    assert bounds == {">="}
    core = {canonicalize_name(each.name) for each in requirements if each.marker is None}
    assert core == {"click", "duckdb", "pluggy", "pyarrow", "pyyaml", "rich", "sqlglot", "tzdata"}


# -- lock files -------------------------------------------------------------------------------------------------------


LOCKS = ["runtime.txt", "dev.txt", "data.txt", "fast.txt"]


def pins(lock: str) -> dict[str, list[Requirement]]:
    """The pinned requirements of a lock file, by name: several where they depend on the Python version."""
    text = (ROOT / "requirements" / lock).read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found: dict[str, list[Requirement]] = {}
    for line in lines:
        requirement, *hashes = line.split("--hash=sha256:")
        assert hashes, f"{lock}: no hash: {line}"
        pin = Requirement(requirement)
        found.setdefault(canonicalize_name(pin.name), []).append(pin)
    return found


def wanted(lock: str) -> list[Requirement]:
    """What pyproject.toml asks of a lock file."""
    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    if lock in ("data.txt", "fast.txt"):
        return [Requirement(text) for text in groups[lock.removesuffix(".txt")]]
    names = {"runtime.txt": ["build"], "dev.txt": ["build", "engines", "partners", "dev"]}[lock]
    extras = [text for name in ("clv", "excel") for text in project["optional-dependencies"][name]]
    grouped = [text for name in names for text in groups[name] if isinstance(text, str)]
    return [Requirement(text) for text in [*project["dependencies"], *extras, *grouped]]


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_pins_what_pyproject_asks_for(lock: str) -> None:
    locked = pins(lock)
    for requirement in wanted(lock):
        found = locked.get(canonicalize_name(requirement.name), [])
        versions = [spec.version for pin in found for spec in pin.specifier if spec.operator == "=="]
        assert versions, f"{requirement} is not locked: `make lock`"
        assert all(version in requirement.specifier for version in versions), f"{requirement}: `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_names_no_index(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text("utf-8")
    assert not re.search(r"https?:|file:|--(extra-)?index-url|--find-links|--trusted-host", text)


def test_both_locks_agree() -> None:
    dev = pins("dev.txt")
    for name, requirements in (*pins("runtime.txt").items(), ("sqlglot", pins("fast.txt")["sqlglot"])):
        assert sorted(map(str, requirements)) == sorted(map(str, dev[name])), "`make lock`"
