"""kpiengine: KPIs as code. `kpiengine.open(path)` gives a `Project`; `project.query(…)` a `Result`.

Importing the package is cheap: nothing heavy is loaded before `open` is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import os

    from kpiengine.project import Project
    from kpiengine.running import Chosen

__version__ = "0.1.0"
__all__ = ["__version__", "open"]


def open(path: str | os.PathLike[str] = ".", engine: Chosen = None) -> Project:
    """The project whose `kpi.yaml` is in the folder `path`, or in the nearest folder above it.

    `engine` runs it instead of the one that kpi.yaml names: "duckdb", or {"postgres": {"url": …}}.

    Raises:
        DefinitionError: the project's YAML is wrong; every problem of it, with places.
    """
    from kpiengine.project import Project

    return Project.open(path, engine=engine)
