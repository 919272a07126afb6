"""Holds back whichever side of a transfer is faster, across Ray Serve's two event loops.

A Serve replica behind HAProxy runs its HTTP server in one loop and the application in another, with an
unbounded queue between them in each direction. An upload that is faster than storage, or a download to a slow
reader, would pile up in memory. So the server's loop stops reading, and the application's stops sending,
while more than a few mebibytes are in transit. Both ends are middleware: Serve calls `server_middlewares` in
the replica (because of `ENVIRONMENT`), and `BackpressureMiddleware` belongs to the application. Without the
former, as under plain uvicorn, the latter does nothing: there the server itself holds back.
"""

import asyncio
import threading
from dataclasses import dataclass, field

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ENVIRONMENT = {
    "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "deployments.ingress.http.backpressure:server_middlewares"
}
"""Environment variables of the ingress's replicas."""

WINDOW_BYTES = 4 * 1024**2
_EXTENSION = "audiograph.transfer"


class FlowWindow:
    """Bytes that one event loop has sent and another has not received yet."""

    def __init__(self, limit: int = WINDOW_BYTES) -> None:
        self._limit = limit
        self._pending = 0
        self._lock = threading.Lock()
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    async def wait(self) -> None:
        """Wait, in the sender's loop, until less than the limit is pending."""
        while (opened := self._opened()) is not None:
            await opened.wait()

    def _opened(self) -> asyncio.Event | None:
        with self._lock:
            if self._pending < self._limit:
                return None
            opened = asyncio.Event()
            self._waiting = (asyncio.get_running_loop(), opened)
            return opened

    def sent(self, size: int) -> None:
        """Count bytes as sent."""
        with self._lock:
            self._pending += size

    def received(self, size: int) -> None:
        """Count bytes as received; called in the receiver's loop."""
        with self._lock:
            self._pending -= size
            waiting, self._waiting = self._waiting, None
        if waiting:
            loop, opened = waiting
            loop.call_soon_threadsafe(opened.set)


@dataclass(frozen=True)
class Transfer:
    """The bytes of one request in transit."""

    up: FlowWindow = field(default_factory=FlowWindow)
    down: FlowWindow = field(default_factory=FlowWindow)


def server_middlewares() -> list[Middleware]:
    """Return the middleware that Serve puts around the HTTP server's end of every request."""
    return [Middleware(_ServerEnd)]


class _ServerEnd:
    """Middleware in the server's loop: reads while the window is open, and counts the bytes it sends."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        transfer = Transfer()
        scope.setdefault("extensions", {})[_EXTENSION] = transfer

        async def paced_receive() -> Message:
            await transfer.up.wait()
            message = await receive()
            transfer.up.sent(_size(message))
            return message

        async def counted_send(message: Message) -> None:
            await send(message)
            transfer.down.received(_size(message))

        await self._app(scope, paced_receive, counted_send)


class BackpressureMiddleware:
    """Middleware in the application's loop: counts the bytes it reads, and sends while the window is open."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        transfer: Transfer | None = scope.get("extensions", {}).get(_EXTENSION)
        if transfer is None:
            await self._app(scope, receive, send)
            return

        async def counted_receive() -> Message:
            message = await receive()
            transfer.up.received(_size(message))
            return message

        async def paced_send(message: Message) -> None:
            await transfer.down.wait()
            transfer.down.sent(_size(message))
            await send(message)

        await self._app(scope, counted_receive, paced_send)


def _size(message: Message) -> int:
    return len(message.get("body", b""))
