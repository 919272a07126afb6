"""The few things that the blocking and the async client do in different ways beside their keywords.

``scripts/unasync.py`` turns each name with ``async_`` before it into the one without.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from typing import ParamSpec, TypeVar

from audiograph._sources import Source

P = ParamSpec("P")
T = TypeVar("T")


async def async_sleep(seconds: float) -> None:
    """Let other tasks run for some seconds."""
    await asyncio.sleep(seconds)


def sleep(seconds: float) -> None:
    """Block for some seconds."""
    time.sleep(seconds)


async def async_offload(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function that may wait for a disk, in a thread."""
    return await asyncio.to_thread(function, *args, **kwargs)


def offload(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call it here: the caller is blocked anyway."""
    return function(*args, **kwargs)


async def async_chunks(source: Source) -> AsyncIterator[bytes]:
    """The bytes of a source; blocking sources are read in a thread."""
    if isinstance(source.content, AsyncIterable):
        source.started = True
        async for chunk in source.content:
            yield chunk
        return
    blocking = source.chunks()  # not closed here: if this task is canceled, a thread is still inside it
    while (part := await asyncio.to_thread(next, blocking, None)) is not None:
        yield part


def chunks(source: Source) -> Iterator[bytes]:
    """The bytes of a source."""
    yield from source.chunks()
