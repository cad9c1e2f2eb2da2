"""Paths of a source: patterns, lists, and what to say where a file is not there."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpiengine.errors import DataError, suggest
from kpiengine.records import dataclass

if TYPE_CHECKING:
    from sqlglot import exp

    from kpiengine.connector import SourceContext

PATTERN = frozenset("*?[")


@dataclass(frozen=True)
class Found:
    """Files of a source, in the order of their names. `written` is what a reader that knows patterns may be given:
    one text (absolute, a pattern if the source has one), or one for each file."""

    files: tuple[Path, ...]
    written: tuple[str, ...]

    def literal(self) -> exp.Expr:
        """`written` as an argument of a table function."""
        return path_literal(self.written)


def path_literal(texts: Sequence[str]) -> exp.Expr:
    """`'a.csv'`, or `['a.csv', 'b.csv']`."""
    from sqlglot import exp

    literals = [exp.Literal.string(text) for text in texts]
    return literals[0] if len(literals) == 1 else exp.Array(expressions=literals)


def find(given: Any, context: SourceContext, *, folders: bool = False) -> Found:
    """The files that a `path` option names: a file, a pattern (`data/*.csv`, `**` for any depth), or a list of these.

    With `folders` a folder stands for itself.

    Raises:
        DataError: a file that is not there, with its absolute path and the nearest name; a pattern without a file.
    """
    files: list[Path] = []
    written: list[str] = []
    for text in given if isinstance(given, list) else [given]:
        path = context.path(str(text))
        if PATTERN & set(str(text)) and not path.exists():
            files += _matching(path, context)
            written.append(str(path))
        else:
            files.append(_existing(path, context, folders))
            written.append(escaped(path))
    if not files:
        raise DataError(f'source "{context.source}": its path is an empty list')
    return Found(tuple(dict.fromkeys(files)), tuple(dict.fromkeys(written)))


def escaped(path: Path) -> str:
    """A path as a pattern that matches nothing but itself."""
    return glob.escape(str(path))


def reading_error(context: SourceContext, path: Path, error: OSError) -> DataError:
    """What to say of a file that is there and cannot be read."""
    reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
    return DataError(f'source "{context.source}": {path} cannot be read: {reason}')


def _matching(pattern: Path, context: SourceContext) -> list[Path]:
    # Path.glob takes no absolute pattern.
    found = sorted(Path(name) for name in glob.glob(str(pattern), recursive=True))  # noqa: PTH207
    files = [path for path in found if path.is_file()]
    if not files:
        raise DataError(f'source "{context.source}": no file matches {pattern}')
    return files


def _existing(path: Path, context: SourceContext, folders: bool) -> Path:
    if path.is_dir() and not folders:
        cure = f"name a file in it, or a pattern such as {path / '*'}"
        raise DataError(f'source "{context.source}": {path} is a folder; {cure}')
    if path.exists():
        return path
    if path.is_symlink():
        raise DataError(f'source "{context.source}": {path} is a link to {path.readlink()}, which is not there')
    folder = path.parent
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    if folder == path.parent:
        near = suggest(path.name, sorted(entry.name for entry in folder.iterdir()))
        raise DataError(f'source "{context.source}": no such file: {path}{near}')
    missing = folder / path.relative_to(folder).parts[0]
    near = suggest(missing.name, sorted(entry.name for entry in folder.iterdir() if entry.is_dir()))
    raise DataError(f'source "{context.source}": no such file: {path}; there is no folder {missing}{near}')
