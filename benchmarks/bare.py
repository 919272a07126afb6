"""Contexts, tickets and an intake for models that run without a server."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Generic

from audiograph.errors import NotFound
from deployments.audio import files as audio
from deployments.audio.recording import AudioStream, Recording
from deployments.config import LimitsConfig
from deployments.models.base import ContinuousModel, Output, RequestT, Samples, VoiceSample


class BareContext:
    """A `RunContext` without a server: every id means one file, and reports are dropped."""

    job_id = "bare"

    def __init__(self, path: Path, device: str = "cpu") -> None:
        self.device = device
        self._path = path

    def audio(
        self, file_id: str, *, sample_rate: int | None = None, mono: bool = False
    ) -> tuple[Samples, int]:
        """Decode the file like a replica."""
        return audio.decode(self._path, sample_rate=sample_rate, mono=mono, limits=LimitsConfig())

    def offset(self, file_id: str) -> float:
        """Return 0: the file begins with its sound."""
        return 0.0

    def voice(self, voice: str, *, sample_rate: int) -> VoiceSample:
        """Refuse: there are no recorded voices."""
        raise NotFound(f"no voice {voice!r}", field="voice")

    def stream(self, file_id: str) -> AbstractContextManager[AudioStream]:
        """Decode the file block by block like a replica."""
        return audio.stream(self._path, LimitsConfig())

    def recording(self, channels: int) -> Recording:
        """Create a recording in the system's temporary folder; it is deleted with its last reference."""
        return Recording(channels)

    def progress(self, fraction: float, stage: str | None = None) -> None:
        """Drop the report."""

    def partial(self, data: object) -> None:
        """Drop the part."""

    def check(self) -> None:
        """Return: no job is canceled."""


class BareTicket(Generic[RequestT]):
    """One request, and its outcome."""

    def __init__(self, request: RequestT, context: BareContext) -> None:
        self.request = request
        self.context = context
        self.outcome: Output | Exception | None = None

    def finish(self, outcome: Output | Exception) -> None:
        """Keep the outcome."""
        self.outcome = outcome


class BareIntake(Generic[RequestT]):
    """Requests that all wait from the start, up to a number of unfinished ones."""

    def __init__(self, tickets: Sequence[BareTicket[RequestT]], capacity: int) -> None:
        self.capacity = capacity
        self._waiting = list(tickets)
        self._taken: list[BareTicket[RequestT]] = []

    def take(self) -> list[BareTicket[RequestT]]:
        """Take the requests for which there is capacity."""
        self._taken = [ticket for ticket in self._taken if ticket.outcome is None]
        free = self.capacity - len(self._taken)
        joining, self._waiting = self._waiting[:free], self._waiting[free:]
        self._taken += joining
        return joining


def serve(
    model: ContinuousModel[Any, RequestT],
    engine: Any,
    tickets: Sequence[BareTicket[RequestT]],
    capacity: int,
) -> None:
    """Serve all tickets; raise the first exception that one of them was finished with."""
    model.run_continuous(engine, BareIntake(tickets, capacity))
    for ticket in tickets:
        if isinstance(ticket.outcome, Exception):
            raise ticket.outcome
