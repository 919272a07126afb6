"""From requests to runs of the model: queued by variant and task, taken alone or in batches.

A lane holds what waits for one variant and task. Its dispatcher waits until the variant is loaded and its
engine has a free slot, takes as many requests as the model batches, and leaves them to a task of their own,
which holds slot and variant until the model's thread has ended.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic

from audiograph.errors import AudiographError, OutOfMemory
from audiograph.schemas import Request
from deployments.models.base import Engine, Model, Output
from deployments.models.context import ReplicaContext
from deployments.models.loading import Variant
from deployments.models.memory import Memory, is_out_of_memory, request_too_big
from deployments.models.threads import Threads, ended
from deployments.models.variants import Variants

logger = logging.getLogger("audiograph.models")


@dataclass(frozen=True, slots=True)
class Timings:
    """Where a request's time went, in seconds."""

    queue: float
    """Until it ran, loading apart."""
    load: float
    """Until its variant was loaded."""
    run: float


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run came to."""

    output: Output
    weights: str
    timings: Timings


@dataclass(eq=False, slots=True)
class Work:
    """One request on its way through the model."""

    request: Request
    context: ReplicaContext
    done: "asyncio.Future[Ran | Exception]"
    """Canceled as soon as the caller leaves."""
    queued_at: float = field(default_factory=time.monotonic)
    started_at: float | None = None
    load_seconds: float = 0.0
    batch: "Batch | None" = None

    def settle(self, outcome: Output | Exception, weights: str) -> None:
        """Hand over what came of it, unless the caller has left."""
        if self.done.done():
            return
        if isinstance(outcome, Exception):
            self.done.set_result(outcome)  # as a value: a future does not take every exception
        else:
            self.done.set_result(Ran(outcome, weights, self._timings()))

    def _timings(self) -> Timings:
        started_at = self.started_at or time.monotonic()
        queue = max(0.0, started_at - self.queued_at - self.load_seconds)
        return Timings(queue=queue, load=self.load_seconds, run=time.monotonic() - started_at)


@dataclass(eq=False, slots=True)
class Batch:
    """Requests that run together, and the task that runs them."""

    works: list[Work]
    task: "asyncio.Task[None] | None" = None

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for it any more."""
        return all(work.done.done() for work in self.works)


@dataclass(eq=False, slots=True)
class Lane:
    """What waits for one variant and task, in order of arrival."""

    waiting: deque[Work] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    dispatcher: "asyncio.Task[None] | None" = None


