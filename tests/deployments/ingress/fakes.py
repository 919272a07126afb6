"""Fakes behind the ingress: models without engines, a queue in memory, and replicas."""

import asyncio
import json
import re
import threading
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from audiograph.errors import Conflict, IdempotencyConflict, InvalidRequest, NotFound, QueueFull
from audiograph.schemas import (
    File,
    Job,
    JobEvent,
    JobPage,
    LoadReport,
    Replica,
    ReplicaChange,
    Request,
    SpeakRequest,
    SpeakResult,
    Voice,
    file_references,
)
from deployments.ingress.direct import Speech
from deployments.jobs.binding import bind_voices
from deployments.models.base import LoadContext, Model, Output
from deployments.models.kit.speech_model import SpeechModel
from deployments.models.registry import Registry
from deployments.models.weights.published import Published, PublishedRepository
from deployments.replica.protocol import serialize, task_of
from deployments.storage.artifacts import ArtifactStore
from deployments.storage.voices import VoiceStore
from tests.support.sounds import tone


class NoEngine(Model[None, Any]):
    """A model that is never run here."""

    def load(self, variant: str, context: LoadContext) -> None:
        raise AssertionError("the ingress loads no models")

    def run(self, engine: None, request: Any, context: Any) -> Output:
        raise AssertionError("the ingress runs no models")


class Weighty(NoEngine):
    def published(self, variant: str) -> Sequence[Published]:
        return (PublishedRepository(f"weighty/{variant}", "MIT"),)


class Listener(Weighty):
    tasks = ("transcribe",)
    variants = ("tiny", "base")
    default_variant = "tiny"


class Speaker(SpeechModel[None, Any], NoEngine):
    tasks = ("speak", "dialogue")
    variants = ("default",)
    default_variant = "default"
    deterministic = True

    @classmethod
    def voices(cls) -> list[Voice]:
        return [Voice(id="en-us", name="American"), Voice(id="en-gb", name="British")]


class Cloner(SpeechModel[None, Any], NoEngine):
    tasks = ("speak", "dialogue")
    variants = ("default",)
    default_variant = "default"
    clones_voices = True
    needs_transcripts = True


class Both(Speaker):
    clones_voices = True


class Drawer(SpeechModel[None, Any], NoEngine):
    tasks = ("speak",)
    variants = ("default",)
    default_variant = "default"


class Steady(Drawer):
    deterministic = True


class Absent(Weighty):
    tasks = ("describe",)
    variants = ("default",)
    default_variant = "default"

    @classmethod
    def missing(cls) -> str | None:
        return "install the package that it needs"


