"""The definitions of a project as they stood in a git revision."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path

from kpiengine.errors import DefinitionError, Place, Problem, UsageError
from kpiengine.plugins import Plugins, installed
from kpiengine.project import Project
from kpiengine.spec import read_project
from kpiengine.spec.find import PROJECT_FILE


def project_at(root: Path, revision: str, plugins: Plugins | None = None) -> Project:
    """The project in the folder `root` with the definitions of `revision`, over the data of today.

    Raises UsageError where there is no git, no such revision, or no project in it; DefinitionError, with the
    revision in front of each path, for definitions that were wrong then.
    """
    found = plugins or installed()
    commit = _commit(root, revision)
    with tempfile.TemporaryDirectory(prefix="kpi-") as folder:
        _unpack(root, commit, revision, Path(folder))
        spec, problems = read_project(Path(folder), found)
    try:
        project = Project(replace(spec, root=str(root)), found)
    except DefinitionError as error:
        problems += error.problems
    if problems:
        raise DefinitionError(*[_then(problem, revision) for problem in problems])
    return project


def _then(problem: Problem, revision: str) -> Problem:
    place = problem.place
    return Problem(Place(f"{revision}:{place.path}", place.line, place.column), problem.message)


def _commit(root: Path, revision: str) -> str:
    if _git(root, "rev-parse", "--is-inside-work-tree").returncode:
        raise UsageError(f"{root} is not in a git repository: there is nothing to compare with  (git init makes one)")
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if found.returncode:
        raise UsageError(f'git knows no revision "{revision}"; try HEAD, HEAD~1, a branch, a tag or a hash')
    return found.stdout.decode().strip()


def _unpack(root: Path, commit: str, revision: str, folder: Path) -> None:
    """Writes kpi.yaml and metrics/ of a commit into a folder."""
    listed = _git(root, "ls-tree", "--name-only", commit, "--", PROJECT_FILE, "metrics")
    names = listed.stdout.decode().split()
    if PROJECT_FILE not in names:
        raise UsageError(f'revision "{revision}" has no {PROJECT_FILE} in this folder ({root})')
    packed = _git(root, "archive", "--format=tar", commit, "--", *names)
    if packed.returncode:
        raise UsageError(f"git archive failed: {packed.stderr.decode(errors='replace').strip()}")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")


def _git(root: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    except FileNotFoundError:
        raise UsageError("kpi diff needs git, and there is no program of that name on the PATH") from None
