"""The error family, and how an error reads: place, what is wrong, what would be right.

Everything that a user's YAML, data or command line can do wrong ends in one of these classes.
The command line maps them to exit codes (`exit_code`) and shows no traceback; anything else that
is raised is a bug of ours. Of the project this module imports `records` alone.
"""

from __future__ import annotations

from collections.abc import Iterable

from kpiengine.records import dataclass


@dataclass(frozen=True, order=True)
class Place:
    """Where something stands: a file (relative to the project where possible), line and column from 1."""

    path: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.path
        return f"{self.path}:{self.line}:{self.column}"


NOWHERE = Place()
"""The place of what no file holds (a query built in Python, an option of the command line)."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong, with its place; `str()` gives the line that a user sees."""

    place: Place
    message: str

    def __str__(self) -> str:
        where = str(self.place)
        return f"{where}: {self.message}" if where else self.message


class KpiError(Exception):
    """Base of all errors that are a user's to mend. Holds one or more problems, in reading order."""

    exit_code = 1

    def __init__(self, *problems: Problem | str) -> None:
        found = (p if isinstance(p, Problem) else Problem(NOWHERE, p) for p in problems)
        self.problems: tuple[Problem, ...] = tuple(sorted(dict.fromkeys(found)))
        super().__init__("\n".join(str(p) for p in self.problems))


class DefinitionError(KpiError):
    """The project's YAML, or a definition in it, is wrong."""


class DataError(KpiError):
    """The data is at fault: a missing file, a key that is not unique, a value that overflows."""


class EngineError(KpiError):
    """The engine failed: out of memory or disk, a lost connection, a construct that it lacks."""


class PluginError(KpiError):
    """A plugin cannot be loaded, or broke its contract."""


class UsageError(KpiError):
    """The query or the command line is wrong: an unknown metric, a dimension out of reach."""

    exit_code = 2


def suggest(word: str, known: Iterable[str]) -> str:
    """` (did you mean "amount"?)` for the nearest known name, or nothing where none is near."""
    import difflib

    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f'  (did you mean "{by_lower[near[0]]}"?)' if near else ""


def listing(names: Iterable[str], most: int = 8) -> str:
    """`a, b, c, …`: names for a message, cut where there are many."""
    all_names = list(names)
    shown = ", ".join(all_names[:most])
    if not all_names:
        return "nothing"
    return shown + ", …" if len(all_names) > most else shown


def choices(word: str, names: Iterable[str], most: int = 8) -> str:
    """`a, b, c  (did you mean "b"?)`: what there is instead of `word`."""
    known = list(names)
    return f"{listing(known, most)}{suggest(word, known)}"
