"""Context of a run: its input audio, and its connection to the caller for progress and cancellation."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audiograph.errors import Canceled, naming_field
from audiograph.schemas import Artifact, File
from deployments.audio import files as audio
from deployments.audio.recording import AudioStream, Recording
from deployments.config import LimitsConfig
from deployments.models.base import Samples, VoiceSample
from deployments.replica.protocol import Event, Partial, Progress

if TYPE_CHECKING:  # batches also run without a database, as in benchmarks
    from deployments.storage.artifacts import ArtifactStore

PROGRESS_SECONDS = 0.25
"""Minimum time between two progress messages of a run."""


class ReplicaContext:
    """The `RunContext` of one request: created on the event loop, used in the model's thread, then closed.

    `send` takes the events and is called on the loop. Progress is sent at most every `PROGRESS_SECONDS`; of
    the reports in between, the newest is kept.
    """

    def __init__(
        self,
        *,
        device: str,
        job_id: str,
        store: "ArtifactStore",
        limits: LimitsConfig,
        scratch: Path,
        send: Callable[[Event], None],
    ) -> None:
        self.device = device
        self.job_id = job_id
        self._store = store
        self._limits = limits
        self._scratch = scratch
        self._recordings: list[Recording] = []
        self.notes: list[str] = []
        """Sentences on the files that were decoded, for the result."""
        self.fields: Mapping[str, str] = {}
        """The request's fields by the ids of the files in them, for errors."""
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._canceled = threading.Event()
        self._lock = threading.Lock()
        self._latest: Progress | None = None
        self._flush_is_due = False
        self._sent_at = -PROGRESS_SECONDS
        self._origin = (time.monotonic(), 0.0)
        self._fraction = 0.0

    def audio(
        self, file_id: str, *, sample_rate: int | None = None, mono: bool = False
    ) -> tuple[Samples, int]:
        """Decode a stored file; see `RunContext.audio`."""
        self.check()
        with self._naming_field(file_id), self._store.local(file_id) as path:
            record = self._record(file_id)
            return audio.decode(
                path, sample_rate=sample_rate, mono=mono, limits=self._limits, track=record.track
            )

    def offset(self, file_id: str) -> float:
        """Return the beginning of a stored file's sound in seconds; see `RunContext.offset`."""
        with self._naming_field(file_id):
            return self._store.get(file_id).offset or 0.0

    def voice(self, voice: str, *, sample_rate: int) -> VoiceSample:
        """Load a recorded voice by its artifact's id, which replaced its name; see `RunContext.voice`."""
        samples, rate = self.audio(voice, sample_rate=sample_rate, mono=True)
        with self._naming_field(voice):
            record = self._store.get(voice)
        known = record.parameters if isinstance(record, Artifact) else {}
        return VoiceSample(known.get("voice", record.name), samples, rate, known.get("transcript"))

    @contextmanager
    def stream(self, file_id: str) -> Iterator[AudioStream]:
        """Decode a stored file block by block; see `RunContext.stream`."""
        self.check()
        with ExitStack() as stack:
            with self._naming_field(file_id):  # errors of the model itself have their own fields
                path = stack.enter_context(self._store.local(file_id))
                record = self._record(file_id)
                source = stack.enter_context(audio.stream(path, self._limits, record.track))
            yield source

    def _naming_field(self, file_id: str) -> AbstractContextManager[None]:
        """Attribute errors about a file to the field of the request that names it."""
        return naming_field(self.fields.get(file_id, "file"))

    def _record(self, file_id: str) -> File | Artifact:
        """Return the record of a file that is about to be decoded, and keep its notes for the result."""
        record = self._store.get(file_id)
        self.notes += [note for note in record.notes if note not in self.notes]
        return record

    def recording(self, channels: int) -> Recording:
        """Create an empty recording in the scratch folder; see `RunContext.recording`."""
        self.check()
        self._scratch.mkdir(parents=True, exist_ok=True)
        self._recordings.append(Recording(channels, self._scratch))
        return self._recordings[-1]

    def close(self) -> None:
        """Close the recordings, once the run has ended and its outputs are stored."""
        for recording in self._recordings:
            recording.close()

    def progress(self, fraction: float, stage: str | None = None) -> None:
        """Report progress; see `RunContext.progress`. A fraction outside of 0..1 is clamped."""
        self.check()
        fraction = min(1.0, max(0.0, float(fraction)))
        with self._lock:
            eta = self._eta_seconds(fraction, time.monotonic())
            self._latest = {"type": "progress", "progress": fraction, "stage": stage, "eta_seconds": eta}
            wake = not self._flush_is_due
            self._flush_is_due = True
        if wake:
            self._loop.call_soon_threadsafe(self._schedule_flush)

    def partial(self, data: dict[str, Any]) -> None:
        """Send a part of the result at once; see `RunContext.partial`."""
        self.check()
        partial: Partial = {"type": "partial", "data": data}
        self._loop.call_soon_threadsafe(self._send, partial)

    def check(self) -> None:
        """Raise Canceled if the job was canceled."""
        if self._canceled.is_set():
            raise Canceled("the job was canceled")

    @property
    def canceled(self) -> bool:
        """Whether `cancel` was called."""
        return self._canceled.is_set()

    def cancel(self) -> None:
        """Make the model's next `check`, `progress`, `partial` or `audio` raise Canceled."""
        self._canceled.set()

    def begin(self) -> None:
        """Mark the start of the model's work: loading before it must not count in the remaining time."""
        with self._lock:
            self._origin = (time.monotonic(), 0.0)
            self._fraction = 0.0

    def flush(self) -> None:
        """Send the pending progress, if any. Call it on the loop."""
        with self._lock:
            event, self._latest = self._latest, None
            self._flush_is_due = False
        if event:
            self._sent_at = self._loop.time()
            self._send(event)

    def _schedule_flush(self) -> None:
        wait = self._sent_at + PROGRESS_SECONDS - self._loop.time()
        self._loop.call_later(max(0.0, wait), self.flush)

    def _eta_seconds(self, fraction: float, now: float) -> float | None:
        if fraction < self._fraction:  # a restart, such as a batch that is retried in halves
            self._origin = (now, fraction)
        self._fraction = fraction
        began_at, began_with = self._origin
        done, seconds = fraction - began_with, now - began_at
        return seconds * (1 - fraction) / done if done > 0 else None
