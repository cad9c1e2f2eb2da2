"""Golden files: SQL as it was when somebody last read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Golden:
    """A folder of golden files. Where `update` is set they are written, else compared as bytes; a missing one fails."""

    folder: Path
    update: bool = False

    def compare(self, topic: str, slug: str, text: str) -> None:
        """Holds `text` against `<topic>/<slug>.sql`. AssertionError where the file is missing or differs."""
        path = self.folder / topic / f"{slug}.sql"
        data = text.encode()
        if self.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            return
        if not path.exists():
            raise AssertionError(f"there is no golden file {path}; write it with --update-golden, and read it")
        if path.read_bytes() != data:
            raise AssertionError(f"{path} differs from what is made now:\n{text}")
