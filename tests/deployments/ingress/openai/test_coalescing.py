"""Identical requests in flight share one stream."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import pytest

from deployments.ingress.openai.coalescing import SingleFlight


class Source:
    """Counts up to three, one step for each release."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.made = 0
        self.canceled = 0
        self.steps = asyncio.Semaphore(0)
        self._fault = fault

    async def __call__(self) -> AsyncGenerator[int, None]:
        self.made += 1
        try:
            for number in range(3):
                await self.steps.acquire()
                yield number
            if self._fault:
                raise self._fault
        except asyncio.CancelledError:
            self.canceled += 1
            raise

    def release(self) -> None:
        for _ in range(3):
            self.steps.release()


async def everything(flights: SingleFlight[int], source: Source, key: str = "a") -> list[int]:
    return [part async for part in flights.join(key, source)]


async def test_all_who_ask_for_the_same_get_all_of_it() -> None:
    flights, source = SingleFlight[int](), Source()
    early = asyncio.create_task(everything(flights, source))
    source.steps.release()
    await asyncio.sleep(0.01)
    late = asyncio.create_task(everything(flights, source))
    await asyncio.sleep(0.01)
    source.release()
    assert await early == await late == [0, 1, 2]
    assert source.made == 1
    source.release()
    assert await everything(flights, source) == [0, 1, 2]
    assert source.made == 2  # the first was over: nothing is kept


async def test_others_are_others() -> None:
    flights, one, two = SingleFlight[int](), Source(), Source()
    one.release()
    two.release()
    both = await asyncio.gather(everything(flights, one), everything(flights, two, "b"))
    assert list(both) == [[0, 1, 2]] * 2
    assert (one.made, two.made) == (1, 1)


async def test_the_last_one_to_leave_ends_it() -> None:
    flights, source = SingleFlight[int](), Source()
    first, second = flights.join("a", source), flights.join("a", source)
    source.steps.release()
    assert [await anext(first), await anext(second)] == [0, 0]
    await first.aclose()
    assert source.canceled == 0
    await second.aclose()
    assert source.canceled == 1


async def test_a_reader_who_is_cut_off_leaves() -> None:
    flights, source = SingleFlight[int](), Source()
    reader = asyncio.create_task(everything(flights, source))
    await asyncio.sleep(0.01)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert source.canceled == 1


async def test_a_fault_meets_everybody_after_what_was_made() -> None:
    flights, source = SingleFlight[int](), Source(fault=ValueError("broken"))
    source.release()

    async def read() -> list[int]:
        got = []
        with pytest.raises(ValueError, match="broken"):
            async with aclosing(flights.join("a", source)) as parts:
                async for part in parts:
                    got.append(part)
        return got

    assert list(await asyncio.gather(read(), read())) == [[0, 1, 2]] * 2
    assert source.made == 1


async def test_a_slow_reader_holds_nobody_up() -> None:
    flights, source = SingleFlight[int](), Source()
    slow = flights.join("a", source)
    source.release()
    assert await anext(slow) == 0
    assert await everything(flights, source) == [0, 1, 2]
    assert [part async for part in slow] == [1, 2]
