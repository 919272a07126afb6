"""Requests on their way through a model: waiting in a lane, running in a batch, and what came of them."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

from audiograph.schemas import Request
from deployments.models.base import Output
from deployments.replica.context import ReplicaContext
from deployments.threads import ended


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
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when no thread of the model works on it any more."""

    def begin(self) -> None:
        """The model starts with it; called in the model's thread, again when it is tried again."""
        self.started_at = self.started_at or time.monotonic()
        self.context.begin()

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
    in_flight: bool = False
    """Whether requests come and go while it runs."""
    task: "asyncio.Task[None] | None" = None

    async def let_go(self, work: Work) -> None:
        """Wait until the model has let go of a canceled request.

        In flight that is its next step. Elsewhere a request leaves at once while its neighbours go on, and
        the last one with the model's thread.
        """
        if self.in_flight:
            await ended(asyncio.ensure_future(work.left.wait()))
        elif self.task and all(other.done.done() for other in self.works):
            await ended(self.task)


@dataclass(eq=False, slots=True)
class Lane:
    """What waits for one variant and task, in order of arrival."""

    waiting: deque[Work] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    dispatcher: "asyncio.Task[None] | None" = None
