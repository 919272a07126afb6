"""Run contexts, tickets and an intake for unit tests of models, without a cluster."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Generic

import numpy as np
import soxr

from audiograph.errors import Canceled, NotFound
from deployments.audio.recording import AudioStream, Recording
from deployments.models.base import ContinuousModel, Output, RequestT, Samples, VoiceSample


class FakeContext:
    """`RunContext` over audio in memory; it records the reports of the model.

    Args:
        audio: samples ``[channels, frames]`` and their rate in Hz, by file id.
        voices: mono recordings by voice id.
        cancel_after: number of calls of `progress` and `check` before they raise `Canceled`.
    """

    device = "cpu"

    def __init__(
        self,
        audio: Mapping[str, tuple[Samples, int]] | None = None,
        *,
        voices: Mapping[str, VoiceSample] | None = None,
        job_id: str = "job-test",
        cancel_after: int | None = None,
    ) -> None:
        self.job_id = job_id
        self.reports: list[tuple[float, str | None]] = []
        self.partials: list[dict[str, Any]] = []
        self.checks = 0
        self.cancel_after = cancel_after
        self.offsets: dict[str, float] = {}
        self._audio = dict(audio or {})
        self._voices = dict(voices or {})

    def audio(
        self, file_id: str, *, sample_rate: int | None = None, mono: bool = False
    ) -> tuple[Samples, int]:
        if file_id not in self._audio:
            raise NotFound(f"no file {file_id!r}", field="file")
        samples, rate = self._audio[file_id]
        if mono:
            samples = np.atleast_2d(samples).mean(axis=0, dtype=np.float32)
        if sample_rate is not None and sample_rate != rate:
            samples, rate = soxr.resample(samples.T, rate, sample_rate).T, sample_rate
        return np.ascontiguousarray(samples, dtype=np.float32), rate

    def offset(self, file_id: str) -> float:
        return self.offsets.get(file_id, 0.0)

    def voice(self, voice: str, *, sample_rate: int) -> VoiceSample:
        if voice not in self._voices:
            raise NotFound(f"no voice {voice!r}", field="voice")
        kept = self._voices[voice]
        samples = soxr.resample(kept.samples, kept.sample_rate, sample_rate).astype(np.float32)
        return replace(kept, samples=samples, sample_rate=sample_rate)

    @contextmanager
    def stream(self, file_id: str) -> Iterator[AudioStream]:
        samples, rate = self.audio(file_id)
        frames = np.atleast_2d(samples).T
        starts = range(0, len(frames), 10_000)
        yield AudioStream(rate, frames.shape[1], (frames[start : start + 10_000] for start in starts))

    def recording(self, channels: int) -> Recording:
        return Recording(channels)

    def progress(self, fraction: float, stage: str | None = None) -> None:
        self.reports.append((fraction, stage))
        self.check()

    def partial(self, data: dict[str, Any]) -> None:
        self.partials.append(data)

    def check(self) -> None:
        self.checks += 1
        if self.cancel_after is not None and self.checks > self.cancel_after:
            raise Canceled("the job was canceled")

    @property
    def fractions(self) -> list[float]:
        """The reported progress, in order."""
        return [fraction for fraction, _ in self.reports]

    @property
    def stages(self) -> list[str]:
        """The reported stages, in order, without repetitions."""
        names = [stage for _, stage in self.reports if stage is not None]
        return [name for n, name in enumerate(names) if n == 0 or name != names[n - 1]]


class FakeTicket(Generic[RequestT]):
    """One request of a continuous batch, and its outcome."""

    def __init__(self, request: RequestT, context: FakeContext | None = None) -> None:
        self.request = request
        self.context = context or FakeContext()
        self.outcome: Output | Exception | None = None

    def finish(self, outcome: Output | Exception) -> None:
        assert self.outcome is None, "finished twice"
        self.outcome = outcome

    @property
    def output(self) -> Output:
        """The output; raises the exception if there is one instead."""
        assert self.outcome is not None, "never finished"
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class FakeIntake(Generic[RequestT]):
    """`Intake` that lets a ticket join at a given call of `take`, or at the first later one with capacity.

    Args:
        tickets: with the number of the call from which on each may join.
        capacity: maximum number of unfinished requests.
    """

    def __init__(self, tickets: Sequence[tuple[int, FakeTicket[RequestT]]], capacity: int = 4) -> None:
        self.capacity = capacity
        self.calls = 0
        self.max_unfinished = 0
        self._waiting = list(tickets)
        self._taken: list[FakeTicket[RequestT]] = []

    def take(self) -> list[FakeTicket[RequestT]]:
        unfinished = [ticket for ticket in self._taken if ticket.outcome is None]
        free = self.capacity - len(unfinished)
        joining = [pair for pair in self._waiting if pair[0] <= self.calls][:free]
        if not unfinished and not joining and self._waiting:
            joining = self._waiting[:1]  # no other request is left to make the calls that it waits for
        self._waiting = [pair for pair in self._waiting if pair not in joining]
        self._taken += [ticket for _, ticket in joining]
        self.max_unfinished = max(self.max_unfinished, len(unfinished) + len(joining))
        self.calls += 1
        return [ticket for _, ticket in joining]


def serve(
    model: ContinuousModel[Any, RequestT], engine: Any, *tickets: FakeTicket[RequestT], capacity: int = 4
) -> FakeIntake[RequestT]:
    """Serve tickets that all wait from the start."""
    intake = FakeIntake([(0, ticket) for ticket in tickets], capacity)
    model.run_continuous(engine, intake)
    return intake
