"""A reference-counted cache of a model's variants, within a memory budget.

A variant is loaded at its first use, once for all concurrent requests. It is unloaded after an idle time, for
the budget (least recently used first, never one in use) or on request. Loads and unloads are measured, so
they happen one at a time, under one lock.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Generic

from audiograph.errors import OutOfMemory
from audiograph.schemas import LoadedVariant
from deployments.config import WeightsPolicy
from deployments.models.base import Engine, Family
from deployments.replica.loading import Loader, Variant
from deployments.replica.memory import Memory, out_of_memory
from deployments.threads import Threads

logger = logging.getLogger("audiograph.models")

ROOM_SECONDS = 60.0
"""How long a load waits for room while every variant that could be unloaded is in use."""


class Variants(Generic[Engine]):
    """The variants of one model in one replica. It lives on one event loop; engines are used in threads.

    Args:
        model: loads and unloads engines.
        name: the model's name in the configuration, for messages.
        policy: says whether weights are published or random ones.
        work_dir: the folder of weights and tiny checkpoints.
        threads: load, unload and check engines.
        memory: measures loads and unloads.
        budget: maximum bytes of all loaded variants; None for no limit.
        idle_seconds: a variant unused for this long is unloaded.
        room_seconds: how long a load may wait for running work to end.
        changed: called with a variant's name and bytes (0: gone) after each load and unload.
    """

    def __init__(
        self,
        model: Family[Engine, Any],
        *,
        name: str,
        policy: WeightsPolicy,
        work_dir: Path,
        threads: Threads,
        memory: Memory,
        budget: int | None,
        idle_seconds: float,
        room_seconds: float = ROOM_SECONDS,
        changed: Callable[[str, int], None] = lambda name, size: None,
    ) -> None:
        self._loader = Loader(model, name, memory, policy, work_dir)
        self._name = name
        self._concurrency = model.concurrency
        self._threads = threads
        self._memory = memory
        self._budget = budget
        self._idle_seconds = idle_seconds
        self._room_seconds = room_seconds
        self._changed = changed
        self._variants: dict[str, Variant[Engine]] = {}
        self._sizes: dict[str, int] = {}
        self._measuring = asyncio.Lock()
        self._state_changed = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()

    def loaded(self) -> list[LoadedVariant]:
        """Describe the variants in memory."""
        return [variant.record() for variant in self._variants.values() if variant.ready]

    def has(self, name: str) -> bool:
        """Return whether a variant is in memory."""
        return name in self._variants and self._variants[name].ready

    async def acquire(
        self, name: str, listener: Callable[[str], None] = lambda stage: None
    ) -> Variant[Engine]:
        """Become a holder of a variant, which is loaded first if it is not; `release` it afterwards.

        Args:
            name: of the variant.
            listener: called with the stage of a load that takes long, on this event loop.

        Raises:
            AudiographError: it cannot be loaded; the same error for all that wait for that load.
        """
        await self._until(lambda: name not in self._variants or not self._variants[name].leaving)
        variant = self._variants.get(name) or self._start_loading(name)
        assert variant.loading is not None
        self._hold(variant)
        variant.listeners.append(listener)
        try:
            await asyncio.shield(variant.loading)
        except BaseException:
            self.release(variant)
            raise
        finally:
            variant.listeners.remove(listener)
        return variant

    def release(self, variant: Variant[Engine]) -> None:
        """Give up one hold on a variant."""
        variant.used_at = time.monotonic()
        self._drop_holder(variant)

    async def load(self, name: str) -> int | None:
        """Load a variant ahead of its use. Returns the bytes taken, or None if it was loaded already."""
        was_there = self.has(name)
        variant = await self.acquire(name)
        self.release(variant)
        return None if was_there else variant.bytes

    async def unload(self, name: str | None = None) -> dict[str, int]:
        """Unload a variant, or all, each once its running work has ended. Returns the freed bytes by name."""
        names = [name] if name else list(self._variants)
        freed = {name: await self._unload(self._variants[name]) for name in names if name in self._variants}
        return {name: size for name, size in freed.items() if size is not None}

    async def check_idle(self) -> None:
        """Run the model's health test on every idle engine; raise the test's error."""
        for variant in [v for v in self._variants.values() if v.idle]:
            if not variant.idle:  # in use, or unloaded, since the loop began
                continue
            self._hold(variant)
            try:
                async with variant.slots:
                    await self._threads.run(self._loader.check, variant)
            finally:
                self._drop_holder(variant)  # no release: a check does not count as a use

    def _hold(self, variant: Variant[Engine]) -> None:
        variant.holders += 1
        if variant.timer:
            variant.timer.cancel()

    def _drop_holder(self, variant: Variant[Engine]) -> None:
        variant.holders -= 1
        self._schedule_expiry(variant)
        self._notify()

    def _schedule_expiry(self, variant: Variant[Engine]) -> None:
        if variant.idle:
            left = variant.used_at + self._idle_seconds - time.monotonic()
            variant.timer = asyncio.get_running_loop().call_later(max(0.0, left), self._expire, variant)

    def _expire(self, variant: Variant[Engine]) -> None:
        self._spawn(self._unload_if_idle(variant))

    async def _unload_if_idle(self, variant: Variant[Engine]) -> None:
        async with self._measuring:
            if variant.idle:
                await self._free(variant)

    async def _unload(self, variant: Variant[Engine]) -> int | None:
        assert variant.loading is not None
        await asyncio.wait({variant.loading})
        while self._variants.get(variant.name) is variant:
            variant.leaving = True
            try:
                await self._until(lambda: not variant.holders)
                async with self._measuring:
                    if self._variants.get(variant.name) is variant and not variant.holders:
                        return await self._free(variant)
            finally:
                variant.leaving = False
                self._notify()
        return None

    def _start_loading(self, name: str) -> Variant[Engine]:
        variant = Variant[Engine](name, asyncio.Semaphore(self._concurrency))
        self._variants[name] = variant
        variant.loading = self._spawn(self._load(variant))
        variant.loading.add_done_callback(lambda _: self._loading_ended(variant))
        return variant

    def _loading_ended(self, variant: Variant[Engine]) -> None:
        self._schedule_expiry(variant)  # all that waited for it may have been canceled
        self._notify()

    async def _load(self, variant: Variant[Engine]) -> None:
        give_up_at: float | None = None
        try:
            await self._fetch(variant)
            while not await self._load_if_it_fits(variant):
                give_up_at = give_up_at or asyncio.get_running_loop().time() + self._room_seconds
                await self._wait_for_room(variant, give_up_at)
        except BaseException:
            variant.loaded = None
            del self._variants[variant.name]  # the next request tries again
            raise
        self._sizes[variant.name] = variant.bytes
        self._changed(variant.name, variant.bytes)

    async def _fetch(self, variant: Variant[Engine]) -> None:
        """Bring the weights to this machine. Other variants can be loaded meanwhile."""
        loop = asyncio.get_running_loop()

        def tell(stage: str) -> None:
            for listener in list(variant.listeners):
                loop.call_soon_threadsafe(listener, stage)

        await self._threads.run(self._loader.fetch, variant, tell)

    async def _load_if_it_fits(self, variant: Variant[Engine]) -> bool:
        async with self._measuring:
            variant.bytes = self._sizes.get(variant.name, 0)
            if not await self._make_room(variant.bytes):
                return False
            while not await self._threads.run(self._loader.load, variant):
                if not await self._evict():
                    return False
            if await self._make_room(variant.bytes):
                return True
            self._sizes[variant.name] = variant.bytes
            await self._threads.run(self._loader.unload, variant)
            return False

    async def _make_room(self, size: int) -> bool:
        if self._budget is None:
            return True
        if size > self._budget:
            return False
        while sum(v.bytes for v in self._variants.values() if v.ready) + size > self._budget:
            if not await self._evict():
                return False
        return True

    async def _evict(self) -> bool:
        idle = [variant for variant in self._variants.values() if variant.idle]
        if not idle:
            return False
        await self._free(min(idle, key=lambda variant: variant.used_at))
        return True

    async def _wait_for_room(self, variant: Variant[Engine], give_up_at: float) -> None:
        others = [v for v in self._variants.values() if v.ready]
        hopeless = self._budget is not None and variant.bytes > self._budget
        if not others or hopeless:
            raise self._too_big(variant, others)
        try:
            async with asyncio.timeout_at(give_up_at):
                await self._until(lambda: any(v.idle or v.loaded is None for v in others))
        except TimeoutError:
            raise self._too_big(variant, others) from None

    def _too_big(self, variant: Variant[Engine], others: list[Variant[Engine]]) -> OutOfMemory:
        names = ", ".join(other.name for other in others)
        wait = f", or try again when the work on {names} has ended" if names else ""
        return out_of_memory(
            f"{self._name} {variant.name}",
            f"raise models.{self._name}.memory_bytes or its num_gpus, or take a smaller variant{wait}",
            device=self._memory.device,
            needed=variant.bytes or None,
            limit=self._budget,
            used=self._memory.used(),
        )

    async def _free(self, variant: Variant[Engine]) -> int:
        variant.leaving = True
        if variant.timer:
            variant.timer.cancel()
        try:
            return await self._threads.run(self._loader.unload, variant)
        finally:
            del self._variants[variant.name]
            self._changed(variant.name, 0)
            self._notify()

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._state_changed.wait()

    def _notify(self) -> None:
        self._state_changed.set()
        self._state_changed = asyncio.Event()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):  # raised to all that wait, if any are left
            logger.warning("%s: %s", self._name, error)
