"""What a model's methods are given, with no server behind it and nobody who waits."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from deployments.audio import files as audio
from deployments.audio.recording import AudioStream, Recording
from deployments.config import LimitsConfig
from deployments.models.base import Model, Output, Samples


class BareContext:
    """A `RunContext` with no server behind it: one file, whatever its id, and nobody listens."""

    device = "cpu"
    job_id = "bare"

    def __init__(self, path: Path) -> None:
        self._path = path

    def audio(
        self, file_id: str, *, sample_rate: int | None = None, mono: bool = False
    ) -> tuple[Samples, int]:
        """Decode as a replica does."""
        return audio.decode(self._path, sample_rate=sample_rate, mono=mono, limits=LimitsConfig())

    def stream(self, file_id: str) -> AbstractContextManager[AudioStream]:
        """Decode as a replica does."""
        return audio.stream(self._path, LimitsConfig())

    def recording(self, channels: int) -> Recording:
        """On the system's disk; it ends with its last reference."""
        return Recording(channels)

    def progress(self, fraction: float, stage: str | None = None) -> None:
        """Let it pass."""

    def partial(self, data: object) -> None:
        """Let it pass."""

    def check(self) -> None:
        """Nobody cancels."""


class BareTicket:
    """One request, and what came of it."""

    def __init__(self, request: Any, context: BareContext) -> None:
        self.request = request
        self.context = context
        self.outcome: Output | Exception | None = None

    def finish(self, outcome: Output | Exception) -> None:
        """Keep what came of it."""
        self.outcome = outcome


class BareIntake:
    """Requests that all wait from the start, for as many seats as there are."""

    def __init__(self, tickets: Sequence[BareTicket], seats: int) -> None:
        self.seats = seats
        self._waiting = list(tickets)
        self._taken: list[BareTicket] = []

    def take(self) -> list[BareTicket]:
        """Whoever finds a seat."""
        self._taken = [ticket for ticket in self._taken if ticket.outcome is None]
        free = self.seats - len(self._taken)
        joining, self._waiting = self._waiting[:free], self._waiting[free:]
        self._taken += joining
        return joining


def fly(model: Model[Any], engine: Any, tickets: Sequence[BareTicket], seats: int) -> None:
    """Serve them all, and raise what any of them met."""
    model.run_in_flight(engine, BareIntake(tickets, seats))
    for ticket in tickets:
        if isinstance(ticket.outcome, Exception):
            raise ticket.outcome
