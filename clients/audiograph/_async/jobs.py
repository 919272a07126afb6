"""``client.jobs``: durable work, from submitting to the final event."""

from __future__ import annotations

import math
import os
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from audiograph._async import download
from audiograph._async.events import follow
from audiograph._async.http import AsyncHttp
from audiograph._async.paging import pages
from audiograph._options import body_of, build_request
from audiograph._routes import id_of, route
from audiograph._saving import distinct_names, resolve
from audiograph.errors import JobCanceled, JobFailed
from audiograph.schemas import AnyRequest, Job, JobEvent, JobPage, JobStatus, Request, TaskName


class AsyncJobs:
    """Submit, follow, list and cancel jobs, and save what they made."""

    def __init__(self, http: AsyncHttp) -> None:
        self._http = http

    async def submit(
        self,
        request: AnyRequest | TaskName,
        *,
        idempotency_key: str | None = None,
        wait: float | None = None,
        **fields: Any,
    ) -> Job:
        """Queue a request, or the task of this name with these fields: ``submit("speak", text="Hello")``.

        Retries carry one Idempotency-Key, so that a job runs once however often its submission was sent.
        With ``wait``, the server holds the answer up to so many seconds for the job to end.

        Raises:
            InvalidRequest: with the field, the value and what would be right.
            NotFound: a file that the request names is gone.
            QueueFull: the queue is full, and still was after the retries.
        """
        body = body_of(request if isinstance(request, Request) else build_request(request, fields))
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        patience = None
        if wait is not None:
            headers["Prefer"] = f"wait={math.ceil(wait)}"
            patience = wait + self._http.settings.timeout
        path = route("jobs")
        return await self._http.fetch(Job, "POST", path, json=body, headers=headers, timeout=patience)

    async def get(self, job: Job | str) -> Job:
        """The job as it is now; raises NotFound."""
        return await self._http.fetch(Job, "GET", route("jobs", job))

    async def cancel(self, job: Job | str) -> Job:
        """Stop a job, queued or running; raises Conflict if it has succeeded or failed."""
        return await self._http.fetch(Job, "POST", route("jobs", job, "cancel"))

    async def list(
        self,
        *,
        status: JobStatus | None = None,
        task: TaskName | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Job]:
        """Jobs, newest first, at most ``limit``; pages come as they are read."""
        conditions = {"status": status, "task": task}
        async for page in pages(self._http, JobPage, route("jobs"), conditions, limit):
            for job in page.data:
                yield job

    def events(
        self, job: Job | str, *, after: str | None = None, timeout: float | None = None
    ) -> AsyncGenerator[JobEvent, None]:
        """Each event once and in order, those of the past first, up to the final one.

        Dropped connections are made anew and resumed. ``after`` is the id of an event already seen.

        Raises:
            WaitTimeout: the final event had not come after ``timeout`` seconds.
            ConnectionFailed: the server stayed away.
        """
        return follow(self._http, id_of(job), after=after, timeout=timeout)

    async def wait(
        self,
        job: Job | str,
        *,
        on_progress: Callable[[JobEvent], object] | None = None,
        timeout: float | None = None,
    ) -> Job:
        """The job once it has succeeded; ``on_progress`` is called with each of its events.

        Raises:
            JobFailed: ``.job.error`` tells why.
            JobCanceled: somebody canceled it.
            WaitTimeout: it had not finished after ``timeout`` seconds; it goes on.
            ConnectionFailed: the server stayed away; the job goes on when it is back.
        """
        async with aclosing(self.events(job, timeout=timeout)) as events:
            async for event in events:
                if on_progress is not None:
                    on_progress(event)
        return _succeeded(event.job or await self.get(job))

    async def save_all(self, job: Job | str, to: str | os.PathLike[str]) -> tuple[Path, ...]:
        """Download every artifact of a job into a folder, each verified; their paths, in the job's order."""
        artifacts = (job if isinstance(job, Job) else await self.get(job)).artifacts
        paths = [Path(to) / name for name in distinct_names(artifacts)]
        for artifact, path in zip(artifacts, paths, strict=True):
            await download.save(self._http, route("artifacts", artifact, "content"), path, artifact)
        return tuple(paths)

    async def save_zip(self, job: Job | str, to: str | os.PathLike[str]) -> Path:
        """Download every artifact of a job as one zip file; ``to`` is its path or the folder for it."""
        target = resolve(to, f"{id_of(job)}.zip")
        return await download.save(self._http, route("jobs", job, "artifacts.zip"), target)


def _succeeded(job: Job) -> Job:
    if job.status == "failed":
        raise JobFailed(job)
    if job.status == "canceled":
        raise JobCanceled(job)
    return job
