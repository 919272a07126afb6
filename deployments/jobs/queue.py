"""Submits, reads and cancels durable jobs. It works without a live runner: jobs wait for one."""

import asyncio
import hashlib
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from dbos import DBOSClient, EnqueueOptions

from audiograph._wording import shown
from audiograph.errors import Conflict, IdempotencyConflict, InvalidRequest, NotFound, QueueFull
from audiograph.schemas import Job, JobEvent, JobPage, Request, file_references
from deployments.config import JobsConfig
from deployments.jobs import durable
from deployments.jobs.binding import Binding, bind_voices
from deployments.jobs.records import JobRecords
from deployments.models.registry import Registry
from deployments.replica.protocol import serialize, task_of
from deployments.storage.artifacts import ArtifactStore
from deployments.storage.voices import VoiceStore

FINAL_EVENT = "final"
"""Id of the last event. It is built from the job's final status, so it can be neither lost nor repeated."""

WAIT_SECONDS = 0.1
STREAM_SECONDS = 0.25
"""Polling intervals of a job's status, and of a stream on SQLite; PostgreSQL notifies of new events."""

_EVENT_ID = re.compile(r"[0-9]{1,9}")
"""Position of an event: the database keeps it in 32 bits."""

_IDEMPOTENCY = uuid.UUID("6f0e1a4e-3f0b-4b7c-9a53-0d3b6a1f8a55")


