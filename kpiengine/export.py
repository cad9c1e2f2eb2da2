"""Results → Parquet files, put in their place whole or not at all.

A folder or file is made beside its place and moved there in one step of the file system, so that a reader sees the
old one or the new one, and a run that is killed leaves the old one.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from sqlglot import exp

from kpiengine.beside import OLD, clear, folder_beside
from kpiengine.duck import DuckSession
from kpiengine.errors import DataError
from kpiengine.hide import hidden
from kpiengine.manifest import NAME as MANIFEST
from kpiengine.manifest import Written, listed_in, manifest_text
from kpiengine.model.source import quoted
from kpiengine.records import dataclass
from kpiengine.store import Store

if TYPE_CHECKING:
    import pyarrow

COMPRESSION = "ZSTD"
FOOTER = b"kpiengine"
"""The key in a Parquet footer that tells an export's file from all others."""


_TARGET = "target"


@dataclass(frozen=True)
class Exported:
    """What an export wrote: where, how many rows and files, how many bytes, in how many seconds."""

    name: str
    path: Path | Store
    rows: int
    files: int
    bytes: int
    seconds: float


Rows = Callable[[], "pyarrow.RecordBatchReader"]


def _not_written(target: Path) -> bool:
    return False


def write_parquet(
    session: DuckSession,
    rows: str | Rows,
    path: Path,
    *,
    partition_by: Sequence[str],
    footer: Mapping[str, str],
    written: Callable[[Path], bool] = _not_written,
) -> tuple[int, int, int]:
    """Writes rows to `path`: one file where it ends in `.parquet`, else a folder of files.

    `rows` is the text of a `copy_statement` with this footer's keys, or what opens a stream of them. `written` may
    write them in DuckDB's place, to the file or into the empty folder that it is given, and says whether it did.
    `footer` stands in every file's key-value metadata, or in the folder's manifest where `written` could not put it
    there. Gives rows, files and bytes. Raises DataError or EngineError.
    """
    single = path.suffix == ".parquet"
    if single and partition_by:
        raise DataError(f"{path} is one file, and partition_by makes a folder: give a path without .parquet")
    with replaced(path, folder=not single) as place:
        target = place if single or partition_by else place / "data.parquet"
        number = None
        if not written(place):
            number = _copied(session, rows, target, partition_by, footer, f"export to {path}")
        files = [place] if single else sorted(place.rglob("*.parquet"))
        size = sum(f.stat().st_size for f in files)
        if number is None:
            number = _rows_in(files)
            if not single and not all(_has_footer(file) for file in files):
                _write_manifest(place, files, footer)
    return number, len(files), size


def _write_manifest(folder: Path, files: Iterable[Path], footer: Mapping[str, str]) -> None:
    made = [Written(f.relative_to(folder).as_posix(), f.stat().st_size, _rows_in([f])) for f in files]
    (folder / MANIFEST).write_text(manifest_text(footer, made), encoding="utf-8")


def _copied(
    session: DuckSession, rows: str | Rows, target: Path, partition_by: Sequence[str],
    footer: Mapping[str, str], what: str,
) -> int:  # fmt: skip
    """Writes by DuckDB's COPY; gives the number of rows."""
    values = {_TARGET: str(target), **footer}
    if isinstance(rows, str):
        return int(session.rows(rows, what, values=values)[0][0])
    statement = copy_statement(exp.select("*").from_("streamed_rows"), partition_by, footer).sql("duckdb")
    raised: list[BaseException] = []
    try:
        stream = _watched(rows(), raised)
        return int(session.rows(statement, what, {"streamed_rows": stream}, values)[0][0])
    except BaseException as error:
        if raised:  # DuckDB knows of it no more than its text
            raise raised[0] from error
        raise


def _watched(stream: pyarrow.RecordBatchReader, raised: list[BaseException]) -> pyarrow.RecordBatchReader:
    """The same stream; what it raises is noted."""
    import pyarrow

    def batches() -> Iterator[pyarrow.RecordBatch]:
        try:
            yield from stream
        except BaseException as error:
            raised.append(error)
            raise

    return pyarrow.RecordBatchReader.from_batches(stream.schema, batches())


def _rows_in(files: Iterable[Path]) -> int:
    import pyarrow.parquet

    return sum(pyarrow.parquet.read_metadata(file).num_rows for file in files)


def rows_below(folder: Path) -> int:
    """How many rows the Parquet files of a folder have, at any depth, as their footers tell."""
    return _rows_in(folder.rglob("*.parquet"))


def copy_statement(query: exp.Query, partition_by: Sequence[str], footer: Iterable[str]) -> exp.Copy:
    """COPY … TO … as a tree, which takes the query in. `footer` are keys: their values, and the place, are given when
    it runs, so that the same text writes the same query at another time."""
    metadata = exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(key), expression=exp.Placeholder(this=key)) for key in footer
        ]
    )
    settings: list[tuple[str, exp.Expr]] = [
        ("FORMAT", exp.var("PARQUET")),
        ("COMPRESSION", exp.var(COMPRESSION)),
        ("KV_METADATA", metadata),
    ]
    if partition_by:
        settings.append(("PARTITION_BY", exp.Tuple(expressions=[quoted(c) for c in partition_by])))
    parameters = [exp.CopyParameter(this=exp.var(name), expression=value) for name, value in settings]
    return exp.Copy(this=exp.Subquery(this=query), kind=False, files=[exp.Placeholder(this=_TARGET)], params=parameters)


