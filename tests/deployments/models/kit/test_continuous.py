"""The loop of a continuous batch, with a model whose step is one subtraction."""

from dataclasses import dataclass
from typing import Any

import pytest

from audiograph.errors import Canceled, InvalidRequest, NotFound
from audiograph.schemas import SpeakRequest, SpeakResult
from deployments.models.base import Intake, Output, Ticket
from deployments.models.kit.continuous import ContinuousScheduler
from tests.deployments.models.fakes import FakeContext, FakeIntake, FakeTicket


@dataclass(eq=False, slots=True)
class Countdown:
    """A request that needs some more steps."""

    ticket: Ticket[SpeakRequest]
    steps_left: int

    @property
    def text(self) -> str:
        return self.ticket.request.text


class Toy(ContinuousScheduler[SpeakRequest, Countdown]):
    """Takes ``parameters.steps`` steps per request; `steps` records the texts in each step."""

    def __init__(self, intake: Intake[SpeakRequest]) -> None:
        super().__init__(intake)
        self.steps: list[str] = []
        self.released: list[str] = []

    def admit(self, ticket: Ticket[SpeakRequest]) -> Countdown:
        fail(ticket.request, "admit")
        return Countdown(ticket, ticket.request.parameters.get("steps", 1))

    def step(self) -> None:
        self.steps.append("".join(request.text for request in self.admitted))
        for request in list(self.admitted):
            fail(request.ticket.request, "step")
            request.steps_left -= 1
            if not request.steps_left:
                with self.isolated(request):
                    fail(request.ticket.request, "deliver")
                    self.finish(request, output(request.text))

    def report(self, request: Countdown) -> None:
        request.ticket.context.progress(1 / (1 + request.steps_left), "counting")

    def release(self, request: Countdown) -> None:
        self.released.append(request.text)


ERRORS: dict[str, Exception] = {
    "missing": NotFound("there is no file"),
    "refused": InvalidRequest("too sad"),
    "bug": KeyError("words"),
    "memory": MemoryError("unable to allocate 2 GiB"),
    "device": RuntimeError("the device is gone"),
}


def fail(request: SpeakRequest, stage: str) -> None:
    """Raise the error of a request's parameter ``admit``, ``step`` or ``deliver``."""
    if stage in request.parameters:
        raise ERRORS[request.parameters[stage]]


def output(voice: str) -> Output:
    return Output(SpeakResult(voice=voice, duration=1.0, sample_rate=8000, channels=1))


def ticket(text: str, *, cancel_after: int | None = None, **parameters: object) -> FakeTicket[SpeakRequest]:
    request = SpeakRequest(text=text, parameters=parameters)
    return FakeTicket(request, FakeContext(cancel_after=cancel_after))


def run(*tickets: tuple[int, FakeTicket[SpeakRequest]], capacity: int = 4) -> Toy:
    """Serve tickets, each with the step from which on it waits."""
    toy = Toy(FakeIntake(tickets, capacity))
    toy.run()
    return toy


def test_requests_join_and_leave_between_steps() -> None:
    long, short = ticket("a", steps=4), ticket("b", steps=2)
    toy = run((0, long), (1, short))
    assert toy.steps == ["a", "ab", "ab", "a"]
    assert toy.released == ["b", "a"]
    assert (long.output, short.output) == (output("a"), output("b"))


def test_it_returns_when_no_request_waits() -> None:
    assert run().steps == []


def test_no_more_than_the_capacity_share_a_step() -> None:
    toy = run(*((0, ticket(text, steps=2)) for text in "abc"), capacity=2)
    assert toy.steps == ["ab", "ab", "c", "c"]


def test_each_request_reports_its_own_progress_before_each_step() -> None:
    long, short = ticket("a", steps=3), ticket("b", steps=1)
    run((0, long), (0, short))
    assert long.context.fractions == [1 / 4, 1 / 3, 1 / 2]
    assert short.context.fractions == [1 / 2]


def test_a_canceled_request_leaves_at_the_next_step_and_the_others_stay() -> None:
    stays, leaves = ticket("a", steps=4), ticket("b", steps=1000, cancel_after=2)
    toy = run((0, stays), (0, leaves))
    assert isinstance(leaves.outcome, Canceled)
    assert toy.steps == ["ab", "ab", "a", "a"]
    assert toy.released == ["b", "a"]
    assert stays.output == output("a")


def test_when_all_are_canceled_there_is_no_step() -> None:
    canceled = ticket("a", cancel_after=0)
    assert run((0, canceled)).steps == []
    assert isinstance(canceled.outcome, Canceled)


@pytest.mark.parametrize("error", ["missing", "refused", "bug"])
def test_an_error_at_admission_finishes_that_request_alone(error: str) -> None:
    bad, good = ticket("a", admit=error), ticket("b", steps=2)
    toy = run((0, bad), (0, good))
    assert bad.outcome is ERRORS[error]
    assert good.output == output("b")
    assert toy.steps == ["b", "b"]
    assert toy.released == ["b"]


@pytest.mark.parametrize("error", ["missing", "refused", "bug"])
def test_an_error_at_delivery_finishes_that_request_alone(error: str) -> None:
    bad, good = ticket("a", deliver=error), ticket("b", steps=2)
    toy = run((0, bad), (0, good))
    assert bad.outcome is ERRORS[error]
    assert good.output == output("b")
    assert toy.released == ["a", "b"]


@pytest.mark.parametrize("stage", ["step", "admit", "deliver"])
def test_an_error_of_full_memory_reaches_all_unfinished_requests_from_any_stage(stage: str) -> None:
    failing: dict[str, Any] = {stage: "memory"}
    done, bad, good = ticket("a"), ticket("b", **failing), ticket("c", steps=3)
    with pytest.raises(MemoryError):
        run((0, done), (0, good), (1, bad))
    assert done.output == output("a")
    assert (bad.outcome, good.outcome) == (None, None)


def test_any_error_of_a_step_reaches_all_unfinished_requests() -> None:
    bad, good = ticket("a", step="device"), ticket("b")
    with pytest.raises(RuntimeError, match="the device is gone"):
        run((0, bad), (0, good))
    assert (bad.outcome, good.outcome) == (None, None)
