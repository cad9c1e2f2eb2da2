"""Folders by their URLs (`s3://lake/kpis/monthly`): object stores, and file systems that are to be used as one.

pyarrow's file systems reach them, with the credentials of this machine (environment, profile, role). On object stores
nothing can be renamed or replaced in one step but a single object, so what is there is made visible by a pointer: see
`kpiengine.generations`. pyarrow is imported when a place is opened.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from kpiengine.errors import DataError
from kpiengine.manifest import NAME, Written
from kpiengine.records import dataclass

if TYPE_CHECKING:
    import pyarrow.fs

AT_ONCE = 16
"""Requests to a store that are under way together."""

Given = TypeVar("Given")
Made = TypeVar("Made")

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):/")
_SAME = {"s3a": "s3", "s3n": "s3"}
"""Schemes that Hadoop has for what others call s3."""


def is_url(place: str) -> bool:
    """Whether a place is written as a URL, and no path (`C:/data` is one)."""
    return _SCHEME.match(place) is not None


def place_of(written: str | os.PathLike[str]) -> Path | Store:
    """A place as it is written: a folder by its URL, else a path."""
    text = os.fspath(written)
    return Store(text) if is_url(text) else Path(text)


@dataclass(frozen=True)
class Store:
    """A folder by its URL, as the project has it: executors are told it like this. Errors are DataErrors."""

    url: str

    def __str__(self) -> str:
        return self.url

    def __truediv__(self, below: str) -> Store:
        return Store(f"{self.url.rstrip('/')}/{below}")

    @property
    def comparable(self) -> PurePosixPath:
        """The place, for telling whether two are one or lie in each other."""
        scheme, rest = self.url.split(":", 1)
        if scheme == "file":
            return PurePosixPath(Path(unquote(urlsplit(self.url).path)).resolve())
        return PurePosixPath(f"{_SAME.get(scheme, scheme)}:{rest}")

    @cached_property
    def opened(self) -> tuple[pyarrow.fs.FileSystem, str]:
        """The file system, and the folder's path in it."""
        import pyarrow
        import pyarrow.fs

        scheme, rest = self.url.split(":", 1)
        if _SAME.get(scheme, scheme) == "s3" and "@" in urlsplit(self.url).netloc:
            raise DataError("credentials do not belong in the URL of a store: put them into the environment")
        try:
            system, path = pyarrow.fs.FileSystem.from_uri(f"{_SAME.get(scheme, scheme)}:{rest}")
        except (pyarrow.ArrowException, ValueError) as error:
            if "nrecognized filesystem" not in str(error):
                raise DataError(f"{self.url} is no place to write to: {_first_line(error)}") from None
            known = "s3://, s3a://, gs://, abfss:// and file://"
            cure = "or the path under which this machine sees it"
            raise DataError(f'nothing is known of the scheme "{scheme}:" of {self.url}: give {known}, {cure}') from None
        except OSError as error:
            raise self.failed("cannot be reached", error) from error
        return system, path.rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether this is a file system of the machine."""
        return bool(self.opened[0].type_name == "local")

    @property
    def is_file(self) -> bool:
        """Whether the URL is that of a file, and not of a folder."""
        system, path = self.opened
        try:
            found: pyarrow.fs.FileInfo = system.get_file_info(path)
        except OSError as error:
            raise self.failed("cannot be read", error) from error
        return bool(found.is_file)

    def failed(self, what: str, error: BaseException) -> DataError:
        """What is said where the store does not do something."""
        return DataError(f"{self.url} {what}: {_first_line(error)}")

    def read(self, below: str) -> bytes | None:
        """The bytes of a file; None where there is none."""
        system, path = self.opened
        try:
            with system.open_input_stream(f"{path}/{below}") as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self.failed("cannot be read", error) from error

    def put(self, below: str, content: bytes) -> None:
        """Writes a file in one step: a reader finds the old one or the new one, whole."""
        system, path = self.opened
        try:
            if self.is_local:
                _put_in_one_step(Path(path) / below, content)
                return
            # One object: stores show it when the upload is complete, and the old one until then.
            stream = system.open_output_stream(f"{path}/{below}")
            stream.write(content)
            stream.close()
        except OSError as error:
            raise self.failed("cannot be written", error) from error

    def upload(self, folder: Path, below: str) -> None:
        """Writes what lies in a folder of this machine to a place below."""
        files = [file for file in folder.rglob("*") if file.is_file()]

        def copied(file: Path) -> None:
            system, path = self.opened
            target = f"{path}/{below}/{file.relative_to(folder).as_posix()}"
            if self.is_local:
                system.create_dir(target.rsplit("/", 1)[0])
            with file.open("rb") as given, system.open_output_stream(target) as stream:
                while chunk := given.read(8 << 20):
                    stream.write(chunk)

        try:
            _each(copied, files)
        except OSError as error:
            raise self.failed("cannot be written", error) from error

    def names(self, below: str = "") -> list[str]:
        """What lies in the folder, or in one below it; nothing where there is none."""
        import pyarrow.fs

        system, path = self.opened
        where = f"{path}/{below}".rstrip("/")
        try:
            found = system.get_file_info(pyarrow.fs.FileSelector(where, allow_not_found=True))
        except OSError as error:
            raise self.failed("cannot be listed", error) from error
        return sorted(info.base_name for info in found)

    def parquet(self, below: str) -> tuple[Written, ...]:
        """The Parquet files below, at any depth: paths from here, sizes, and rows, as their footers tell them."""
        import pyarrow
        import pyarrow.fs
        import pyarrow.parquet

        system, path = self.opened

        def told(info: pyarrow.fs.FileInfo) -> Written:
            with system.open_input_file(info.path) as file:
                rows = pyarrow.parquet.read_metadata(file).num_rows
            return Written(info.path[len(path) + 1 :], info.size, rows)

        try:
            selector = pyarrow.fs.FileSelector(f"{path}/{below}", allow_not_found=True, recursive=True)
            found = [i for i in system.get_file_info(selector) if i.is_file and i.path.endswith(".parquet")]
            return tuple(sorted(_each(told, found), key=lambda written: written.path))
        except (OSError, pyarrow.ArrowException) as error:
            raise self.failed("cannot be read", error) from error

    def remove(self, below: str) -> None:
        """Removes a folder below with all that is in it."""
        system, path = self.opened
        try:
            system.delete_dir(f"{path}/{below}")
        except FileNotFoundError:
            return
        except OSError as error:
            raise self.failed("is written, and what is older cannot be removed", error) from error


def _each(function: Callable[[Given], Made], given: Iterable[Given]) -> list[Made]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(function, given))


def _put_in_one_step(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{NAME}.{secrets.token_hex(6)}")
    try:
        with beside.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
