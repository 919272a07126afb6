"""Blocking work in threads, and waiting that outlasts a canceled caller."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


class Threads:
    """A pool of at most `size` threads, started as they are needed."""

    def __init__(self, name: str, size: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=size, thread_name_prefix=name)

    async def run(
        self, function: Callable[Arguments, Returned], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Returned:
        """Run a blocking function with the caller's context variables, such as the request id.

        A canceled caller still waits for the thread, and is canceled afterwards: an engine's slot or a file
        that it holds must not be free while the thread uses it.
        """
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await shielded(
            loop.run_in_executor(self._pool, lambda: context.run(function, *args, **kwargs))
        )


async def shielded(work: Awaitable[Returned]) -> Returned:
    """Await work that must not be canceled with its caller; see `wait_finished`."""
    future = asyncio.ensure_future(work)
    await wait_finished(future)
    return future.result()


async def wait_finished(future: asyncio.Future[Any]) -> None:
    """Wait for a future to finish; if this task is canceled meanwhile, raise CancelledError afterwards."""
    canceled = False
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError:
            canceled = True
    if canceled:
        if not future.cancelled():
            future.exception()  # marks it as retrieved: no other task will
        raise asyncio.CancelledError