class FakeQueue:
    """The job queue's interface over a dict; tests play the runner."""

    def __init__(
        self, registry: Registry, store: ArtifactStore, voices: VoiceStore, max_queued: int = 100
    ) -> None:
        self._registry = registry
        self._store = store
        self._voices = voices
        self._max_queued = max_queued
        self._keys: dict[str, tuple[str, Request]] = {}
        self.jobs: dict[str, Job] = {}
        self.requests: dict[str, Request] = {}
        self.notes: dict[str, list[str]] = {}
        self.log: dict[str, list[JobEvent]] = {}
        self.readers = 0

    async def submit(
        self, request: Request, *, idempotency_key: str | None = None, replace_invalid_voices: bool = False
    ) -> tuple[Job, bool]:
        if idempotency_key in self._keys:
            job_id, earlier = self._keys[idempotency_key]
            if earlier != request:
                raise IdempotencyConflict("this Idempotency-Key was used for another request")
            return self.jobs[job_id], False
        binding = bind_voices(
            self._registry.resolve(request),
            self._registry,
            self._voices,
            replace_invalid=replace_invalid_voices,
        )
        resolved = binding.request
        json.dumps(serialize(resolved))  # as the real queue stores it
        if sum(job.status == "queued" for job in self.jobs.values()) >= self._max_queued:
            raise QueueFull(f"{self._max_queued} jobs are queued", retry_after=2.5)
        job_id = str(uuid.uuid4())
        self.requests[job_id], self.notes[job_id] = resolved, [*binding.notes]
        self._store.pin(job_id, file_references(resolved))
        path = f"/v1/jobs/{job_id}"
        job = Job(
            id=job_id,
            task=task_of(resolved),
            model=resolved.model,
            variant=resolved.variant,
            status="queued",
            created_at=datetime.now(UTC),
            client_job_id=resolved.client_job_id,
            urls={"self": path, "events": f"{path}/events", "cancel": f"{path}/cancel"},
        )
        self.jobs[job_id], self.log[job_id] = job, []
        if idempotency_key:
            self._keys[idempotency_key] = (job_id, request)
        return job, True

    async def get(self, job_id: str) -> Job:
        if job_id not in self.jobs:
            raise NotFound(f"there is no job {job_id!r}", field="job_id")
        return self.jobs[job_id]

    async def list(
        self, *, status: Any = None, task: Any = None, limit: int = 50, cursor: Any = None
    ) -> JobPage:
        jobs = [
            j for j in reversed(self.jobs.values()) if status in (None, j.status) and task in (None, j.task)
        ]
        if cursor and not cursor.isdecimal():
            raise InvalidRequest(f"cursor {cursor!r} is invalid", field="cursor")
        start = int(cursor or 0)
        following = str(start + limit) if len(jobs) > start + limit else None
        return JobPage(data=jobs[start : start + limit], next_cursor=following)

    async def cancel(self, job_id: str) -> Job:
        job = await self.get(job_id)
        if job.status in ("succeeded", "failed"):
            raise Conflict(f"job {job_id} has already {job.status}", field="job_id")
        if not job.finished:
            self.finish(job_id, "canceled")
        return self.jobs[job_id]

    async def wait(self, job_id: str, seconds: float) -> Job:
        try:
            async with asyncio.timeout(seconds):
                async for _ in self._events(job_id, None):
                    pass
        except TimeoutError:
            pass
        return self.jobs[job_id]

    def events(
        self, job_id: str, after: str | None = None, *, field: str = "after"
    ) -> AsyncIterator[JobEvent]:
        if after is not None and after != "final" and not re.fullmatch("[0-9]{1,9}", after):
            raise InvalidRequest(f"{after!r} is not the id of an event", field=field)
        return self._events(job_id, after)

    async def _events(self, job_id: str, after: str | None) -> AsyncIterator[JobEvent]:
        await self.get(job_id)
        self.readers += 1
        try:
            position = len(self.log[job_id]) if after == "final" else int(after) + 1 if after else 0
            while True:
                for event in self.log[job_id][position:]:
                    position += 1
                    yield event
                if self.jobs[job_id].finished:
                    return
                await asyncio.sleep(0.01)
        finally:
            self.readers -= 1

    async def counts(self) -> dict[tuple[str, str], int]:
        totals: dict[tuple[str, str], int] = {}
        for job in self.jobs.values():
            totals[job.task, job.status] = totals.get((job.task, job.status), 0) + 1
        return totals

    async def oldest_queued_seconds(self) -> float:
        return 1.5 if any(job.status == "queued" for job in self.jobs.values()) else 0.0

    def progress(self, job_id: str, fraction: float) -> None:
        """A runner's progress event."""
        self.jobs[job_id] = self.jobs[job_id].model_copy(update={"status": "running", "progress": fraction})
        self._append(job_id, type="progress", progress=fraction)

    def finish(self, job_id: str, status: str, artifacts: Sequence[Any] = (), **changes: Any) -> None:
        """A runner's, or a cancel's, final event."""
        final = {"status": status, "artifacts": [*artifacts], "finished_at": datetime.now(UTC), **changes}
        job = self.jobs[job_id].model_copy(update=final)
        self._append(job_id, type=status, job=job, id="final")
        self.jobs[job_id] = job
        self._store.unpin(job_id)

    def _append(self, job_id: str, **fields: Any) -> None:
        event_id = str(len(self.log[job_id]))
        event = {"id": event_id, "job_id": job_id, "created_at": datetime.now(UTC), **fields}
        self.log[job_id].append(JobEvent(**event))


class FakeModels:
    """One replica a model, on paper."""

    def __init__(self) -> None:
        self.replicas: dict[str, list[Replica]] = {}
        self.asked: list[tuple[str, str, str | None]] = []

    async def status(self, name: str) -> list[Replica]:
        return self.replicas.get(name, [])

    async def load(self, name: str, variant: str | None) -> LoadReport:
        return self._report(name, "load", variant)

    async def unload(self, name: str, variant: str | None) -> LoadReport:
        return self._report(name, "unload", variant)

    def _report(self, name: str, action: Any, variant: str | None) -> LoadReport:
        self.asked.append((action, name, variant))
        change = ReplicaChange(replica="r1", changed=True, variants=[variant or "tiny"], bytes=10)
        return LoadReport(model=name, action=action, variant=variant, replicas=[change], bytes=10)


class FakeDirect:
    """Speaks tones: a tenth of a second for each word.

    ``slots``: responses at a time. By the first word of a piece: ``gates`` has the event that it waits for,
    and ``breaks`` what it raises.
    """

    rate = 24_000

    def __init__(self) -> None:
        self.slots = 4
        self.active = 0
        self.asked: list[SpeakRequest] = []
        self.canceled: list[str] = []
        self.gates: dict[str, threading.Event] = {}
        self.breaks: dict[str, Exception] = {}

    @contextmanager
    def slot(self) -> Iterator[None]:
        if self.active >= self.slots:
            raise QueueFull("all slots are taken", retry_after=2)
        self.active += 1
        try:
            yield
        finally:
            self.active -= 1

    async def speak(self, request: SpeakRequest) -> Speech:
        self.asked.append(request)
        word = request.text.split()[0].strip(".")
        try:
            while word in self.gates and not self.gates[word].is_set():  # noqa: ASYNC110  # by a thread
                await asyncio.sleep(0.005)
        except asyncio.CancelledError:
            self.canceled.append(word)
            raise
        if word in self.breaks:
            raise self.breaks[word]
        samples = tone(440, seconds=0.1 * len(request.text.split()), sample_rate=self.rate)[0]
        result = SpeakResult(
            duration=len(samples) / self.rate,
            sample_rate=self.rate,
            channels=1,
            voice="tone",
            notes=["hummed ♪"],
        )
        return Speech(samples, self.rate, result, "random")


def stored_id(record: File | dict[str, Any]) -> str:
    return record.id if isinstance(record, File) else record["id"]
