"""Downloads that go on where they broke off, and are checked against the SHA-256 of what the server keeps."""

from __future__ import annotations

import io
import os
from pathlib import Path

import httpx

from audiograph._answers import unexpected
from audiograph._async.http import AsyncHttp
from audiograph._flavour import async_offload, async_sleep
from audiograph._retry import may_retry, pause_before
from audiograph._saving import Sink, replacing, resolve
from audiograph._sources import CHUNK_BYTES
from audiograph.errors import AudiographError, ConnectionFailed
from audiograph.schemas import File


async def deliver(
    http: AsyncHttp, path: str, record: File, to: str | os.PathLike[str] | None
) -> bytes | Path:
    """Download what the record stands for: into memory, or into a file whose path is given back.

    Raises:
        ChecksumMismatch: other bytes came than the server said it keeps.
    """
    if to is not None:
        return await save(http, path, resolve(to, record.name), record)
    memory = io.BytesIO()
    await _copy(http, path, Sink(memory), record)
    return memory.getvalue()


async def save(http: AsyncHttp, path: str, target: Path, record: File | None = None) -> Path:
    """Download into a file that appears under its name only when it is whole.

    Without a record there is nothing to check against, and a broken download starts anew.
    """
    with replacing(target) as file:
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
            if not may_retry(error, failures, http.settings.retries):
                raise
            pause = pause_before(failures, error.retry_after)
        await async_sleep(pause)
    if record is not None:
        sink.verify(record)


async def _receive(http: AsyncHttp, path: str, sink: Sink, *, resume: bool) -> None:
    """One answer into the sink: the rest if there is a part already and the server sends ranges, else all."""
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}  # offsets count the bytes as they are stored
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
        raise unexpected(response, f"a range that does not start at byte {offset}")
