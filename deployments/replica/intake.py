"""The intake of a continuous batch: requests join from their lane and leave between the model's steps."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from deployments.models.base import Output
from deployments.replica.context import ReplicaContext
from deployments.replica.lanes import Batch, Pending
from deployments.replica.loading import Variant

Outcome = Output | Exception


class LaneTicket:
    """A `deployments.models.base.Ticket` of one pending request."""

    def __init__(self, pending: Pending, finish: Callable[["LaneTicket", Outcome], None]) -> None:
        self.pending = pending
        self.finished = False
        self._finish = finish

    @property
    def request(self) -> Any:
        """The request."""
        return self.pending.request

    @property
    def context(self) -> ReplicaContext:
        """The request's own context."""
        return self.pending.context

    def finish(self, outcome: Outcome) -> None:
        """Resolve the request; a second call changes nothing."""
        if not self.finished:
            self.finished = True
            self._finish(self, outcome)


class LaneIntake:
    """The `deployments.models.base.Intake` of one batch.

    It is created on the event loop. `take` and `LaneTicket.finish` are called in the model's thread, and
    leave changes that others see to the loop.

    Args:
        batch: the requests that join.
        variant: its engine serves the batch.
        waiting: the queue of requests.
        is_open: whether requests may join now.
        capacity: maximum number of unfinished requests.
        normalized: converts a model's outcome to the caller's.
    """

    def __init__(
        self,
        batch: Batch,
        variant: Variant[Any],
        waiting: deque[Pending],
        *,
        is_open: Callable[[], bool],
        capacity: int,
        normalized: Callable[[Outcome], Outcome],
    ) -> None:
        self.capacity = capacity
        self.used = False
        """Whether the model has called `take`."""
        self._batch = batch
        self._variant = variant
        self._waiting = waiting
        self._is_open = is_open
        self._normalized = normalized
        self._loop = asyncio.get_running_loop()
        self._tickets: list[LaneTicket] = []
        self._joined = 0

    def take(self) -> list[LaneTicket]:
        """Take the waiting requests that the capacity admits; see `Intake.take`."""
        self.used = True
        self._tickets = self.unfinished
        joined: list[LaneTicket] = []
        while len(self._tickets) + len(joined) < self.capacity and self._is_open():
            try:
                pending = self._waiting.popleft()
            except IndexError:
                break
            pending.begin()
            joined.append(LaneTicket(pending, self._finish))
        if joined:
            self._tickets += joined
            self._joined += len(joined)
            self._loop.call_soon_threadsafe(self._join, [ticket.pending for ticket in joined])
        return joined

    @property
    def unfinished(self) -> list[LaneTicket]:
        """The tickets that are not finished."""
        return [ticket for ticket in self._tickets if not ticket.finished]

    @property
    def was_alone(self) -> bool:
        """Whether at most one request has ever joined."""
        return self._joined <= 1

    def _join(self, joined: list[Pending]) -> None:
        for pending in joined:
            if pending.batch is None:
                pending.batch = self._batch
                self._batch.requests.append(pending)
                self._variant.running += 1

    def _finish(self, ticket: LaneTicket, outcome: Outcome) -> None:
        self._loop.call_soon_threadsafe(self._leave, ticket.pending, self._normalized(outcome))

    def _leave(self, pending: Pending, outcome: Outcome) -> None:
        assert self._variant.loaded is not None
        pending.settle(outcome, self._variant.loaded.weights)
        pending.released.set()
        self._batch.requests.remove(pending)
        self._variant.running -= 1
