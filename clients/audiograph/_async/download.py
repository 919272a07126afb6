"""Downloads that are resumed after a broken connection, and verified by SHA-256."""

from __future__ import annotations

import io
import os
from pathlib import Path

import httpx

from audiograph._async.http import AsyncHttp
from audiograph._compat import async_offload, async_sleep
from audiograph._responses import unexpected_response
from audiograph._retry import backoff, should_retry
from audiograph._saving import Sink, atomic_write, check_writable, output_path
from audiograph._sources import CHUNK_BYTES
from audiograph.errors import AudiographError, ConnectionFailed
from audiograph.schemas import File


async def check_target(to: str | os.PathLike[str] | None) -> None:
    """Check, before a request is sent, that a download can be saved.

    Raises:
        OSError: no file can be written to ``to``.
    """
    if to is not None:
        await async_offload(check_writable, to)


async def read_or_save(
    http: AsyncHttp, path: str, record: File, to: str | os.PathLike[str] | None
) -> bytes | Path:
    """Download a file or artifact and return its bytes, or save it and return the path.

    Raises:
        ChecksumMismatch: the bytes do not match the record's SHA-256.
    """
    if to is not None:
        return await save(http, path, output_path(to, record.name), record)
    memory = io.BytesIO()
    await _copy(http, path, Sink(memory), record)
    return memory.getvalue()


async def save(http: AsyncHttp, path: str, target: Path, record: File | None = None) -> Path:
    """Download into a file that appears under its name only when it is complete.

    Without a record the content is not verified, and a broken download starts over.
    """
    with atomic_write(target) as file:
        await _copy(http, path, Sink(file), record)
    return target


async def _copy(http: AsyncHttp, path: str, sink: Sink, record: File | None) -> None:
    failures = 0
    while True:
        before = sink.size
        try:
            await _receive(http, path, sink, resume=record is not None)
            if record is None or sink.size >= record.bytes:
                break
            raise ConnectionFailed(f"only {sink.size} of {record.bytes} bytes of {record.id} arrived")
        except AudiographError as error:
            failures = 1 if sink.size > before else failures + 1
            if not should_retry(error, failures, http.settings.retries):
                raise
            pause = backoff(failures, error.retry_after)
        await async_sleep(pause)
    if record is not None:
        sink.verify(record)


async def _receive(http: AsyncHttp, path: str, sink: Sink, *, resume: bool) -> None:
    """Copy one response into the sink: the missing bytes if the server sends ranges, else all bytes."""
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}  # the offsets of ranges count stored bytes
    if resume and sink.size:
        headers["Range"] = f"bytes={sink.size}-"
    async with http.stream(path, headers=headers) as response:
        if response.status_code == httpx.codes.PARTIAL_CONTENT:
            _check_offset(response, sink.size)
        else:
            await async_offload(sink.restart)
        async for chunk in response.aiter_bytes(CHUNK_BYTES):
            await async_offload(sink.write, chunk)


def _check_offset(response: httpx.Response, offset: int) -> None:
    if not response.headers.get("content-range", "").startswith(f"bytes {offset}-"):
        raise unexpected_response(response, f"a range that does not start at byte {offset}")
