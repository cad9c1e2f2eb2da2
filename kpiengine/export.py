"""Results → Parquet files, put in their place whole or not at all.

A folder or file is made beside its place and moved there in one step of the file system, so that a reader sees the
old one or the new one, and a run that is killed leaves the old one.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlglot import exp

from kpiengine.duck import DuckSession, engine_errors
from kpiengine.errors import DataError
from kpiengine.model.source import quoted

COMPRESSION = "ZSTD"


@dataclass(frozen=True)
class Exported:
    """What an export wrote: where, how many rows and files, how many bytes, in how many seconds."""

    name: str
    path: Path
    rows: int
    files: int
    bytes: int
    seconds: float


def write_parquet(
    session: DuckSession, query: exp.Query, path: Path, *, partition_by: Sequence[str], footer: Mapping[str, str]
) -> tuple[int, int, int]:
    """Writes the rows of `query` to `path`: one file where it ends in `.parquet`, else a folder of files.

    `footer` stands in every file's key-value metadata. Gives rows, files and bytes. Raises DataError or EngineError.
    """
    single = path.suffix == ".parquet"
    if single and partition_by:
        raise DataError(f"{path} is one file, and partition_by makes a folder: give a path without .parquet")
    with replaced(path) as place:
        if not single:
            place.mkdir()
        target = place if single or partition_by else place / "data.parquet"
        statement = copy_statement(query, target, partition_by, footer)
        with engine_errors(f"export to {path}"):
            row = session.rows(statement.sql("duckdb"))
        files = [place] if single else sorted(place.rglob("*.parquet"))
        size = sum(f.stat().st_size for f in files)
    return int(row[0][0]), len(files), size


def copy_statement(query: exp.Query, target: Path, partition_by: Sequence[str], footer: Mapping[str, str]) -> exp.Copy:
    """COPY … TO … as a tree."""
    metadata = exp.Struct(
        expressions=[
            exp.PropertyEQ(this=exp.to_identifier(k), expression=exp.Literal.string(v)) for k, v in footer.items()
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
    return exp.Copy(
        this=exp.Subquery(this=query.copy()), kind=False, files=[exp.Literal.string(str(target))], params=parameters
    )


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A free place beside `path` that is put in its place when the block ends well, and removed otherwise."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise DataError(f"cannot write to {path.parent}: {error.strerror}") from error
    place = beside / path.name
    try:
        yield place
        _put(place, path, beside)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _put(new: Path, path: Path, beside: Path) -> None:
    """Moves `new` to `path` in one step, whatever is there."""
    if not path.is_dir():
        if new.is_dir() and path.exists():
            raise DataError(f"{path} is a file, and the export is a folder: remove it, or give another path")
        new.replace(path)
        return
    if new.is_file():
        raise DataError(f"{path} is a folder, and the export is one file: remove it, or give another path")
    if not any(path.iterdir()):
        new.replace(path)  # rename replaces an empty folder
        return
    _refuse_foreign(path)
    if not _exchanged(new, path):
        # Without an exchange in one step there is a moment in which the place is empty.
        path.rename(beside / "old")
        new.rename(path)


def _refuse_foreign(path: Path) -> None:
    """Keeps an export from replacing a folder that holds anything but Parquet files."""
    for found in path.rglob("*"):
        if found.is_file() and found.suffix != ".parquet":
            raise DataError(f"{path} holds {found.name}, which no export wrote: it is left alone; give another path")


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
    definitions: Mapping[str, str], query: Mapping[str, object], version: str, engine: str, time: str
) -> dict[str, str]:
    """The key-value metadata of an export: which definitions (metric → hash), query, engine and time made it."""
    return {
        "kpiengine": version,
        "kpiengine_definitions": json.dumps(dict(definitions), sort_keys=True),
        "kpiengine_query": json.dumps(query, sort_keys=True, default=str),
        "kpiengine_engine": engine,
        "kpiengine_time": time,
    }
