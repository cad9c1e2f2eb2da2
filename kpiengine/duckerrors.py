"""What DuckDB says went wrong, in a user's words, and as one of our errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from kpiengine.connection import is_interrupt
from kpiengine.errors import DataError, EngineError, KpiError


def plain_reason(message: str) -> str:
    """DuckDB's message without its kind, candidates and pointers: one line."""
    first = message.split("\n", 1)[0]
    first = re.sub(
        r"^(Binder|Catalog|Parser|Conversion|Invalid Input|Invalid Type|Not implemented) Error:\s*", "", first
    )
    first = re.sub(r"\s*You might need to add explicit type casts\.?", "", first)
    match = re.match(r"No function matches the given name and argument types '([^(]+)\((.*)\)'", first)
    if match:
        called = match[1].lower() + "()" if match[1].isidentifier() else match[1]
        return f"{called} does not take {match[2] or 'no argument'}"
    match = re.match(r"(?:Scalar|Aggregate) Function with name (\w+) does not exist!", first)
    if match:
        near = re.search(r'Did you mean "([^"]+)"', message)
        return f"there is no function {match[1].lower()}()" + (f'  (did you mean "{near[1]}"?)' if near else "")
    return first


@contextmanager
def engine_errors(what: str = "") -> Iterator[None]:
    """Turns DuckDB's errors into ours: what the data does wrong is a DataError, the rest an EngineError."""
    try:
        yield
    except (duckdb.Error, RuntimeError) as error:
        if is_interrupt(error):
            raise KeyboardInterrupt from None
        if not isinstance(error, duckdb.Error):
            raise
        raise _ours(error, what) from error


def stream_error(message: str) -> KpiError:
    """Our error for what a stream of Arrow says, in whose middle DuckDB's errors are texts."""
    return _ours(_error_of(message), "")


_KINDS: tuple[tuple[str, type[duckdb.Error]], ...] = (
    ("INTERRUPT", duckdb.InterruptException),
    ("Out of Memory Error", duckdb.OutOfMemoryException),
    ("Conversion Error", duckdb.ConversionException),
    ("Out of Range Error", duckdb.OutOfRangeException),
    ("IO Error", duckdb.IOException),
    ("Invalid Input Error", duckdb.InvalidInputException),
)


def _error_of(message: str) -> duckdb.Error:
    """The DuckDB error that a message of a stream stands for."""
    for mark, kind in _KINDS:
        if mark in message:
            if kind is duckdb.InterruptException:
                raise KeyboardInterrupt
            return kind(message[message.index(mark) :])
    return duckdb.Error(message)


def _ours(error: duckdb.Error, what: str) -> KpiError:
    message = str(error)
    before = f"{what}: " if what else ""
    if full := _disk_reason(message):
        return EngineError(f"{before}{full}")
    reason = without_kind(plain_reason(message))
    if isinstance(error, duckdb.OutOfMemoryException):
        cure = "give it more with engine: {duckdb: {memory_limit: 8GB}}, or a temp_directory on a disk with room"
        return EngineError(f"{before}DuckDB ran out of memory or disk: {reason}; {cure}")
    if isinstance(error, duckdb.OutOfRangeException | duckdb.ConversionException):
        return DataError(f"{before}{_misfit(reason)}")
    if isinstance(error, duckdb.IOException):
        return DataError(f"{before}{reason}")
    if isinstance(error, duckdb.InvalidInputException):
        return DataError(f"{before}{without_kind(_joined(message))}")
    if type(error) is duckdb.Error and not re.match(r"[A-Z][A-Za-z ]* Error", message):
        # What the Parquet reader trips over has no kind.
        cure = "write or fetch it again (`kpi check --data` names its source)"
        return DataError(f"{before}a file is damaged, it seems ({reason}); {cure}")
    return EngineError(f"{before}DuckDB: {reason}")


def _disk_reason(message: str) -> str:
    """What a write failed of, out of the system's words in DuckDB's; empty where it is something else."""
    for sign, told in _DISK.items():
        if sign in message:
            return told
    return ""


_DISK = {
    "No space left on device": "no space left on the disk; free some, or write to another disk",
    "Disk quota exceeded": "the disk quota is used up; free some space, or write to another disk",
    "File too large": "the file is larger than the system allows; raise the limit (ulimit -f), or export less",
    "Read-only file system": "the disk is read-only; write to another one",
}


def _misfit(reason: str) -> str:
    """A value that its type has no room for, in a user's words."""
    found = re.match(
        r"Type \w+ with value (\S+) can't be cast because the value is out of range for the destination type (\w+)"
        r"(?: when casting from source column (.*))?",
        reason,
    )
    if found is None:
        return f"a value does not fit its type: {reason}"
    kind = _SQL_NAMES.get(found[2], found[2])
    return f"a value does not fit its type: {found[3] or 'one'} is {found[1]}, out of the range of {kind}"


_SQL_NAMES = {"INT8": "TINYINT", "INT16": "SMALLINT", "INT32": "INTEGER", "INT64": "BIGINT", "INT128": "HUGEINT"}


def without_kind(message: str) -> str:
    """The message without the kind of error that it begins with."""
    return re.sub(r"^[A-Z][A-Za-z -]* (Error|Exception):\s*", "", message)


def _joined(message: str) -> str:
    """A message of several lines (the CSV reader's) in one, cut where its list of possible cures begins."""
    lines = [line.strip() for line in message.split("\n") if line.strip()]
    kept: list[str] = []
    for line in lines:
        if line.startswith(("Possible fixes", "Possible solution", "LINE ", "file =", "delimiter =", "*")):
            break
        kept.append(line)
    return " ".join(kept)
