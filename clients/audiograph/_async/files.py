"""``client.files``: what jobs read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import overload

from audiograph._async import download
from audiograph._async.http import AsyncHttp
from audiograph._async.upload import AsyncMultipart
from audiograph._routes import route
from audiograph._sources import AsyncContent, AsyncInput, Source, stored_id
from audiograph.schemas import File

DECODING_SECONDS = 900.0
"""The server decodes all of an upload before it answers."""


class AsyncFiles:
    """Upload, look up, download and delete files."""

    def __init__(self, http: AsyncHttp) -> None:
        self._http = http

    async def upload(self, content: AsyncContent, *, name: str | None = None) -> File:
        """Send a path, bytes, an open binary file or an iterator of bytes; memory use does not grow with it.

        A failure that may pass is retried if the content can be read again from its start.

        Raises:
            FileNotFoundError: there is no such path.
            InvalidAudio: the server cannot decode it; the message says why.
            PayloadTooLarge: it has more bytes than the server takes.
        """
        upload = AsyncMultipart(Source(content, name))
        return await self._http.fetch(File, "POST", route("files"), upload=upload, timeout=DECODING_SECONDS)

    async def stored(self, given: AsyncInput) -> str:
        """The id of what is on the server already, or of what is uploaded for it now."""
        known = stored_id(given)
        if known is not None:
            return known
        assert not isinstance(given, File)
        return (await self.upload(given)).id

    async def get(self, file: File | str) -> File:
        """The record of an upload; raises NotFound."""
        return await self._http.fetch(File, "GET", route("files", file))

    async def delete(self, file: File | str) -> None:
        """Remove an upload; raises NotFound, or Conflict while a job needs it."""
        await self._http.request("DELETE", route("files", file))

    @overload
    async def download(self, file: File | str, to: None = None) -> bytes: ...
    @overload
    async def download(self, file: File | str, to: str | os.PathLike[str]) -> Path: ...
    async def download(self, file: File | str, to: str | os.PathLike[str] | None = None) -> bytes | Path:
        """The bytes, or the path written: ``to`` itself, or inside it if it is a folder or ends with a slash.

        Checked by SHA-256; goes on where a connection broke; a file appears only when it is whole.

        Raises:
            ChecksumMismatch: other bytes came than the server said it keeps.
        """
        record = file if isinstance(file, File) else await self.get(file)
        return await download.deliver(self._http, route("files", record, "content"), record, to)
