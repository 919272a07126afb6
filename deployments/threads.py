"""Work that is waited for, whatever happens to the one who waits: blocking in threads, and any other."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """A pool of threads, started as they are needed and never more than `size`."""

    def __init__(self, name: str, size: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=size, thread_name_prefix=name)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking function; the caller's context variables, such as the request id, go along.

        A canceled caller still waits until the thread has ended, and is canceled then: what it holds
        meanwhile (an engine's slot, a file) is not free before.
        """
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await finished(
            loop.run_in_executor(self._pool, lambda: context.run(function, *args, **kwargs))
        )


async def finished(work: Awaitable[T]) -> T:
    """The outcome of work that goes on to its end, whatever happens to the one who waits; see `ended`."""
    future = asyncio.ensure_future(work)
    await ended(future)
    return future.result()


async def ended(future: asyncio.Future[Any]) -> None:
    """Wait until a future has ended, however, even if canceled meanwhile; that is raised after."""
    canceled = False
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError:
            canceled = True
    if canceled:
        if not future.cancelled():
            future.exception()  # marks it as seen: nobody else will ask
        raise asyncio.CancelledError