@contextmanager
def replaced(path: Path, *, folder: bool) -> Iterator[Path]:
    """A free place beside `path`, for a file or a folder, that takes its name when the block ends well.

    Raises DataError where `path` cannot be written, or holds anything that no export wrote.
    """
    path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear(path)
        _refuse_other(path, folder)
        with folder_beside(path) as beside:
            place = beside / "new"
            if folder:
                place.mkdir()
            yield place
            _refuse_other(path, folder)
            put_down(place)
            _put(place, path, beside)
    except OSError as error:
        raise DataError(f"cannot write {path}: {_why(path, error)}") from error


def _why(path: Path, error: OSError) -> str:
    """What keeps `path` from being written, and the cure where there is one to tell."""
    reason, nearest = error.strerror or str(error), next(p for p in path.parents if p.exists())
    if not nearest.is_dir():
        return f"{nearest} is a file, not a folder: give another path, or remove it"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{reason}; check who may write to {nearest}, or give another path"
    return reason


def put_down(place: Path) -> None:
    """Waits until all of it is on the disk: a name must not point at what a power cut would take."""
    for file in [place] if place.is_file() else [p for p in place.rglob("*") if p.is_file()]:
        with file.open("rb") as stream:
            os.fsync(stream.fileno())


def _put(new: Path, path: Path, beside: Path) -> None:
    """Moves `new` to `path` in one step, whatever is there."""
    try:
        new.replace(path)  # nothing is there, a file in a file's place, or an empty folder
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    if not _exchanged(new, path):
        # Without an exchange in one step there is a moment in which the place is empty.
        path.rename(beside / OLD)
        new.rename(path)


def _refuse_other(path: Path, folder: bool) -> None:
    """Keeps an export from taking the place of anything but another export of its form."""
    if not path.exists():
        return
    if path.is_dir() != folder:
        there, made = ("file", "folder") if folder else ("folder", "file")
        raise DataError(f"{path} is a {there}, and the export is a {made}: give another path, or remove it")
    if not folder:
        if not _has_footer(path):
            raise DataError(f"{path} is there, and no export wrote it: it is left alone; give another path")
        return
    listed = listed_in(path)
    for found in path.rglob("*"):
        if found.is_symlink() or not (found.is_dir() or _is_listed(found, listed) or _has_footer(found)):
            name = found.relative_to(path)
            raise DataError(f"{path} holds {name}, which no export wrote: it is left alone; give another path")


def refuse_overlap(places: Mapping[str, Path | Store]) -> None:
    """Raises DataError where one export's place is another's, or lies in it: the one would take the other away."""
    by_path: dict[PurePath, str] = {}
    for name, place in places.items():
        other = by_path.setdefault(place.comparable if isinstance(place, Store) else place.resolve(), name)
        if other != name:
            raise DataError(f'the exports "{other}" and "{name}" have one path: {place}; give one of them another')
    for where, name in by_path.items():
        above = next((by_path[folder] for folder in where.parents if folder in by_path), None)
        if above is not None:
            raise DataError(
                f'the path of export "{name}", {places[name]}, lies in that of export "{above}"; give it another'
            )


def _is_listed(path: Path, listed: Mapping[Path, int]) -> bool:
    """Whether this is a manifest, or a file that it lists."""
    return path.name == MANIFEST if path not in listed else path.stat().st_size == listed[path]


def _has_footer(path: Path) -> bool:
    """Whether an export wrote this file: its footer says so."""
    import pyarrow
    import pyarrow.parquet

    if path.suffix != ".parquet" or not path.is_file():
        return False
    try:
        return FOOTER in (pyarrow.parquet.read_metadata(path).metadata or {})
    except (OSError, pyarrow.ArrowException):
        return False


def _exchanged(one: Path, other: Path) -> bool:
    """Exchanges two paths in one step where the system can (Linux: renameat2 with RENAME_EXCHANGE)."""
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return False
    here, exchange = -100, 2
    if library.renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number), str(other))


def footer_of(
    definitions: Mapping[str, str], query: Mapping[str, object], version: str, engine: str, time: str,
    secrets: Iterable[str] = (),
) -> dict[str, str]:  # fmt: skip
    """The key-value metadata of an export: which definitions (metric → hash), query, engine and time made it.

    Values of `secrets` are hidden.
    """
    return {
        "kpiengine": version,
        "kpiengine_definitions": json.dumps(dict(definitions), sort_keys=True),
        "kpiengine_query": hidden(json.dumps(query, sort_keys=True, default=str), secrets),
        "kpiengine_engine": engine,
        "kpiengine_time": time,
    }
