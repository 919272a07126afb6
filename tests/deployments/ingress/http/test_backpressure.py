"""Neither side of a transfer runs ahead of the other by more than the window."""

import asyncio
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from deployments.ingress.http.backpressure import (
    WINDOW_BYTES,
    BackpressureMiddleware,
    FlowWindow,
    server_middlewares,
)

MIB = 1024**2
BODIES = 32


class Serve:
    """Ray Serve's way between the HTTP server and the application: a queue without bounds each way."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.most = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        up: asyncio.Queue[Message] = asyncio.Queue()
        down: asyncio.Queue[Message] = asyncio.Queue()
        tasks = [asyncio.create_task(self._pump(receive, up)), asyncio.create_task(self._drain(down, send))]
        await self._app(scope, up.get, down.put)
        await down.join()
        for task in tasks:
            task.cancel()

    async def _pump(self, receive: Receive, queue: asyncio.Queue[Message]) -> None:
        while True:
            await queue.put(await receive())
            self.most = max(self.most, queue.qsize())

    async def _drain(self, queue: asyncio.Queue[Message], send: Send) -> None:
        while True:
            self.most = max(self.most, queue.qsize())
            await send(await queue.get())
            queue.task_done()


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Echoes its input in small chunks."""
    for _ in range(BODIES):
        message = await receive()
        await asyncio.sleep(0.001)
        await send({"type": "http.response.body", "body": message["body"], "more_body": True})


async def test_a_fast_sender_and_a_slow_reader_are_held_back() -> None:
    serve = Serve(BackpressureMiddleware(echo))
    [middleware] = server_middlewares()
    taken: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(MIB), "more_body": True}

    async def send(message: Message) -> None:
        await asyncio.sleep(0.003)
        taken.append(message["body"])

    await middleware.cls(serve)({"type": "http"}, receive, send)  # type: ignore[call-arg]
    assert len(taken) == BODIES
    assert serve.most <= WINDOW_BYTES // MIB


async def test_a_window_opens_from_another_thread() -> None:
    window = FlowWindow(limit=10)
    window.sent(10)
    waiting = asyncio.create_task(window.wait())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await asyncio.to_thread(window.received, 1)
    await asyncio.wait_for(waiting, 5)


async def test_without_the_server_end_nothing_is_counted() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x"}

    async def send(message: Message) -> None:
        sent.append(message)

    await BackpressureMiddleware(echo)({"type": "http"}, receive, send)
    assert len(sent) == BODIES


async def test_websockets_pass_untouched() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    [middleware] = server_middlewares()
    await middleware.cls(app)({"type": "websocket"}, None, None)  # type: ignore[call-arg, arg-type]
    assert seen == [{"type": "websocket"}]
