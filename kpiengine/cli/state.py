"""What one run of `kpi` knows: the folder it works on, whether it debugs, the project once it is open.

`kpi --help` makes one too, so nothing is imported here before it is used.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import click

    from kpiengine.cli.interrupts import Interrupts
    from kpiengine.project import Project


class State:
    """Made once per run, handed to every command as click's `obj`. `directory` is where the project is looked for."""

    def __init__(self) -> None:
        self.directory: str | Path = "."
        self.debug = False
        self.engine: str | None = None
        self._project: Project | None = None

    @cached_property
    def interrupts(self) -> Interrupts:
        """What Ctrl-C stops."""
        from kpiengine.cli.interrupts import Interrupts

        return Interrupts()

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
            if "interrupts" in self.__dict__:
                self.interrupts.release()


def set_debug(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    """Note `--debug`, wherever on the line it stands."""
    if value:
        ctx.ensure_object(State).debug = True


def set_directory(ctx: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Note `-C DIR`, wherever on the line it stands."""
    if value is not None:
        ctx.ensure_object(State).directory = value
