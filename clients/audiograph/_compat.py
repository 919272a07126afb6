"""Functions that the blocking and the async client implement differently.

``scripts/unasync.py`` replaces each name with the prefix ``async_`` by the name without it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from typing import ParamSpec, TypeVar

from audiograph._sources import Source, checked_chunk

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


async def async_sleep(seconds: float) -> None:
    """Let other tasks run for some seconds."""
    await asyncio.sleep(seconds)


def sleep(seconds: float) -> None:
    """Block for some seconds."""
    time.sleep(seconds)


async def async_offload(
    function: Callable[Arguments, Returned], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Returned:
    """Call a function in a thread, because it may wait for a disk."""
    return await asyncio.to_thread(function, *args, **kwargs)


def offload(
    function: Callable[Arguments, Returned], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> Returned:
    """Call a function in this thread, which is blocked anyway."""
    return function(*args, **kwargs)


def async_check_source(source: Source) -> None:
    """Accept every source."""


def check_source(source: Source) -> None:
    """Refuse a source that only the async client can read.

    Raises:
        TypeError: the content is an async iterable.
    """
    if isinstance(source.content, AsyncIterable):
        raise TypeError("an async iterable needs AsyncAudiograph to upload it")


async def async_chunks(source: Source) -> AsyncIterator[bytes]:
    """Yield the bytes of a source; blocking sources are read in a thread."""
    if isinstance(source.content, AsyncIterable):
        source.started = True
        async for chunk in source.content:
            yield checked_chunk(chunk)
        return
    blocking = source.chunks()  # not closed here: if this task is canceled, a thread is still inside it
    while (part := await asyncio.to_thread(next, blocking, None)) is not None:
        yield part


def chunks(source: Source) -> Iterator[bytes]:
    """Yield the bytes of a source."""
    yield from source.chunks()
