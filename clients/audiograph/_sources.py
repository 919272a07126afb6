"""Content of an upload: a path, bytes, an open binary file, or an iterator of bytes."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import AsyncIterable, Generator, Iterable
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import BinaryIO, Protocol, cast, runtime_checkable

from audiograph._wording import shown
from audiograph.errors import InvalidAudio, InvalidRequest
from audiograph.schemas import File, is_item_id

CHUNK_BYTES = 256 * 1024
DEFAULT_NAME = "audio"
UPLOAD_PLACEHOLDER = "to-be-uploaded"
"""Stands for the id of a file while its request is validated, before the upload."""


@runtime_checkable
class Readable(Protocol):
    """An open binary file, or an object with the same ``read``."""

    def read(self, size: int = ..., /) -> bytes:
        """Read at most ``size`` bytes; empty at the end of the file."""
        ...


Bytes = bytes | bytearray | memoryview
Content = str | os.PathLike[str] | Bytes | Readable | Iterable[bytes]
AsyncContent = Content | AsyncIterable[bytes]
Input = Content | File
"""``file`` of a request: a stored file or artifact, its id, or content to upload first."""
AsyncInput = AsyncContent | File


def stored_id(given: AsyncInput) -> str | None:
    """Return the id of a record, or a string in the form of an id; None for content to upload."""
    if isinstance(given, File):
        return given.id
    return given if isinstance(given, str) and is_item_id(given) else None


class Source:
    """Content to upload, with its name and, if known, its size."""

    def __init__(self, content: AsyncContent, name: str | None = None) -> None:
        """Find the name and size without reading the content.

        Raises:
            OSError: the path does not exist, is a folder, or cannot be read.
            InvalidAudio: the content is empty.
            InvalidRequest: the name cannot be sent.
            TypeError: the content is of another type, or a file that is open for text or for writing only.
        """
        self.content = _plain(content)
        if isinstance(self.content, Path):
            _check_path(self.content, os.fspath(cast(str, content)))
        else:
            _check_type(self.content)
        self.name = _check_name(name or _name_of(self.content))
        self.started = False
        self._start = _position(self.content)
        self.size = self._measure()
        if self.size == 0:
            raise InvalidAudio(f"file: {shown(self.name)} is empty; choose a recording", field="file")

    @property
    def replayable(self) -> bool:
        """Whether the next read starts at the first byte."""
        if isinstance(self.content, Path):
            return not self.started or self.size is not None
        return not self.started or isinstance(self.content, bytes) or self._start is not None

    def chunks(self) -> Generator[bytes, None, None]:
        """Yield the content in chunks, from its first byte.

        Raises:
            TypeError: the content yields text, or anything else that is not bytes.
        """
        self.started = True
        if isinstance(self.content, Path):
            with self.content.open("rb") as file:
                yield from _read_chunks(file)
        elif isinstance(self.content, bytes):
            yield from _read_chunks(io.BytesIO(self.content))
        elif isinstance(self.content, Readable):
            if self._start is not None:
                _seekable(self.content).seek(self._start)
            yield from _read_chunks(self.content)
        else:
            yield from map(checked_chunk, cast(Iterable[object], self.content))

    def _measure(self) -> int | None:
        if isinstance(self.content, Path):
            found = self.content.stat()
            return found.st_size if S_ISREG(found.st_mode) else None  # a pipe has no size
        if isinstance(self.content, bytes):
            return len(self.content)
        if self._start is None:
            return None
        file = _seekable(self.content)
        end = file.seek(0, os.SEEK_END)
        file.seek(self._start)
        return end - self._start


def _read_chunks(file: Readable) -> Generator[bytes, None, None]:
    while chunk := file.read(CHUNK_BYTES):
        yield checked_chunk(chunk)


def checked_chunk(chunk: object) -> bytes:
    """Return a part of the content as bytes.

    Raises:
        TypeError: it is text, or anything else that is not bytes.
    """
    if isinstance(chunk, str):
        raise TypeError("open the file in binary mode: it yields text")
    if not isinstance(chunk, Bytes):
        raise TypeError(f"the content must yield bytes, not {shown(chunk)}; send the bytes of a file")
    return bytes(chunk)


def _plain(content: AsyncContent) -> Path | bytes | Readable | Iterable[bytes] | AsyncIterable[bytes]:
    """Return content in its plain form: a path as Path, and any bytes as bytes, which nobody can change."""
    if isinstance(content, (str, os.PathLike)):
        return Path(content)
    return bytes(content) if isinstance(content, Bytes) else content


def _check_path(path: Path, given: str) -> None:
    if not given:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), given)
    mode = path.stat().st_mode
    if S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), given)
    if S_ISREG(mode):  # to open a pipe would take it from the upload
        path.open("rb").close()


def _check_type(content: object) -> None:
    if not isinstance(content, bytes | Readable | Iterable | AsyncIterable):
        raise TypeError(f"file must be a path, bytes, an open file or an iterator, not {shown(content)}")
    if isinstance(content, io.TextIOBase):
        raise TypeError("open the file in binary mode: it yields text")
    if isinstance(content, io.IOBase) and not content.readable():
        raise TypeError("open the file for reading: it is open for writing only")


def _check_name(name: str) -> str:
    try:
        name.encode(errors="surrogateescape")
    except (AttributeError, UnicodeEncodeError) as error:
        raise InvalidRequest(f"name is {shown(name)}: it must be text in Unicode", field="name") from error
    return name


def _position(content: object) -> int | None:
    """Return the position of a seekable file; None for all other content."""
    seekable = getattr(content, "seekable", None)
    return _seekable(content).tell() if seekable is not None and seekable() else None


def _seekable(content: object) -> BinaryIO:
    return cast(BinaryIO, content)


def _name_of(content: object) -> str:
    name = getattr(content, "name", None)  # a number for an open file without a path
    return Path(name).name or DEFAULT_NAME if isinstance(name, str) else DEFAULT_NAME
