"""Where a project is: the nearest folder upwards that holds a `kpi.yaml`."""

from __future__ import annotations

from pathlib import Path

from kpiengine.errors import DefinitionError

PROJECT_FILE = "kpi.yaml"


def find_project(start: Path) -> Path:
    """The folder of the nearest `kpi.yaml`, from `start` (a folder, or the file itself) upwards.

    Raises:
        DefinitionError: there is none; the message says where it was looked for and how to make one.
    """
    folder = start.expanduser().resolve()
    if folder.is_file():
        if folder.name == PROJECT_FILE:
            return folder.parent
        raise DefinitionError(f"{folder} is no project; a project is a folder with a {PROJECT_FILE}")
    if not folder.is_dir():
        raise DefinitionError(f"no such folder: {folder}")
    for candidate in (folder, *folder.parents):
        if (candidate / PROJECT_FILE).is_file():
            return candidate
    misnamed = next((name for name in ("kpi.yml", "KPI.yaml") if (folder / name).is_file()), None)
    cure = f"rename {misnamed}" if misnamed else "`kpi init DIR` makes a project, and `kpi -C DIR` names one"
    raise DefinitionError(f"no {PROJECT_FILE} in {folder} or in a folder above it; {cure}")
