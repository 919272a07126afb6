"""Queues requests by variant and task, and runs them on the model alone, in batches or continuously.

A lane is the queue of one variant and task. Its dispatcher waits until the variant is loaded and its engine
has a free slot, and takes as many requests as the model batches. A task then runs them, and holds slot and
variant until the model's thread has ended.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Generic

from audiograph.errors import AudiographError, OutOfMemory
from audiograph.schemas import Request
from deployments.models.base import BatchedModel, ContinuousModel, Engine, Family, Model, Output
from deployments.models.kit.resources import is_out_of_memory
from deployments.replica.context import ReplicaContext
from deployments.replica.intake import LaneIntake
from deployments.replica.lanes import Batch, Completed, Lane, Pending
from deployments.replica.loading import Variant
from deployments.replica.memory import Memory, request_too_big
from deployments.replica.variants import Variants
from deployments.threads import Threads

logger = logging.getLogger("audiograph.models")


class Batcher(Generic[Engine]):
    """Runs requests on a model's engines, as many together as the model batches.

    A batch that raises is split in halves which are retried, until the failing request is alone: its
    neighbours lose time, never their results. The same halving makes a batch fit into memory.

    Args:
        model: runs the requests.
        name: the model's name in the configuration, for messages.
        variants: the cache of engines.
        threads: run the model.
        memory: its caches are emptied before a retry when memory ran out.
        max_batch_size: maximum number of requests in a batch.
        batch_wait_seconds: how long the first request of a batch waits for others once it could run; a
            continuous batch needs no wait.
    """

    def __init__(
        self,
        model: Family[Engine, Any],
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
        self._max_size = 1 if isinstance(model, Model) else max_batch_size
        self._wait_seconds = batch_wait_seconds
        self._lanes: dict[tuple[str, str], Lane] = {}

    async def submit(self, variant: str, task: str, request: Request, context: ReplicaContext) -> Completed:
        """Queue a request, run it, and return its result.

        A canceled caller leaves at once while its request is queued, or while others in its batch run on;
        otherwise when the model has released its request. Cancel the context first.

        Raises:
            AudiographError: the variant cannot be loaded, or the model refuses the request.
            OutOfMemory: the request does not fit even alone.
            Exception: any other error of the model.
        """
        pending = Pending(request, context, asyncio.get_running_loop().create_future())
        lane = self._enqueue((variant, task), pending)
        try:
            outcome = await pending.done
        except asyncio.CancelledError:
            with suppress(ValueError):  # it is not queued any more if it runs
                lane.waiting.remove(pending)
            lane.changed.set()
            if pending.batch:
                await pending.batch.wait_released(pending)
            raise
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def _enqueue(self, key: tuple[str, str], pending: Pending) -> Lane:
        lane = self._lanes.setdefault(key, Lane())
        lane.waiting.append(pending)
        lane.changed.set()
        if lane.dispatcher is None or lane.dispatcher.done():
            lane.dispatcher = asyncio.get_running_loop().create_task(self._dispatch(key[0], lane))
        return lane

    async def _dispatch(self, name: str, lane: Lane) -> None:
        while lane.waiting:
            requested_at = time.monotonic()
            try:
                variant = await self._variants.acquire(name, partial(_tell, lane))
            except Exception as error:
                _fail(lane, error)
                return
            loaded_at = time.monotonic()
            for pending in lane.waiting:
                pending.load_seconds += max(0.0, loaded_at - max(requested_at, pending.queued_at))
            await variant.slots.acquire()
            if isinstance(self._model, ContinuousModel):
                self._start(Batch([], continuous=True), variant, lane)
                continue
            await self._fill(lane)
            taken = [lane.waiting.popleft() for _ in range(min(self._max_size, len(lane.waiting)))]
            self._start(Batch(taken), variant, lane)

    async def _fill(self, lane: Lane) -> None:
        """Wait for more requests, for the rest of the time that the oldest may wait."""
        if not lane.waiting:
            return
        left = lane.waiting[0].queued_at + self._wait_seconds - time.monotonic()
        with suppress(TimeoutError):
            async with asyncio.timeout(left):
                while 0 < len(lane.waiting) < self._max_size:
                    lane.changed.clear()
                    await lane.changed.wait()

    def _start(self, batch: Batch, variant: Variant[Engine], lane: Lane) -> None:
        variant.running += len(batch.requests)
        batch.task = asyncio.get_running_loop().create_task(self._run(batch, variant, lane))
        for pending in batch.requests:
            pending.batch = batch

    async def _run(self, batch: Batch, variant: Variant[Engine], lane: Lane) -> None:
        try:
            if batch.continuous:
                await self._run_continuous(batch, variant, lane.waiting, is_open=lambda: not variant.leaving)
                await asyncio.sleep(0)  # the intake's last changes on the loop come before the slot is free
            else:
                await self._attempt(batch.requests, variant)
        except Exception as error:
            for pending in batch.requests:
                pending.settle(error, "none")
        finally:
            for pending in batch.requests:
                pending.released.set()
            variant.running -= len(batch.requests)
            variant.slots.release()
            self._variants.release(variant)

    async def _run_continuous(
        self, batch: Batch, variant: Variant[Engine], waiting: deque[Pending], is_open: Callable[[], bool]
    ) -> None:
        """Serve queued requests and those that join, until none is left; retry after an error in halves."""
        intake = LaneIntake(
            batch,
            variant,
            waiting,
            is_open=is_open,
            capacity=self._max_size,
            normalized=lambda outcome: self._normalized(outcome, variant.name),
        )
        error = await self._threads.run(self._continuous_in_thread, variant, intake)
        if error is None:
            return
        unfinished = intake.unfinished or intake.take()
        if intake.was_alone:
            for ticket in unfinished:
                ticket.finish(error)
            return
        logger.warning("%s %s: a continuous batch raised %r", self._name, variant.name, error)
        requests = [ticket.pending for ticket in unfinished]
        half = (len(requests) + 1) // 2
        for part in (requests[:half], requests[half:]):
            if part:
                await self._run_continuous(batch, variant, deque(part), is_open=lambda: True)

    def _continuous_in_thread(self, variant: Variant[Engine], intake: LaneIntake) -> Exception | None:
        model = self._model
        assert isinstance(model, ContinuousModel)
        assert variant.loaded is not None
        engine = variant.loaded.engine

        def call() -> None:
            model.run_continuous(engine, intake)
            if not intake.used or intake.unfinished:
                raise RuntimeError(f"run_continuous ended with {len(intake.unfinished)} requests unfinished")

        return self._error_of(call, variant)

    async def _attempt(self, requests: Sequence[Pending], variant: Variant[Engine]) -> None:
        requests = [pending for pending in requests if not pending.done.done()]
        if not requests:
            return
        assert variant.loaded is not None
        weights = variant.loaded.weights
        outcome = await self._threads.run(self._run_in_thread, variant, requests)
        if isinstance(outcome, list):
            for pending, part in zip(requests, outcome, strict=True):
                pending.settle(part, weights)
        elif len(requests) == 1:
            requests[0].settle(outcome, weights)
        else:
            half = len(requests) // 2
            size = len(requests)
            logger.warning("%s %s: a batch of %d raised %r", self._name, variant.name, size, outcome)
            await self._attempt(requests[:half], variant)
            await self._attempt(requests[half:], variant)

    def _run_in_thread(
        self, variant: Variant[Engine], requests: Sequence[Pending]
    ) -> "list[Output | Exception] | Exception":
        """Return the outputs of all requests, or the exception that ended the run."""
        outputs: list[Output | Exception] = []

        def call() -> None:
            for pending in requests:
                pending.begin()
            outputs.extend(
                self._normalized(part, variant.name) for part in self._call_model(variant, requests)
            )

        return self._error_of(call, variant) or outputs

    def _error_of(self, call: Callable[[], None], variant: Variant[Engine]) -> Exception | None:
        """Call the model; return the exception that ended the call, normalized, or None."""
        try:
            call()
        except SystemExit as error:  # it would end the event loop
            normalized: Exception = RuntimeError(f"the model called sys.exit({error.code})")
        except Exception as error:
            normalized = self._normalized_error(error, variant.name)
        else:
            return None
        if isinstance(normalized, OutOfMemory):
            self._memory.settle()  # by now the traceback is gone, and with it the memory of its frames
        return normalized

    def _call_model(
        self, variant: Variant[Engine], requests: Sequence[Pending]
    ) -> Sequence[Output | Exception]:
        model = self._model
        assert variant.loaded is not None
        engine = variant.loaded.engine
        if isinstance(model, Model):
            (pending,) = requests
            return [model.run(engine, pending.request, pending.context)]
        assert isinstance(model, BatchedModel)
        contexts = [pending.context for pending in requests]
        outputs = model.run_batch(engine, [pending.request for pending in requests], contexts)
        if len(outputs) != len(requests):
            raise RuntimeError(f"run_batch returned {len(outputs)} outputs for {len(requests)} requests")
        return list(outputs)

    def _normalized(self, part: Output | Exception, variant: str) -> Output | Exception:
        return self._normalized_error(part, variant) if isinstance(part, Exception) else part

    def _normalized_error(self, error: Exception, variant: str) -> Exception:
        if is_out_of_memory(error):
            return request_too_big(error, f"{self._name} {variant}", self._memory)
        if isinstance(error, AudiographError):
            return error.with_traceback(None)  # it is not logged, and its frames refer to the engine
        return error


def _tell(lane: Lane, stage: str) -> None:
    """Report the stage of a load to all requests that wait for it."""
    for pending in lane.waiting:
        if not pending.context.canceled:
            pending.context.progress(0.0, stage)


def _fail(lane: Lane, error: Exception) -> None:
    while lane.waiting:
        lane.waiting.popleft().settle(error, "none")
