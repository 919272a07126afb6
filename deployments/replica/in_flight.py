"""A batch in flight: requests join it from their lane and leave it, between the steps of the model."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from deployments.models.base import Output
from deployments.replica.context import ReplicaContext
from deployments.replica.lanes import Batch, Work
from deployments.replica.loading import Variant

Outcome = Output | Exception


class WorkTicket:
    """A `deployments.models.base.Ticket` for one work."""

    def __init__(self, work: Work, finish: Callable[["WorkTicket", Outcome], None]) -> None:
        self.work = work
        self.finished = False
        self._finish = finish

    @property
    def request(self) -> Any:
        """What is asked."""
        return self.work.request

    @property
    def context(self) -> ReplicaContext:
        """The line to the caller."""
        return self.work.context

    def finish(self, outcome: Outcome) -> None:
        """Hand over what came of it."""
        if not self.finished:
            self.finished = True
            self._finish(self, outcome)


class LaneIntake:
    """The `deployments.models.base.Intake` of one batch.

    Made on the event loop; `take` and `WorkTicket.finish` are called in the model's thread, and leave to the
    loop what others see.

    Args:
        batch: which requests join.
        variant: whose engine serves it.
        waiting: where requests come from.
        is_open: whether requests may join now.
        seats: the most requests that may be unfinished at a time.
        told: an outcome as the caller shall see it.
    """

    def __init__(
        self,
        batch: Batch,
        variant: Variant[Any],
        waiting: deque[Work],
        *,
        is_open: Callable[[], bool],
        seats: int,
        told: Callable[[Outcome], Outcome],
    ) -> None:
        self.seats = seats
        self.asked = False
        """Whether the model has called `take`."""
        self._batch = batch
        self._variant = variant
        self._waiting = waiting
        self._is_open = is_open
        self._told = told
        self._loop = asyncio.get_running_loop()
        self._tickets: list[WorkTicket] = []
        self._joined = 0

    def take(self) -> list[WorkTicket]:
        """Whatever waits and finds a seat; see `Intake.take`."""
        self.asked = True
        self._tickets = self.unfinished
        joined: list[WorkTicket] = []
        while len(self._tickets) + len(joined) < self.seats and self._is_open():
            try:
                work = self._waiting.popleft()
            except IndexError:
                break
            work.begin()
            joined.append(WorkTicket(work, self._finish))
        if joined:
            self._tickets += joined
            self._joined += len(joined)
            self._loop.call_soon_threadsafe(self._join, [ticket.work for ticket in joined])
        return joined

    @property
    def unfinished(self) -> list[WorkTicket]:
        """The tickets whose work goes on."""
        return [ticket for ticket in self._tickets if not ticket.finished]

    @property
    def was_alone(self) -> bool:
        """Whether no more than one request ever joined."""
        return self._joined <= 1

    def _join(self, works: list[Work]) -> None:
        for work in works:
            if work.batch is None:
                work.batch = self._batch
                self._batch.works.append(work)
                self._variant.running += 1

    def _finish(self, ticket: WorkTicket, outcome: Outcome) -> None:
        self._loop.call_soon_threadsafe(self._leave, ticket.work, self._told(outcome))

    def _leave(self, work: Work, outcome: Outcome) -> None:
        assert self._variant.loaded is not None
        work.settle(outcome, self._variant.loaded.weights)
        work.left.set()
        self._batch.works.remove(work)
        self._variant.running -= 1
