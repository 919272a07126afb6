"""``client.jobs``: durable jobs, from submission to the final event."""

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
from audiograph._checks import EventId, FiniteSeconds, IdempotencyKey, Seconds, check_callback, checked
from audiograph._options import build_request, request_body
from audiograph._routes import id_of, route
from audiograph._saving import distinct_names, output_path
from audiograph.errors import JobCanceled, JobFailed
from audiograph.schemas import AnyRequest, Job, JobEvent, JobPage, JobStatus, Request, TaskName


class AsyncJobs:
    """Submit, follow, list and cancel jobs, and save their artifacts."""

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
        """Queue a request, or a task with its fields, as in ``submit("speak", text="Hello")``.

        All retries carry the same Idempotency-Key, so the job runs only once. With ``wait``, the server
        delays its response up to that many seconds, until the job has ended.

        Raises:
            InvalidRequest: a field is invalid; the message names it, its value and the valid range.
            NotFound: a file that the request names does not exist.
            QueueFull: the queue was still full after all retries.
        """
        body = request_body(request if isinstance(request, Request) else build_request(request, fields))
        key = checked(IdempotencyKey, idempotency_key or uuid.uuid4().hex, "idempotency_key")
        checked(FiniteSeconds | None, wait, "wait")
        headers = {"Idempotency-Key": key}
        timeout = None
        if wait is not None:
            headers["Prefer"] = f"wait={math.ceil(wait)}"
            timeout = wait + self._http.settings.timeout
        path = route("jobs")
        return await self._http.fetch(Job, "POST", path, json=body, headers=headers, timeout=timeout)

    async def get(self, job: Job | str) -> Job:
        """Return the current record of a job; raises NotFound."""
        return await self._http.fetch(Job, "GET", route("jobs", job))

    async def cancel(self, job: Job | str) -> Job:
        """Cancel a queued or running job; raises Conflict if it has succeeded or failed."""
        return await self._http.fetch(Job, "POST", route("jobs", job, "cancel"))

    async def list(
        self,
        *,
        status: JobStatus | None = None,
        task: TaskName | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[Job]:
        """Yield at most ``limit`` jobs, newest first; pages load as needed.

        Raises:
            InvalidRequest: there is no such status or task.
        """
        conditions = {
            "status": checked(JobStatus | None, status, "status"),
            "task": checked(TaskName | None, task, "task"),
        }
        async for page in pages(self._http, JobPage, route("jobs"), conditions, limit):
            for job in page.data:
                yield job

    def events(
        self, job: Job | str, *, after: str | None = None, timeout: float | None = None
    ) -> AsyncGenerator[JobEvent, None]:
        """Yield each past and future event once, in order, up to the final one.

        After a dropped connection the stream is resumed. ``after`` is the id of the last event already seen.

        Raises:
            InvalidRequest: the timeout is negative or not a number, or no event has such an id.
            WaitTimeout: the final event did not arrive within ``timeout`` seconds.
            ConnectionFailed: the server could not be reached again.
        """
        checked(EventId | None, after, "after")
        checked(Seconds | None, timeout, "timeout")
        return follow(self._http, id_of(job), after=after, timeout=timeout)

    async def wait(
        self,
        job: Job | str,
        *,
        on_progress: Callable[[JobEvent], object] | None = None,
        timeout: float | None = None,
    ) -> Job:
        """Wait for a job to succeed, and return it; ``on_progress`` is called with each event.

        Raises:
            InvalidRequest: the timeout is negative or not a number.
            TypeError: ``on_progress`` cannot be called.
            JobFailed: the job failed; ``.job.error`` has the reason.
            JobCanceled: the job was canceled.
            WaitTimeout: the job did not finish within ``timeout`` seconds; it keeps running.
            ConnectionFailed: the server could not be reached again; the job continues when it returns.
        """
        check_callback(on_progress)
        async with aclosing(self.events(job, timeout=timeout)) as events:
            async for event in events:
                if on_progress is not None:
                    on_progress(event)
        return _succeeded(event.job or await self.get(job))

    async def save_all(self, job: Job | str, to: str | os.PathLike[str]) -> tuple[Path, ...]:
        """Download and verify every artifact of a job; return the paths in the job's order.

        Raises:
            OSError: no file can be written into the folder ``to``.
        """
        await download.check_target(Path(to) / "any")
        artifacts = (job if isinstance(job, Job) else await self.get(job)).artifacts
        paths = [Path(to) / name for name in distinct_names(artifacts)]
        for artifact, path in zip(artifacts, paths, strict=True):
            await download.save(self._http, route("artifacts", artifact, "content"), path, artifact)
        return tuple(paths)

    async def save_zip(self, job: Job | str, to: str | os.PathLike[str]) -> Path:
        """Download every artifact of a job as one zip file; ``to`` is its path or its folder.

        Raises:
            OSError: no file can be written to ``to``.
        """
        await download.check_target(to)
        target = output_path(to, f"{id_of(job)}.zip")
        return await download.save(self._http, route("jobs", job, "artifacts.zip"), target)


def _succeeded(job: Job) -> Job:
    if job.status == "failed":
        raise JobFailed(job)
    if job.status == "canceled":
        raise JobCanceled(job)
    return job
