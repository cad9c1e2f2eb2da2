"""Virtual environments under build/bench, made when they are first needed: what a user has, and what peers need."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build" / "bench"


def runtime(*extra: str) -> Path:
    """The Python of an environment with kpiengine and its own dependencies alone, in the locked versions.

    `extra` are further requirements. kpiengine is installed anew each time, as its files are now.
    """
    python = environment(
        "runtime" + "".join("-" + re.sub(r"\W+", "", one) for one in extra), _dependencies() + list(extra)
    )
    _pip(python, "--no-deps", "--no-build-isolation", "--force-reinstall", str(ROOT))
    return python


def environment(name: str, requirements: list[str]) -> Path:
    """The Python of an environment with these requirements; it is made again when they change."""
    folder = BUILD / name
    python, mark, wanted = folder / "bin" / "python", folder / "requirements", "\n".join(requirements)
    if mark.exists() and mark.read_text() == wanted:
        return python
    BUILD.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
    _pip(python, *requirements)
    mark.write_text(wanted)
    return python


def _pip(python: Path, *what: str) -> None:
    command: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
    subprocess.run(command, check=True, cwd=BUILD.parent)


def _dependencies() -> list[str]:
    """The core's own dependencies and theirs, as they are locked, without those of extras."""
    import tomllib

    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    locked = dict(
        re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements" / "runtime.txt").read_text(), re.MULTILINE)
    )
    names = [re.split(r"[\s<>=\[]", one)[0].lower() for one in wanted]
    return [f"{name}=={locked[name]}" for name in names] + ["hatchling", "editables"]