class Batcher(Generic[Engine]):
    """Runs requests on a model's engines, as many together as the model batches.

    A batch that raises is split in halves which are tried again, until the request that cannot be served
    stands alone: its neighbours lose time, never their results. The same halving fits a batch into memory.

    Args:
        model: the model that runs them.
        name: the model's name in the configuration, for messages.
        variants: where engines come from.
        threads: where the model runs.
        memory: emptied of caches before another try, when it ran out.
        max_batch_size: the most requests in one `Model.run_batch`.
        batch_wait_seconds: how long the first request of a batch waits for others, once it could run.
    """

    def __init__(
        self,
        model: Model[Engine],
        *,
        name: str,
        variants: Variants[Engine],
        threads: Threads,
        memory: Memory,
        max_batch_size: int,
        batch_wait_seconds: float,
    ) -> None:
        self._model = model
        self._name = name
        self._variants = variants
        self._threads = threads
        self._memory = memory
        self._max_size = max_batch_size if model.batches() else 1
        self._wait_seconds = batch_wait_seconds
        self._lanes: dict[tuple[str, str], Lane] = {}

    async def submit(self, variant: str, task: str, request: Request, context: ReplicaContext) -> Ran:
        """Run one request, sooner or later, and give what came of it.

        A canceled caller leaves at once while its request waits, or while others in its batch go on;
        otherwise when the model's thread has ended. Cancel the context first.

        Raises:
            AudiographError: the variant cannot be loaded, or the model refuses; OutOfMemory if it does not
                fit even alone.
            Exception: whatever else the model raised.
        """
        work = Work(request, context, asyncio.get_running_loop().create_future())
        lane = self._enqueue((variant, task), work)
        try:
            outcome = await work.done
        except asyncio.CancelledError:
            with suppress(ValueError):  # it is no longer there if it runs
                lane.waiting.remove(work)
            lane.news.set()
            if work.batch and work.batch.abandoned and work.batch.task:
                await ended(work.batch.task)
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _enqueue(self, key: tuple[str, str], work: Work) -> Lane:
        lane = self._lanes.setdefault(key, Lane())
        lane.waiting.append(work)
        lane.news.set()
        if lane.dispatcher is None or lane.dispatcher.done():
            lane.dispatcher = asyncio.get_running_loop().create_task(self._dispatch(key[0], lane))
        return lane

    async def _dispatch(self, name: str, lane: Lane) -> None:
        while lane.waiting:
            asked_at = time.monotonic()
            try:
                variant = await self._variants.acquire(name)
            except Exception as error:
                _fail(lane, error)
                return
            loaded_at = time.monotonic()
            await variant.slots.acquire()
            await self._fill(lane)
            works = [lane.waiting.popleft() for _ in range(min(self._max_size, len(lane.waiting)))]
            for work in works:
                work.load_seconds = max(0.0, loaded_at - max(asked_at, work.queued_at))
            self._start(Batch(works), variant)

    async def _fill(self, lane: Lane) -> None:
        """Wait for more requests, for as long as the oldest may wait; while the engine was busy it did."""
        if not lane.waiting:
            return
        left = lane.waiting[0].queued_at + self._wait_seconds - time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                while 0 < len(lane.waiting) < self._max_size:
                    lane.news.clear()
                    await lane.news.wait()

    def _start(self, batch: Batch, variant: Variant[Engine]) -> None:
        variant.running += len(batch.works)
        batch.task = asyncio.get_running_loop().create_task(self._run(batch, variant))
        for work in batch.works:
            work.batch = batch

    async def _run(self, batch: Batch, variant: Variant[Engine]) -> None:
        try:
            await self._attempt(batch.works, variant)
        except Exception as error:
            for work in batch.works:
                work.settle(error, "none")
        finally:
            variant.running -= len(batch.works)
            variant.slots.release()
            self._variants.release(variant)

    async def _attempt(self, works: Sequence[Work], variant: Variant[Engine]) -> None:
        works = [work for work in works if not work.done.done()]
        if not works:
            return
        assert variant.loaded is not None
        weights = variant.loaded.weights
        outcome = await self._threads.run(self._run_in_thread, variant, works)
        if isinstance(outcome, list):
            for work, part in zip(works, outcome, strict=True):
                work.settle(part, weights)
        elif len(works) == 1:
            works[0].settle(outcome, weights)
        else:
            half = len(works) // 2
            logger.warning("%s %s: a batch of %d raised %r", self._name, variant.name, len(works), outcome)
            await self._attempt(works[:half], variant)
            await self._attempt(works[half:], variant)

    def _run_in_thread(
        self, variant: Variant[Engine], works: Sequence[Work]
    ) -> "list[Output | Exception] | Exception":
        """The outputs of all, or the exception that ended the run."""
        for work in works:
            work.started_at = work.started_at or time.monotonic()
            work.context.begin()
        try:
            return [self._told(part, variant.name) for part in self._call_model(variant, works)]
        except SystemExit as error:  # it would end the event loop
            told: Exception = RuntimeError(f"the model called sys.exit({error.code})")
        except Exception as error:
            told = self._told_error(error, variant.name)
        if isinstance(told, OutOfMemory):  # and the traceback, which held what was allocated, is gone by now
            self._memory.settle()
        return told

    def _call_model(self, variant: Variant[Engine], works: Sequence[Work]) -> Sequence[Output | Exception]:
        assert variant.loaded is not None
        engine: Any = variant.loaded.engine
        if not self._model.batches():
            (work,) = works
            return [self._model.run(engine, work.request, work.context)]
        contexts = [work.context for work in works]
        outputs = self._model.run_batch(engine, [work.request for work in works], contexts)
        if len(outputs) != len(works):
            raise RuntimeError(f"run_batch gave {len(outputs)} outputs for {len(works)} requests")
        return outputs

    def _told(self, part: Output | Exception, variant: str) -> Output | Exception:
        return self._told_error(part, variant) if isinstance(part, Exception) else part

    def _told_error(self, error: Exception, variant: str) -> Exception:
        if is_out_of_memory(error):
            return request_too_big(error, f"{self._name} {variant}", self._memory)
        if isinstance(error, AudiographError):
            return error.with_traceback(None)  # nobody logs it, and its frames hold on to the engine
        return error


def _fail(lane: Lane, error: Exception) -> None:
    while lane.waiting:
        lane.waiting.popleft().settle(error, "none")
