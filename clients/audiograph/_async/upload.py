"""Streamed multipart bodies: one chunk of the source is in memory at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator

from audiograph._compat import async_check_source, async_chunks
from audiograph._multipart import Frame
from audiograph._sources import Source


class AsyncMultipart:
    """The body of ``POST /v1/files``; each iteration starts from the beginning."""

    def __init__(self, source: Source, track: int | None = None) -> None:
        async_check_source(source)
        self._source = source
        self._frame = Frame(source.name, track)

    @property
    def headers(self) -> dict[str, str]:
        """Content type, and content length where the size is known; else the body is sent in chunks."""
        headers = {"Content-Type": self._frame.content_type}
        if self._source.size is not None:
            headers["Content-Length"] = str(self._frame.size(self._source.size))
        return headers

    @property
    def replayable(self) -> bool:
        """Whether the body can be sent again."""
        return self._source.replayable

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._frame.head
        async for chunk in async_chunks(self._source):
            yield chunk
        yield self._frame.tail
