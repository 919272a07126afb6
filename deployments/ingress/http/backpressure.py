"""Holds back whichever side of a transfer is faster, across Ray Serve's two event loops.

A Serve replica behind HAProxy runs its HTTP server in one loop and the application in another, with an
unbounded queue between them each way: an upload that comes faster than it can be stored, or a download to a
slow reader, would pile up in memory. Here the server's loop stops reading, and the application's stops
sending, while more than a few mebibytes are on their way. Both ends are middleware: `server_middlewares` is
called by Serve in the replica (`ENVIRONMENT` tells it to), `Paced` belongs to the application. Without the
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
"""What the ingress replicas' environment must hold."""

WINDOW_BYTES = 4 * 1024**2
_EXTENSION = "audiograph.transfer"


class Window:
    """Bytes that one event loop has given and another has not taken yet."""

    def __init__(self, limit: int = WINDOW_BYTES) -> None:
        self._limit = limit
        self._pending = 0
        self._lock = threading.Lock()
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    async def room(self) -> None:
        """Wait, in the giver's loop, until less than the limit is pending."""
        while (turn := self._turn()) is not None:
            await turn.wait()

    def _turn(self) -> asyncio.Event | None:
        with self._lock:
            if self._pending < self._limit:
                return None
            turn = asyncio.Event()
            self._waiting = (asyncio.get_running_loop(), turn)
            return turn

    def give(self, size: int) -> None:
        """Count bytes as given."""
        with self._lock:
            self._pending += size

    def take(self, size: int) -> None:
        """Count bytes as taken; called in the taker's loop."""
        with self._lock:
            self._pending -= size
            waiting, self._waiting = self._waiting, None
        if waiting:
            loop, turn = waiting
            loop.call_soon_threadsafe(turn.set)


@dataclass(frozen=True)
class Transfer:
    """One request's bytes under way."""

    up: Window = field(default_factory=Window)
    down: Window = field(default_factory=Window)


def server_middlewares() -> list[Middleware]:
    """What Serve puts around the HTTP server's end of every request."""
    return [Middleware(_ServerEnd)]


class _ServerEnd:
    """In the HTTP server's loop: reads while there is room, and counts what the socket has taken."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        transfer = Transfer()
        scope.setdefault("extensions", {})[_EXTENSION] = transfer

        async def paced_receive() -> Message:
            await transfer.up.room()
            message = await receive()
            transfer.up.give(_size(message))
            return message

        async def counted_send(message: Message) -> None:
            await send(message)
            transfer.down.take(_size(message))

        await self._app(scope, paced_receive, counted_send)


class Paced:
    """In the application's loop: counts what it has read, and sends while there is room."""

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
            transfer.up.take(_size(message))
            return message

        async def paced_send(message: Message) -> None:
            await transfer.down.room()
            transfer.down.give(_size(message))
            await send(message)

        await self._app(scope, counted_receive, paced_send)


def _size(message: Message) -> int:
    return len(message.get("body", b""))
