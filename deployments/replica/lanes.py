"""Requests on their way through a model: queued, running in a batch, and completed."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

from audiograph.schemas import Request, Weights
from deployments.models.base import Output
from deployments.replica.context import ReplicaContext
from deployments.threads import wait_finished


@dataclass(frozen=True, slots=True)
class RunTimings:
    """Where a request's time went, in seconds."""

    queue: float
    """From arrival to the start of the run, without loading."""
    load: float
    run: float


@dataclass(frozen=True, slots=True)
class Completed:
    """A completed run."""

    output: Output
    weights: Weights
    timings: RunTimings


@dataclass(eq=False, slots=True)
class Pending:
    """A request on its way through the model."""

    request: Request
    context: ReplicaContext
    done: "asyncio.Future[Completed | Exception]"
    """Canceled as soon as the caller leaves."""
    queued_at: float = field(default_factory=time.monotonic)
    started_at: float | None = None
    load_seconds: float = 0.0
    batch: "Batch | None" = None
    released: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when no thread of the model works on it any more."""

    def begin(self) -> None:
        """Mark the start of the run; called in the model's thread, also before a retry."""
        self.started_at = self.started_at or time.monotonic()
        self.context.begin()

    def settle(self, outcome: Output | Exception, weights: Weights) -> None:
        """Resolve the request with its result, unless the caller has left."""
        if self.done.done():
            return
        if isinstance(outcome, Exception):
            self.done.set_result(outcome)  # as a value: a future does not accept every exception
        else:
            self.done.set_result(Completed(outcome, weights, self._timings()))

    def _timings(self) -> RunTimings:
        started_at = self.started_at or time.monotonic()
        queue = max(0.0, started_at - self.queued_at - self.load_seconds)
        return RunTimings(queue=queue, load=self.load_seconds, run=time.monotonic() - started_at)


@dataclass(eq=False, slots=True)
class Batch:
    """Requests that run together, and the task that runs them."""

    requests: list[Pending]
    continuous: bool = False
    """Whether requests join and leave while it runs."""
    task: "asyncio.Task[None] | None" = None

    async def wait_released(self, request: Pending) -> None:
        """Wait until the model has released a canceled request.

        A continuous batch releases it at its next step. Any other batch runs on for its other requests: then
        there is nothing to wait for, and the last one waits for the model's thread.
        """
        if self.continuous:
            await wait_finished(asyncio.ensure_future(request.released.wait()))
        elif self.task and all(other.done.done() for other in self.requests):
            await wait_finished(self.task)


@dataclass(eq=False, slots=True)
class Lane:
    """The queue of one variant and task, in order of arrival."""

    waiting: deque[Pending] = field(default_factory=deque)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    dispatcher: "asyncio.Task[None] | None" = None
