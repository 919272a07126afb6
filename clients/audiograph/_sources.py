"""What can be uploaded: a path, bytes, an open binary file, or an iterator of bytes."""

from __future__ import annotations

import io
import os
import re
from collections.abc import AsyncIterable, Generator, Iterable
from pathlib import Path
from typing import BinaryIO, Protocol, cast, runtime_checkable

from audiograph.schemas import File

CHUNK_BYTES = 256 * 1024
UNNAMED = "audio"

_STORED_ID = re.compile(r"(file|art)_[0-9a-f]{32}")


@runtime_checkable
class Readable(Protocol):
    """An open binary file, or anything that reads like one."""

    def read(self, size: int = ..., /) -> bytes:
        """The next bytes, at most ``size`` of them; empty at the end."""
        ...


Content = str | os.PathLike[str] | bytes | Readable | Iterable[bytes]
AsyncContent = Content | AsyncIterable[bytes]
Input = Content | File
"""For ``file`` of a request: a stored file or artifact, its id, or content to upload first."""
AsyncInput = AsyncContent | File


def stored_id(given: AsyncInput) -> str | None:
    """The id if this is already on the server: a record, or a string that has the form of an id."""
    if isinstance(given, File):
        return given.id
    return given if isinstance(given, str) and _STORED_ID.fullmatch(given) else None


class Source:
    """Content to upload, with its name, its size if known, and whether it can be read again."""

    def __init__(self, content: AsyncContent, name: str | None = None) -> None:
        """Look at the content without reading it.

        Raises:
            FileNotFoundError: there is no such path.
        """
        self.content = Path(content) if isinstance(content, (str, os.PathLike)) else content
        self.name = name or _name_of(self.content)
        self.started = False
        self._start = _position(self.content)
        self.size = self._measure()

    @property
    def replayable(self) -> bool:
        """Whether the next reading would begin at the first byte."""
        return not self.started or isinstance(self.content, (Path, bytes)) or self._start is not None

    def chunks(self) -> Generator[bytes, None, None]:
        """The bytes from the first one on, in parts.

        Raises:
            TypeError: the content is an async iterable, or yields text.
        """
        self.started = True
        if isinstance(self.content, Path):
            with self.content.open("rb") as file:
                yield from _parts(file)
        elif isinstance(self.content, bytes):
            yield from _parts(io.BytesIO(self.content))
        elif isinstance(self.content, Readable):
            if self._start is not None:
                _seekable(self.content).seek(self._start)
            yield from _parts(self.content)
        elif isinstance(self.content, Iterable):
            yield from self.content
        else:
            raise TypeError("an async iterable can be uploaded by AsyncAudiograph alone")

    def _measure(self) -> int | None:
        if isinstance(self.content, Path):
            return self.content.stat().st_size
        if isinstance(self.content, bytes):
            return len(self.content)
        if self._start is None:
            return None
        file = _seekable(self.content)
        end = file.seek(0, os.SEEK_END)
        file.seek(self._start)
        return end - self._start


def _parts(file: Readable) -> Generator[bytes, None, None]:
    while part := file.read(CHUNK_BYTES):
        if not isinstance(part, bytes):
            raise TypeError("open the file in binary mode: it yields text")
        yield part


def _position(content: object) -> int | None:
    """Where an open file stands, if it can be brought back to there."""
    seekable = getattr(content, "seekable", None)
    return _seekable(content).tell() if seekable is not None and seekable() else None


def _seekable(content: object) -> BinaryIO:
    return cast(BinaryIO, content)


def _name_of(content: object) -> str:
    name = getattr(content, "name", None)  # of a path or an open file; the latter may be a number
    return Path(name).name or UNNAMED if isinstance(name, str) else UNNAMED