class JobQueue:
    """The ingress's access to jobs."""

    def __init__(
        self,
        config: JobsConfig,
        registry: Registry,
        store: ArtifactStore,
        voices: VoiceStore,
        client: DBOSClient,
    ) -> None:
        self._config = config
        self._registry = registry
        self._voices = voices
        self._store = store
        self._client = client
        self._records = JobRecords(client, store.database.engine)

    async def submit(
        self, request: Request, *, idempotency_key: str | None = None, replace_invalid_voices: bool = False
    ) -> tuple[Job, bool]:
        """Store a job durably; a runner takes it now or after any crash.

        Args:
            request: as the caller sent it; model and variant may still be open.
            idempotency_key: the same key with the same request returns the first job.
            replace_invalid_voices: let the default voice, with a note, replace recordings of the voices
                folder that cannot be a voice, instead of refusing the request.

        Returns:
            The job, and whether it is new.

        Raises:
            InvalidRequest, NotServed: no model can serve the request, or a voice in it is invalid.
            NotFound: a file does not exist.
            IdempotencyConflict: the key was used for another request.
            QueueFull: the limit of queued jobs is reached.
        """
        digest = _digest(request)
        job_id = str(uuid.uuid5(_IDEMPOTENCY, idempotency_key)) if idempotency_key else str(uuid.uuid4())
        if idempotency_key and (earlier := await self._earlier(job_id, digest)):
            return earlier, False
        resolved = await asyncio.to_thread(self._registry.resolve, request)
        await self._refuse_if_full()
        binding = await asyncio.to_thread(
            lambda: bind_voices(
                resolved, self._registry, self._voices, replace_invalid=replace_invalid_voices
            )
        )
        notes = await asyncio.to_thread(self._registry.notes_on_default, request, resolved)
        await asyncio.to_thread(self._pin, job_id, binding)
        await self._enqueue(job_id, binding, digest, [*notes, *binding.notes])
        if idempotency_key:  # of two at once with one key, the second has attached to the job of the first
            await self._check_digest(job_id, digest)
        return await self.get(job_id), True

    async def _earlier(self, job_id: str, digest: str) -> Job | None:
        if await asyncio.to_thread(self._records.status, job_id) is None:
            return None
        await self._check_digest(job_id, digest)
        return await self.get(job_id)

    async def _check_digest(self, job_id: str, digest: str) -> None:
        submission = await asyncio.to_thread(self._records.request_of, job_id)
        if submission["digest"] != digest:
            raise IdempotencyConflict(
                f"this Idempotency-Key was used for another request, job {job_id}; use a new key",
                field="Idempotency-Key",
                details={"job_id": job_id},
            )

    async def _refuse_if_full(self) -> None:
        queued = await asyncio.to_thread(self._records.queued)
        if queued >= self._config.max_queued:
            raise QueueFull(
                f"{queued} jobs are queued and the limit is {self._config.max_queued}; try again later",
                details={"queued": queued, "max_queued": self._config.max_queued},
                retry_after=5,
            )

    def _pin(self, job_id: str, binding: Binding[Request]) -> None:
        try:
            if wanted := file_references(binding.request):
                self._store.pin(job_id, wanted)
        except NotFound:
            self._voices.discard(binding.created)
            raise

    async def _enqueue(
        self, job_id: str, binding: Binding[Request], digest: str, notes: Sequence[str]
    ) -> None:
        request = binding.request
        options: EnqueueOptions = {
            "workflow_name": task_of(request),
            "queue_name": durable.QUEUE,
            "workflow_id": job_id,
            "app_version": durable.VERSION,
            "priority": request.priority,
            "queue_partition_key": request.model or "",
        }
        submission = {"request": serialize(request), "digest": digest, "notes": [*notes]}
        await self._client.enqueue_async(options, submission)

    async def get(self, job_id: str) -> Job:
        """Return one job.

        Raises:
            NotFound: no job has that id.
        """
        return await asyncio.to_thread(self._records.get, job_id)

    async def list(
        self,
        *,
        status: str | None = None,
        task: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> JobPage:
        """Return a page of jobs, newest first."""
        return await asyncio.to_thread(
            lambda: self._records.page(status=status, task=task, limit=limit, cursor=cursor)
        )

    async def cancel(self, job_id: str) -> Job:
        """Cancel a queued or running job; canceling a canceled job changes nothing.

        Raises:
            NotFound: no job has that id.
            Conflict: the job has succeeded or failed.
        """
        job = await self.get(job_id)
        if not job.finished:
            await self._client.cancel_workflow_async(job_id)
            job = await self.get(job_id)
        if job.status != "canceled":
            raise Conflict(
                f"job {job_id} has already {job.status}", field="job_id", details={"status": job.status}
            )
        await asyncio.to_thread(self._store.unpin, job_id)
        await asyncio.to_thread(self._store.delete_leftovers, job_id)
        return job

    async def wait(self, job_id: str, seconds: float) -> Job:
        """Return the job as soon as it has finished, or in its state after ``seconds``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if await asyncio.to_thread(self._records.status, job_id) in durable.FINAL:
                break
            await asyncio.sleep(WAIT_SECONDS)
        return await self.get(job_id)

    def events(
        self, job_id: str, after: str | None = None, *, field: str = "after"
    ) -> AsyncIterator[JobEvent]:
        """Stream a job's events after the one with the id ``after``; the final event ends the stream.

        ``field`` is the caller's name of that id.

        Raises:
            InvalidRequest: ``after`` is not an event's id; raised at once.
            NotFound: no job has that id; raised at the first event.
        """
        return self._events_from(job_id, None if after == FINAL_EVENT else _offset_after(after, field))

    async def _events_from(self, job_id: str, offset: int | None) -> AsyncIterator[JobEvent]:
        await self.get(job_id)
        if offset is None:
            return
        stream = self._client.read_stream_async(
            job_id, durable.EVENTS, offset=offset, polling_interval_sec=STREAM_SECONDS
        )
        async for event in stream:
            yield JobEvent.model_validate({**event, "id": str(offset), "job_id": job_id})
            offset += 1
        yield await self._final_event(job_id)

    async def _final_event(self, job_id: str) -> JobEvent:
        job = await self.wait(job_id, seconds=60)
        return JobEvent.model_validate(
            {
                "id": FINAL_EVENT,
                "type": job.status,
                "job_id": job_id,
                "attempt": job.attempts,
                "progress": job.progress,
                "stage": job.stage,
                "message": job.error.message if job.error else None,
                "job": job,
                "created_at": job.finished_at or datetime.now(UTC),
            }
        )

    async def counts(self) -> dict[tuple[str, str], int]:
        """Count the jobs by (task, status)."""
        return await asyncio.to_thread(self._records.counts)

    async def oldest_queued_seconds(self) -> float:
        """Return the age in seconds of the oldest queued job."""
        return await asyncio.to_thread(self._records.oldest_queued_seconds)


def _offset_after(event_id: str | None, field: str) -> int:
    if event_id is None:
        return 0
    if not _EVENT_ID.fullmatch(event_id):
        message = (
            f"{field}: {shown(event_id)} is not the id of an event; send the id of the last event received"
        )
        raise InvalidRequest(message, field=field)
    return int(event_id) + 1


def _digest(request: Request) -> str:
    body = json.dumps(request.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(body.encode()).hexdigest()
