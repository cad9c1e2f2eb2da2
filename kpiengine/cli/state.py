"""What one run of `kpi` knows: the folder it works on, whether it debugs, the project once it is open."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kpiengine.cli.interrupts import Interrupts

if TYPE_CHECKING:
    from kpiengine.project import Project


@dataclass
class State:
    """Made once per run, handed to every command as click's `obj`."""

    directory: Path = Path()
    debug: bool = False
    engine: str | None = None
    interrupts: Interrupts = field(default_factory=Interrupts)
    _project: Project | None = None

    def project(self) -> Project:
        """The project, opened at the first call; Ctrl-C stops its engine from then on."""
        if self._project is None:
            import kpiengine

            self.interrupts.watch()
            self._project = kpiengine.open(self.directory, engine=self.engine)
            self.interrupts.stoppers.append(self._project.interrupt)
        return self._project

    def safe(self, text: str) -> str:
        """`text` without the values that the project's YAML takes from the environment."""
        if self._project is None:
            return text
        from kpiengine.hide import hidden

        return hidden(text, self._project.spec.secrets)

    def close(self) -> None:
        """Close the project and give Ctrl-C back."""
        try:
            if self._project is not None:
                self._project.close()
        finally:
            self._project = None
            self.interrupts.release()
