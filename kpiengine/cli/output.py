"""Where a result goes: standard output, or a file that is written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from kpiengine.beside import clear, file_beside, is_beside
from kpiengine.cli.formats import BINARY, ENDINGS, FORMATS, Look, Rows, Target, writer
from kpiengine.cli.progress import Progress
from kpiengine.records import dataclass

if TYPE_CHECKING:
    import pyarrow

    from kpiengine.cli.state import State
    from kpiengine.compiled import Asked, Column
    from kpiengine.plan import OutputColumn
    from kpiengine.project import Project
    from kpiengine.result import Result


Write = Callable[[Target], int]
"""Writes a result to its place, and gives its number of rows."""

_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What a write may meet whose error names no file."""


@dataclass(frozen=True)
class Destination:
    """A format, and a file (None: standard output)."""

    format: str
    path: Path | None = None


def destination(format_name: str | None, out: Path | None) -> Destination:
    """What `--format` and `--out` mean together, checked before any work is done.

    Raises click.UsageError: an ending that says nothing, a folder that is not there, a binary format on a terminal.
    """
    if out is None or str(out) == "-":
        chosen = format_name or "table"
        if chosen in BINARY and sys.stdout is not None and sys.stdout.isatty():
            raise click.UsageError(
                f"{chosen} cannot be shown on a terminal; write it with --out FILE.{chosen}, or pipe it"
            )
        return Destination(chosen)
    if out.is_dir():
        raise click.UsageError(f"--out {out} is a folder; give the name of a file in it")
    if not out.parent.is_dir():
        raise click.UsageError(f"--out {out}: there is no folder {out.parent}; make it first (mkdir -p {out.parent})")
    by_ending = format_name or ENDINGS.get(out.suffix.lower())
    if by_ending is None:
        known = " ".join(ENDINGS)
        raise click.UsageError(
            f'--out {out}: the ending "{out.suffix}" names no format; '
            f"give --format ({', '.join(FORMATS)}), or one of the endings {known}"
        )
    return Destination(by_ending, out)


def write_result(
    ask: Callable[[Project], Result], where: Destination, state: State, asked: Asked | None = None
) -> None:
    """Ask the project and write the result, batch by batch. What was compiled is kept for whoever asks the same."""
    project = state.project()
    with Progress("running", project.progress) as progress:
        result = ask(project)
        at_first_rows = progress.stop if where.path is None else _nothing
        write = _written_plainly(result, where, at_first_rows) or _written_by_arrow(result, where, at_first_rows)
        rows = deliver(write, where, state, progress)
    if asked is not None:
        result.keep(asked, rows)


def _written_plainly(result: Result, where: Destination, at_first_rows: Callable[[], None]) -> Write | None:
    """What writes a few rows of simple types without Arrow; None where they are others, or many."""
    from kpiengine.cli.formats.plain import WRITERS, PlainRows

    write, fetched = WRITERS.get(where.format), result.fetched()
    rows = None if write is None or fetched is None else PlainRows.of(*fetched)
    if write is None or rows is None:
        return None
    at_first_rows()
    return lambda target: write(rows, looks(result.columns), target)


def _written_by_arrow(result: Result, where: Destination, at_first_rows: Callable[[], None]) -> Write:
    write = writer(where.format)
    found = stream(result.reader(), at_first_rows)
    return lambda target: write(found, looks(result.columns), target)


def deliver(write: Write, where: Destination, state: State, progress: Progress) -> int:
    """Has a result written to its place; `write` gives, and this too, how many rows it had."""
    if where.path is None:
        target = _standard_output()
        rows = write(target)
        target.file.flush()
        return rows
    progress.text = f"writing {where.path.name}"
    with whole_file(where.path, state.interrupts.unfinished) as file:
        rows = write(Target(file, seekable=file.seekable()))
    progress.stop()
    click.echo(f"{rows:,} {'row' if rows == 1 else 'rows'} written to {where.path}", err=True)
    return rows


def looks(columns: Iterable[Column | OutputColumn]) -> dict[str, Look]:
    """How a result's columns are shown, by name."""
    return {column.name: Look(column.unit, column.role == "metric") for column in columns}


@contextmanager
def whole_file(path: Path, unfinished: set[Path] | None = None) -> Iterator[BinaryIO]:
    """A file that takes its name only when it is complete; until then the old one stands, and after an error too.

    What is no plain file (`/dev/stdout`, a named pipe) is written as it is; a link keeps pointing where it points.
    `unfinished` holds the temporary file while it exists. What killed runs left of theirs is removed.
    """
    path = path.resolve()
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    mode = None
    if path.exists():
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        mode = stat.S_IMODE(path.stat().st_mode)
    clear(path)
    held = unfinished if unfinished is not None else set()
    with _told_of(path), file_beside(path) as (temporary, file):
        held.add(temporary)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if mode is not None:
                temporary.chmod(mode)
            temporary.replace(path)
        finally:
            held.discard(temporary)


@contextmanager
def _told_of(path: Path) -> Iterator[None]:
    """What goes wrong with the temporary file is told of the file that the user named."""
    try:
        yield
    except OSError as error:
        ours = error.errno in _DISK if error.filename is None else is_beside(Path(os.fsdecode(error.filename)), path)
        if not ours:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def stream(reader: pyarrow.RecordBatchReader, at_first_rows: Callable[[], None]) -> Rows:
    """A stream that calls back when its first rows (or its end) have come."""

    def batches() -> Iterator[pyarrow.RecordBatch]:
        first = next(reader, None)
        at_first_rows()
        if first is not None:
            yield first
            yield from reader

    return Rows(reader.schema, batches())


def _nothing() -> None:
    """What happens at the first rows of a file."""


def _standard_output() -> Target:
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    sys.stdout.flush()
    try:
        seekable = stat.S_ISREG(os.fstat(sys.stdout.fileno()).st_mode)
    except (OSError, ValueError):
        seekable = False
    return Target(sys.stdout.buffer, terminal=sys.stdout.isatty(), seekable=seekable)
