"""The loop of a continuous batch, for models that work in steps.

Requests are admitted between steps, share each step, and leave as soon as their own work is done. A model
supplies the step; see `ContinuousScheduler`.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from deployments.models.base import Intake, Output, RequestT, Ticket
from deployments.models.kit.resources import is_out_of_memory


class HasTicket(Protocol):
    """The model's own state of one admitted request; states are compared by identity."""

    @property
    def ticket(self) -> Ticket[Any]:
        """The ticket of the request."""
        ...


Admitted = TypeVar("Admitted", bound=HasTicket)


class ContinuousScheduler(ABC, Generic[RequestT, Admitted]):
    """Serves the requests of an intake in steps that all of them share.

    A subclass implements `admit`, `step`, `report` and `release`. An error while a request is admitted or
    reported finishes that request alone, and so does an error inside `isolated`. Any other error ends `run`
    and reaches all unfinished requests, as does an error of full memory: together they may not fit.

    Args:
        intake: the source of requests.
    """

    def __init__(self, intake: Intake[RequestT]) -> None:
        self.admitted: deque[Admitted] = deque()
        """The unfinished requests; a subclass may reorder them."""
        self._intake = intake

    @abstractmethod
    def admit(self, ticket: Ticket[RequestT]) -> Admitted:
        """Begin to serve a request, and return the model's state of it."""

    @abstractmethod
    def step(self) -> None:
        """Advance all admitted requests by one step, and `finish` those that are complete."""

    @abstractmethod
    def report(self, request: Admitted) -> None:
        """Report a request's progress to its caller; the context raises Canceled if the job was canceled."""

    @abstractmethod
    def release(self, request: Admitted) -> None:
        """Free a request's place in the batch, complete or not."""

    def run(self) -> None:
        """Serve all waiting requests, and those that join meanwhile."""
        while self._admit_waiting():
            self.report_all()
            if self.admitted:
                self.step()

    def report_all(self) -> None:
        """Report the progress of all requests, and finish those whose job was canceled."""
        for request in list(self.admitted):
            with self.isolated(request):
                self.report(request)

    def finish(self, request: Admitted, outcome: Output | Exception) -> None:
        """Release a request, and resolve its ticket."""
        self.admitted.remove(request)
        self.release(request)
        request.ticket.finish(outcome)

    @contextmanager
    def isolated(self, request: Admitted) -> Iterator[None]:
        """Finish a request with the exception of the block, unless memory ran out."""
        try:
            yield
        except Exception as error:
            if is_out_of_memory(error):
                raise
            self.finish(request, error)

    def _admit_waiting(self) -> bool:
        """Admit the waiting requests; return whether any request is unfinished."""
        for ticket in self._intake.take():
            try:
                self.admitted.append(self.admit(ticket))
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                ticket.finish(error)
        return bool(self.admitted)
