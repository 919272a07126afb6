"""Work for a caller who may go away."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import Request

from audiograph.errors import Canceled
from deployments.threads import ended

T = TypeVar("T")


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """The outcome of work that nobody else needs; to be called when the body has been read.

    Raises:
        Canceled: the client has gone, and the work was canceled.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Canceled("the client has gone")
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
            await ended(task)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
