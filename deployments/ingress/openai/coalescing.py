"""Answers in the making: who asks for the same meanwhile gets the same, from its start.

OpenAI's clients send a request that takes too long up to three times, and no key to know it again by.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Generic, TypeVar

from deployments.threads import ended

Part = TypeVar("Part")


class Shared(Generic[Part]):
    """Streams by what was asked for. One event loop; every part is kept until nobody reads any more."""

    def __init__(self) -> None:
        self._making: dict[str, _Making[Part]] = {}

    async def join(
        self, key: str, make: Callable[[], AsyncGenerator[Part, None]]
    ) -> AsyncGenerator[Part, None]:
        """The parts that ``make`` gives, called for the first who comes with this key.

        It runs on by itself, however slowly they are read, and is canceled when the last reader leaves. What
        it raises, all of them meet.
        """
        if key not in self._making:
            self._making[key] = _Making(make())
        making = self._making[key]
        making.readers += 1
        try:
            async for part in making.parts():
                yield part
        finally:
            making.readers -= 1
            if not making.readers:
                if self._making.get(key) is making:
                    del self._making[key]
                await making.end()


class _Making(Generic[Part]):
    def __init__(self, source: AsyncGenerator[Part, None]) -> None:
        self.readers = 0
        self._made: list[Part] = []
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._make(source))
        self._task.add_done_callback(lambda _: self._tell())

    async def _make(self, source: AsyncGenerator[Part, None]) -> None:
        async with aclosing(source):
            async for part in source:
                self._made.append(part)
                self._tell()

    def _tell(self) -> None:
        """Wake all who wait; whoever comes later waits for the next part."""
        self._news.set()
        self._news = asyncio.Event()

    async def parts(self) -> AsyncGenerator[Part, None]:
        position = 0
        while True:
            news, finished = self._news, self._task.done()
            while position < len(self._made):
                yield self._made[position]
                position += 1
            if finished:
                self._task.result()  # raises what broke it off
                return
            await news.wait()

    async def end(self) -> None:
        self._task.cancel()
        await ended(self._task)
        if not self._task.cancelled():
            self._task.exception()  # marks it as seen: its readers have left
