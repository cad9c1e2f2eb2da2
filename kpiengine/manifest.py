"""The list of an export's files, where an engine's own workers wrote them, with what a footer else tells.

`_kpiengine.json` lies in the export's folder. Readers of Parquet leave names that begin with `_` alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kpiengine.records import dataclass

NAME = "_kpiengine.json"

GENERATIONS = "_generations"
"""The folder of what runs wrote, where the list is a pointer as well: see `kpiengine.generations`."""


@dataclass(frozen=True)
class Written:
    """A file of an export: its path below the folder, with `/`, its size in bytes, and how many rows it has."""

    path: str
    bytes: int
    rows: int


def manifest_text(facts: Mapping[str, str], files: Iterable[Written], **more: Any) -> str:
    """The text of a manifest. `facts` are those of a footer: definitions, query, engine, time."""
    listed = [{"path": f.path, "bytes": f.bytes, "rows": f.rows} for f in sorted(files, key=lambda f: f.path)]
    return json.dumps({"facts": dict(facts), **more, "files": listed}, indent=1, ensure_ascii=False) + "\n"


def parsed(text: str | bytes) -> tuple[dict[str, Any], tuple[Written, ...]] | None:
    """What a manifest says, and the files that it lists; None for a text that is none."""
    try:
        told = json.loads(text)
        files = tuple(Written(str(f["path"]), int(f["bytes"]), int(f["rows"])) for f in told["files"])
        return (told, files) if "kpiengine" in told["facts"] else None
    except (ValueError, TypeError, KeyError):
        return None


def listed_in(folder: Path) -> dict[Path, int]:
    """The files that a folder's manifest lists, and their sizes; nothing where there is no manifest."""
    try:
        found = parsed((folder / NAME).read_bytes())
    except OSError:
        return {}
    return {folder / f.path: f.bytes for f in found[1]} if found else {}
