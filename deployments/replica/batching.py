"""From requests to runs of the model: queued by variant and task, taken alone or in batches.

A lane holds what waits for one variant and task. Its dispatcher waits until the variant is loaded and its
engine has a free slot, takes as many requests as the model batches, and leaves them to a task of their own,
which holds slot and variant until the model's thread has ended.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Generic

from audiograph.errors import AudiographError, OutOfMemory
from audiograph.schemas import Request
from deployments.models.base import Engine, Model, Output
from deployments.replica.context import ReplicaContext
from deployments.replica.in_flight import LaneIntake
from deployments.replica.lanes import Batch, Lane, Ran, Work
from deployments.replica.loading import Variant
from deployments.replica.memory import Memory, is_out_of_memory, request_too_big
from deployments.replica.variants import Variants
from deployments.threads import Threads

logger = logging.getLogger("audiograph.models")


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
        max_batch_size: the most requests in one `Model.run_batch`, or in flight at a time.
        batch_wait_seconds: how long the first request of a batch waits for others, once it could run; in
            flight there is no need to.
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
        self._in_flight = model.batches_in_flight()
        self._max_size = max_batch_size if model.batches() or self._in_flight else 1
        self._wait_seconds = batch_wait_seconds
        self._lanes: dict[tuple[str, str], Lane] = {}

    async def submit(self, variant: str, task: str, request: Request, context: ReplicaContext) -> Ran:
        """Run one request, sooner or later, and give what came of it.

        A canceled caller leaves at once while its request waits, or while others in its batch go on;
        otherwise when the model has let go of its request. Cancel the context first.

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
            if work.batch:
                await work.batch.let_go(work)
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
            for work in lane.waiting:
                work.load_seconds += max(0.0, loaded_at - max(asked_at, work.queued_at))
            await variant.slots.acquire()
            if self._in_flight:
                self._start(Batch([], in_flight=True), variant, lane)
                continue
            await self._fill(lane)
            works = [lane.waiting.popleft() for _ in range(min(self._max_size, len(lane.waiting)))]
            self._start(Batch(works), variant, lane)

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

    def _start(self, batch: Batch, variant: Variant[Engine], lane: Lane) -> None:
        variant.running += len(batch.works)
        batch.task = asyncio.get_running_loop().create_task(self._run(batch, variant, lane))
        for work in batch.works:
            work.batch = batch

    async def _run(self, batch: Batch, variant: Variant[Engine], lane: Lane) -> None:
        try:
            if batch.in_flight:
                await self._fly(batch, variant, lane)
            else:
                await self._attempt(batch.works, variant)
        except Exception as error:
            for work in batch.works:
                work.settle(error, "none")
        finally:
            for work in batch.works:
                work.left.set()
            variant.running -= len(batch.works)
            variant.slots.release()
            self._variants.release(variant)

    async def _fly(self, batch: Batch, variant: Variant[Engine], lane: Lane) -> None:
        """Serve what waits, and what joins, until none is left; after an error, those it met in halves."""
        await self._fly_with(batch, variant, lane.waiting, is_open=lambda: not variant.leaving)
        await asyncio.sleep(0)  # what the intake has left to the loop comes before the engine is free again

    async def _fly_with(
        self, batch: Batch, variant: Variant[Engine], waiting: deque[Work], is_open: Callable[[], bool]
    ) -> None:
        intake = LaneIntake(
            batch,
            variant,
            waiting,
            is_open=is_open,
            seats=self._max_size,
            told=lambda outcome: self._told(outcome, variant.name),
        )
        error = await self._threads.run(self._fly_in_thread, variant, intake)
        if error is None:
            return
        unfinished = intake.unfinished or intake.take()
        if intake.was_alone:
            for ticket in unfinished:
                ticket.finish(error)
            return
        logger.warning("%s %s: a batch in flight raised %r", self._name, variant.name, error)
        works = [ticket.work for ticket in unfinished]
        half = (len(works) + 1) // 2
        for part in (works[:half], works[half:]):
            if part:
                await self._fly_with(batch, variant, deque(part), is_open=lambda: True)

    def _fly_in_thread(self, variant: Variant[Engine], intake: LaneIntake) -> Exception | None:
        assert variant.loaded is not None
        engine = variant.loaded.engine

        def call() -> None:
            self._model.run_in_flight(engine, intake)
            if not intake.asked or intake.unfinished:
                raise RuntimeError(f"run_in_flight ended with {len(intake.unfinished)} requests unfinished")

        return self._error_of(call, variant)

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
        outputs: list[Output | Exception] = []

        def call() -> None:
            for work in works:
                work.begin()
            outputs.extend(self._told(part, variant.name) for part in self._call_model(variant, works))

        return self._error_of(call, variant) or outputs

    def _error_of(self, call: Callable[[], None], variant: Variant[Engine]) -> Exception | None:
        """Call the model; the exception that ended it, as it is told, or None."""
        try:
            call()
        except SystemExit as error:  # it would end the event loop
            told: Exception = RuntimeError(f"the model called sys.exit({error.code})")
        except Exception as error:
            told = self._told_error(error, variant.name)
        else:
            return None
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
