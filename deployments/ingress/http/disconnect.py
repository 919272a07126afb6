"""Cancels the work of a request when its client disconnects."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import Request

from audiograph.errors import Canceled
from deployments.threads import wait_finished

Returned = TypeVar("Returned")


async def cancel_on_disconnect(request: Request, work: Awaitable[Returned]) -> Returned:
    """Await work that only this client needs; call it once the body has been read.

    Raises:
        Canceled: the client has disconnected, and the work was canceled.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Canceled("the client has disconnected")
        return working.result()
    finally:
        for task in (working, leaving):
            task.cancel()
            await wait_finished(task)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
