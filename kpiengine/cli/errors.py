"""From an exception to what the user reads on standard error, and the exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import sys
from typing import TYPE_CHECKING

import click

from kpiengine.cli.interrupts import ENDINGS
from kpiengine.errors import KpiError

if TYPE_CHECKING:
    from kpiengine.cli.state import State

CURES = {
    errno.ENOSPC: ("no space left on the disk", "free some, or write to another disk with --out"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, or write to another disk with --out"),
    errno.EFBIG: ("the file is larger than the system allows", "raise the limit (ulimit -f), or ask for less"),
    errno.EACCES: ("permission denied", "check who may read and write it"),
    errno.EPERM: ("not permitted", "check who may read and write it"),
    errno.EROFS: ("the disk is read-only", "write to another one with --out"),
    errno.ENOENT: ("no such file or folder", "check the path, or make the folder first"),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "check the path"),
    errno.EISDIR: ("this is a folder, not a file", "give the name of a file"),
    errno.EEXIST: ("this exists already", "choose another name"),
    errno.EMFILE: ("too many open files", "raise the limit (ulimit -n)"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.EBADF: ("the output is closed", "give the result a place with --out FILE"),
    errno.EIO: ("the disk failed", "check the disk"),
}
"""errno → what is wrong, and the cure."""


ENGINE_PACKAGES = frozenset({"duckdb", "_duckdb", "pyarrow", "adbc_driver_manager"})
"""Errors of these packages that reach the command line come from the data's way, not from a slip of ours."""


class ReaderGone(Exception):
    """Who read our standard output has seen enough (`kpi query … | head`): no error, nothing more to do."""


def reader_is_gone() -> bool:
    """Whether standard output is a pipe that nobody reads any more."""
    try:
        poll = select.poll()  # not on Windows
        poll.register(sys.stdout.fileno(), 0)
        return bool(poll.poll(0))
    except (AttributeError, OSError, ValueError):
        return True


def exit_code(error: BaseException, state: State) -> int:
    """Tell the error on standard error, and give the exit code for it."""
    if state.debug and not isinstance(error, SystemExit | click.exceptions.Exit | ReaderGone):
        import traceback

        _tell(state.safe(traceback.format_exc().rstrip()))
    if state.interrupts.seen or isinstance(error, KeyboardInterrupt | click.exceptions.Abort):
        _drop_output()
        number = state.interrupts.seen or signal.SIGINT
        _tell(ENDINGS[number])
        return 128 + number
    if isinstance(error, ReaderGone):
        _drop_output()
        return 0
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    if isinstance(error, click.ClickException):
        with contextlib.suppress(OSError):
            error.show()
        return error.exit_code
    return _tell_failure(error, state)


def _tell_failure(error: BaseException, state: State) -> int:
    if isinstance(error, KpiError):
        for problem in error.problems:
            _tell(state.safe(str(problem) if str(problem.place) else f"error: {problem}"))
        return error.exit_code
    if isinstance(error, OSError):
        _drop_output()  # where it is standard output that failed, Python would try again at its end
        _tell(f"error: {_describe(error)}")
        return 1
    if isinstance(error, MemoryError):
        _tell("error: out of memory; ask for less at once (--since, --limit, fewer dimensions), or write with --out")
        return 1
    if type(error).__module__.partition(".")[0] in ENGINE_PACKAGES:
        _tell(state.safe(f"error: the engine failed: {error}"))
        return 1
    first_line = next(iter(str(error).splitlines()), "")
    what = f"internal error: {type(error).__name__}: {state.safe(first_line)}"
    _tell(f"{what} (run again with --debug to see where, and report it)")
    return 1


def _describe(error: OSError) -> str:
    what, cure = CURES.get(error.errno or 0, (error.strerror or str(error), ""))
    if error.filename is None and error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EBADF):
        return str(error) + (f"; {cure}" if cure else "")
    where = f"{os.fspath(error.filename)}: " if error.filename is not None else ""
    return where + what + (f"; {cure}" if cure else "")


def _tell(text: str) -> None:
    with contextlib.suppress(OSError):  # standard error may be gone, too
        click.echo(text, err=True)


def _drop_output() -> None:
    """Point standard output at nothing, so that Python's own flush at the end cannot fail once more."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        return
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)
