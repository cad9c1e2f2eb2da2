"""Parquet: a file, a pattern, a list, or a folder partitioned as Hive does (`month=2026-01/…`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from kpiengine.connector import Connector, OptionType, SourceContext, SqlRelation
from kpiengine.errors import DataError
from kpiengine.hooks import hookimpl

if TYPE_CHECKING:
    from kpiengine_connectors._files import Found

_MAGIC = (b"PAR1", b"PARE")
_ENDINGS = (".parquet", ".parq", ".pq")


@hookimpl
def register_connectors() -> Iterable[type[Connector]]:
    """The connector `parquet`."""
    return [Parquet]


class Parquet(Connector):
    """Parquet files. Options:

    - `path`: a file, a pattern, a list, or a folder, whose files at any depth are read.
    - `hive`: whether folders named `column=value` are columns (told by the folders where it is not given).
    - `union_by_name`: columns of several files meet by name, and are NULL where a file lacks them (true); with false
      every file has to have the columns of the first.
    """

    name = "parquet"
    endings = _ENDINGS
    options: ClassVar[Mapping[str, OptionType]] = {"path": (str, list), "hive": bool, "union_by_name": bool}

    def relation(self, options: Mapping[str, Any], context: SourceContext) -> SqlRelation:
        """A call of DuckDB's `read_parquet`."""
        from sqlglot import exp

        found = _found(options["path"], context)
        for path in found.files:
            _check(path, context)
        arguments: list[exp.Expr] = [found.literal()]
        hive = options.get("hive", any(_partitioned(path, context.root) for path in found.files))
        if hive or "hive" in options:
            arguments.append(exp.EQ(this=exp.column("hive_partitioning"), expression=exp.convert(hive)))
        if len(found.files) > 1 and options.get("union_by_name", True):
            arguments.append(exp.EQ(this=exp.column("union_by_name"), expression=exp.true()))
        by_name = options.get("union_by_name", True)
        plain = "parquet" if by_name or len(found.files) == 1 else ""
        return SqlRelation(exp.ReadParquet(expressions=arguments), files=found.files, format=plain, hive=hive)


def _found(given: Any, context: SourceContext) -> Found:
    from kpiengine_connectors import _files

    found = _files.find(given, context, folders=True)
    folders = [path for path in found.files if path.is_dir()]
    if not folders:
        return found
    files: list[Path] = [path for path in found.files if path not in folders]
    written = [text for text in found.written if text not in {_files.escaped(folder) for folder in folders}]
    for folder in folders:
        inside = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _ENDINGS and not _hidden(p, folder))
        if not inside:
            raise DataError(f'source "{context.source}": there is no .parquet file in {folder}')
        files += inside
        # A pattern, so that a statement stays readable; where it would take other files than these, the list.
        pattern = f"{_files.escaped(folder)}/**/*.parquet"
        same = inside == sorted(folder.rglob("*.parquet"))
        written += [pattern] if same else [_files.escaped(path) for path in inside]
    return _files.Found(tuple(files), tuple(written))


def _hidden(path: Path, folder: Path) -> bool:
    """Files that writers leave beside the data (`_temporary/…`, `.part-0.parquet`)."""
    return any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)


def _partitioned(path: Path, root: Path) -> bool:
    """Whether a folder above a file says `column=value`; only those below the project's own, where it is there."""
    inside = path.relative_to(root) if path.is_relative_to(root) else path
    return any("=" in part for part in inside.parts[:-1])


def _check(path: Path, context: SourceContext) -> None:
    """A file that is no Parquet, or half of one, is named before DuckDB meets it."""
    from kpiengine_connectors._files import reading_error

    try:
        with path.open("rb") as stream:
            begins = stream.read(4)
            size = stream.seek(0, 2)
            stream.seek(max(size - 4, 0))
            ends = stream.read(4)
    except OSError as error:
        raise reading_error(context, path, error) from error
    if begins not in _MAGIC:
        reason = "is empty" if not size else "is not a Parquet file"
        raise DataError(f'source "{context.source}": {path} {reason}')
    if ends not in _MAGIC or size < 12:
        raise DataError(f'source "{context.source}": {path} is cut: its end is missing; write or fetch it again')
