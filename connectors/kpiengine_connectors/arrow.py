"""Arrow IPC files (Feather, version 2) and streams, mapped into memory and read as far as a query needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from kpiengine.connector import ArrowRelation, Connector, OptionType, SourceContext
from kpiengine.errors import DataError
from kpiengine.hooks import hookimpl

_FILE_MAGIC = b"ARROW1"
_FEATHER_1_MAGIC = b"FEA1"


@hookimpl
def register_connectors() -> Iterable[type[Connector]]:
    """The connector `arrow`."""
    return [Arrow]


class Arrow(Connector):
    """Arrow IPC files and streams, and Feather files. Options:

    - `path`: a file, a pattern or a list; columns of several files meet by name.
    """

    name = "arrow"
    endings = (".arrow", ".arrows", ".ipc", ".feather")
    options: ClassVar[Mapping[str, OptionType]] = {"path": (str, list)}

    def relation(self, options: Mapping[str, Any], context: SourceContext) -> ArrowRelation:
        """A dataset over the files, of which a query reads the columns that it needs; a table where one is a stream."""
        import pyarrow

        from kpiengine_connectors import _files

        found = _files.find(options["path"], context)
        starts = {path: _start(path, context) for path in found.files}
        open_rows: Callable[[], Any]
        if all(start.startswith(_FILE_MAGIC) for start in starts.values()):
            dataset = _guarded(lambda: _dataset(found.files), found.files, context)

            def open_rows() -> Any:
                return dataset
        else:
            tables = [_guarded(_reader(path, start), (path,), context) for path, start in starts.items()]
            table = _guarded(lambda: pyarrow.concat_tables(tables, promote_options="permissive"), found.files, context)

            def open_rows() -> Any:
                return table

        return ArrowRelation(open_rows, files=found.files)


def _start(path: Path, context: SourceContext) -> bytes:
    from kpiengine_connectors._files import reading_error

    try:
        with path.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise reading_error(context, path, error) from error
    if not start:
        raise DataError(f'source "{context.source}": {path} is empty')
    return start


def _dataset(paths: Sequence[Path]) -> Any:
    import pyarrow
    import pyarrow.dataset

    parts = [pyarrow.dataset.dataset(path, format="ipc") for path in paths]
    schema = pyarrow.unify_schemas([part.schema for part in parts], promote_options="permissive")
    return pyarrow.dataset.dataset([str(path) for path in paths], format="ipc", schema=schema)


def _reader(path: Path, start: bytes) -> Callable[[], Any]:
    def read() -> Any:
        import pyarrow
        from pyarrow import feather, ipc

        if start.startswith(_FEATHER_1_MAGIC):
            return feather.read_table(path)
        with pyarrow.memory_map(str(path)) as mapped:
            opened = ipc.open_file if start.startswith(_FILE_MAGIC) else ipc.open_stream
            return opened(mapped).read_all()

    return read


def _guarded(make: Callable[[], Any], paths: Sequence[Path], context: SourceContext) -> Any:
    """What `make` gives, its failures told with the files."""
    import pyarrow

    try:
        return make()
    except (pyarrow.ArrowException, OSError) as error:
        names = ", ".join(str(path) for path in paths)
        reason = " ".join(str(error).split())
        raise DataError(f'source "{context.source}": {names} cannot be read as Arrow: {reason}') from error
