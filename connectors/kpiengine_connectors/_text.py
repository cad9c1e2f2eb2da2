"""Text files in any encoding: their beginnings, and copies of them in UTF-8, which DuckDB reads."""

from __future__ import annotations

import codecs
import gzip
import hashlib
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from kpiengine.errors import DataError
from kpiengine_connectors._files import reading_error

if TYPE_CHECKING:
    from kpiengine.connector import SourceContext

HEAD_BYTES = 1 << 18
_CHUNK = 1 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHERS = (
    (b"PAR1", "a Parquet file"),
    (b"PK\x03\x04", "a workbook (.xlsx) or a zip file"),
    (b"\xd0\xcf\x11\xe0", "a workbook (.xls)"),
    (b"\x1f\x8b", "packed (.gz)"),
    (b"\x28\xb5\x2f\xfd", "packed (.zst)"),
    (b"ARROW1", "an Arrow file"),
)
CURE = "name its encoding, e.g. encoding: windows-1252 (or latin-1, windows-1256, utf-16, …)"


def head(path: Path, context: SourceContext) -> bytes:
    """The first bytes of a file, unpacked. DataError for an empty file, or one that cannot be read or unpacked."""
    try:
        with unpacked(path) as stream:
            data = stream.read(HEAD_BYTES)
    except OSError as error:
        raise reading_error(context, path, error) from error
    except EOFError as error:
        raise DataError(f'source "{context.source}": {path} ends too early: was its download cut?') from error
    if not data.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise DataError(f'source "{context.source}": {path} is empty')
    return data


def encoding_of(data: bytes, given: str | None, path: Path, context: SourceContext) -> str:
    """The Python name of a file's encoding: what its byte order mark says, else what is given, else UTF-8."""
    try:
        name = codecs.lookup(given).name if given else "utf-8"
    except LookupError:
        known = "utf-8, utf-16, latin-1, windows-1252, windows-1256"
        raise DataError(
            f'source "{context.source}": unknown encoding "{given}"; there are {known}, and all that Python knows'
        ) from None
    other = next((what for start, what in _OTHERS if data.startswith(start)), None)
    if other is not None:
        raise DataError(f'source "{context.source}": {path} is no text file but {other}; give it the ending of one')
    marked = next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)
    if marked is not None:
        return marked
    if name == "utf-16":
        raise DataError(
            f'source "{context.source}": {path} has no byte order mark, so it is not UTF-16 as such files are written; '
            f"name the order of its bytes (encoding: utf-16-le or utf-16-be), or leave the encoding out"
        )
    if name in ("utf-8", "utf-8-sig") and data[:4096].count(b"\x00") * 4 > len(data[:4096]):
        raise DataError(
            f'source "{context.source}": {path} has bytes that no text has; it may be UTF-16: encoding: utf-16-le'
        )
    return "utf-8" if name == "utf-8-sig" else name


def decoded(data: bytes, encoding: str, path: Path, context: SourceContext) -> str:
    """The head of a file as text, a character that the head cuts in two left out."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise _not_encoded(path, line, encoding, context, error) from error


def holds(path: Path, low: int, high: int) -> bool:
    """Whether a file has a byte between the two."""
    wanted = re.compile(b"[" + re.escape(bytes([low])) + b"-" + re.escape(bytes([high])) + b"]")
    with unpacked(path) as stream:
        return any(wanted.search(chunk) for chunk in iter(lambda: stream.read(_CHUNK), b""))


def utf8_copy(path: Path, encoding: str, context: SourceContext) -> Path:
    """A copy of a text file in UTF-8 with plain line ends, made once for each state of the file.

    Raises:
        DataError: the file holds bytes that this encoding does not have, with the line.
    """
    state = path.stat()
    told = f"{path.resolve()}|{state.st_mtime_ns}|{state.st_size}|{encoding}"
    stem = path.name.split(".")[0]
    made = context.scratch() / f"{stem}-{hashlib.sha256(told.encode()).hexdigest()[:12]}{_ending(path)}"
    if made.exists():
        return made
    partial = made.with_name(made.name + ".partial")
    lines = 0
    try:
        with (
            unpacked(path) as stream,
            io.TextIOWrapper(stream, encoding=encoding, newline=None) as reader,
            partial.open("w", encoding="utf-8", newline="\n") as writer,
        ):
            first = True
            while text := reader.read(_CHUNK):
                lines += text.count("\n")
                writer.write(text.removeprefix("\ufeff") if first else text)
                first = False
    except UnicodeError as error:
        raise _not_encoded(path, lines + 1, encoding, context, error) from error
    except (OSError, EOFError) as error:
        raise reading_error(context, path, OSError(str(error))) from error
    partial.replace(made)
    return made


def _not_encoded(path: Path, line: int, encoding: str, context: SourceContext, error: UnicodeError) -> DataError:
    place = f"from line {line} on" if line > 1 else "from its beginning"
    reason = getattr(error, "reason", str(error))
    return DataError(f'source "{context.source}": {path} is not {encoding} {place} ({reason}); {CURE}')


def _ending(path: Path) -> str:
    endings = [e for e in path.suffixes if e.lower() not in (".gz", ".zst")]
    return endings[-1] if endings else ".txt"


def unpacked(path: Path) -> BinaryIO:
    """A file as bytes, unpacked where its ending says that it is packed."""
    ending = path.suffix.lower()
    if ending == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if ending == ".zst":
        import pyarrow

        # A Python buffer around it: Arrow's stream has no `readinto` that io.TextIOWrapper could use.
        return cast(BinaryIO, io.BufferedReader(_Raw(pyarrow.input_stream(str(path), compression="zstd"))))
    return path.open("rb")


class _Raw(io.RawIOBase):
    """An Arrow stream as Python's raw file."""

    def __init__(self, stream: object) -> None:
        self._stream: BinaryIO = cast(BinaryIO, stream)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        data = self._stream.read(len(view))
        view[: len(data)] = data
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()
