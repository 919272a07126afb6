"""``client.files``: the uploads that jobs read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import overload

from audiograph._async import download
from audiograph._async.http import AsyncHttp
from audiograph._async.upload import AsyncMultipart
from audiograph._checks import Track, checked
from audiograph._routes import route
from audiograph._sources import AsyncContent, AsyncInput, Source, stored_id
from audiograph.schemas import File

UPLOAD_TIMEOUT = 900.0
"""In seconds: the server decodes the whole upload before it responds."""


class AsyncFiles:
    """Upload, look up, download and delete files."""

    def __init__(self, http: AsyncHttp) -> None:
        self._http = http

    async def upload(
        self, content: AsyncContent, *, name: str | None = None, track: int | None = None
    ) -> File:
        """Upload a path, bytes, an open binary file or an iterator of bytes, in constant memory.

        A transient failure is retried if the content can be read again from its start.

        Args:
            content: the recording.
            name: file name; by default that of the path or file.
            track: number of the audio track to use, from 1, of a file with several; the server chooses
                if absent.

        Raises:
            OSError: the path does not exist (FileNotFoundError), is a folder or cannot be read.
            TypeError: the content is of another type, or a file that is open for text or for writing only.
            InvalidRequest: the track is not an integer from 1, or the server knows no tracks.
            InvalidAudio: the content is empty, or the server cannot decode it; the message has the reason.
            PayloadTooLarge: the content has more bytes than the server accepts.
        """
        checked(Track | None, track, "track")
        upload = AsyncMultipart(Source(content, name), track)
        return await self._http.fetch(File, "POST", route("files"), upload=upload, timeout=UPLOAD_TIMEOUT)

    async def stored(self, given: AsyncInput) -> str:
        """Return the id of a stored file or artifact; content is uploaded first."""
        known = stored_id(given)
        if known is not None:
            return known
        assert not isinstance(given, File)
        return (await self.upload(given)).id

    async def get(self, file: File | str) -> File:
        """Return the record of an upload; raises NotFound."""
        return await self._http.fetch(File, "GET", route("files", file))

    async def delete(self, file: File | str) -> None:
        """Delete an upload; raises NotFound, or Conflict while a job needs it."""
        await self._http.delete(route("files", file))

    @overload
    async def download(self, file: File | str, to: None = None) -> bytes: ...
    @overload
    async def download(self, file: File | str, to: str | os.PathLike[str]) -> Path: ...
    async def download(self, file: File | str, to: str | os.PathLike[str] | None = None) -> bytes | Path:
        """Return the bytes, or save them and return the path.

        The path is ``to``, or a file inside of ``to`` if that is a folder or ends with a slash. A broken
        download is resumed, the SHA-256 is verified, and the file appears only when it is complete.

        Raises:
            ChecksumMismatch: the bytes do not match the file's SHA-256.
            OSError: no file can be written to ``to``.
        """
        await download.check_target(to)
        record = file if isinstance(file, File) else await self.get(file)
        return await download.read_or_save(self._http, route("files", record, "content"), record, to)
