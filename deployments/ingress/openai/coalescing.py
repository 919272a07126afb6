"""Coalesces identical requests in flight: later callers replay the stream from its first item.

OpenAI's clients send a request that takes too long up to three times, without a key that marks the
repetition.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Generic, TypeVar

from deployments.threads import wait_finished

Item = TypeVar("Item")


class SingleFlight(Generic[Item]):
    """Streams in progress, by key. One event loop; items are kept until the last reader leaves."""

    def __init__(self) -> None:
        self._flights: dict[str, _Flight[Item]] = {}

    async def join(
        self, key: str, start: Callable[[], AsyncGenerator[Item, None]]
    ) -> AsyncGenerator[Item, None]:
        """Read the stream of a key from its first item; ``start`` opens it for the first reader.

        The stream advances however slowly it is read, and is canceled when the last reader leaves. Its
        exception is raised to every reader.
        """
        if key not in self._flights:
            self._flights[key] = _Flight(start())
        flight = self._flights[key]
        flight.readers += 1
        try:
            async for item in flight.items():
                yield item
        finally:
            flight.readers -= 1
            if not flight.readers:
                if self._flights.get(key) is flight:
                    del self._flights[key]
                await flight.cancel()


class _Flight(Generic[Item]):
    def __init__(self, source: AsyncGenerator[Item, None]) -> None:
        self.readers = 0
        self._items: list[Item] = []
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._read(source))
        self._task.add_done_callback(lambda _: self._notify())

    async def _read(self, source: AsyncGenerator[Item, None]) -> None:
        async with aclosing(source):
            async for item in source:
                self._items.append(item)
                self._notify()

    def _notify(self) -> None:
        """Wake all waiting readers; later ones wait for the next change."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def items(self) -> AsyncGenerator[Item, None]:
        position = 0
        while True:
            changed, finished = self._changed, self._task.done()
            while position < len(self._items):
                yield self._items[position]
                position += 1
            if finished:
                self._task.result()  # raises the exception that ended the stream
                return
            await changed.wait()

    async def cancel(self) -> None:
        self._task.cancel()
        await wait_finished(self._task)
        if not self._task.cancelled():
            self._task.exception()  # marks it as retrieved: no reader is left
