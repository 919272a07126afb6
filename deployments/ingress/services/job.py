"""For routes that answer with what a job made: the caller waits for it, and takes it along when leaving."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.requests import Request as HttpRequest

from audiograph.errors import Canceled, Conflict, TimeLimitExceeded, error_from_wire
from audiograph.schemas import Job, Request
from deployments.ingress.http.disconnect import while_connected
from deployments.ingress.http.request_log import note
from deployments.jobs.queue import JobQueue
from deployments.threads import ended, finished


async def succeeded(asked: Request, request: HttpRequest, queue: JobQueue, seconds: float) -> Job:
    """A new job once it has succeeded. It is canceled if the caller goes away, or after so many seconds.

    Raises:
        AudiographError: it could not be submitted, or it failed, for this reason.
        TimeLimitExceeded: it did not finish in time.
        Canceled: the caller is gone, or somebody else has canceled it.
    """
    async with _for_the_caller(asked, queue) as submitted:
        note(request.scope, audio_job_id=submitted.id, task=submitted.task)
        job = await while_connected(request, queue.wait(submitted.id, seconds))
    if not job.finished:
        raise TimeLimitExceeded(f"job {job.id} had not finished after {seconds:g} s, and was canceled")
    if job.status == "canceled":
        raise Canceled(f"job {job.id} was canceled")
    if job.error:
        raise error_from_wire(job.error.model_dump())
    return job


@asynccontextmanager
async def _for_the_caller(asked: Request, queue: JobQueue) -> AsyncIterator[Job]:
    """A job that is canceled at the end if it has not finished by then.

    Serve cancels the request of a client that has gone, at whatever it awaits: neither what submits the job
    nor what cancels it may be cut off by that.
    """
    submission = asyncio.ensure_future(queue.submit(asked))
    try:
        await ended(submission)
        job, _ = submission.result()
        yield job
    finally:
        if not submission.exception():
            await finished(_cancel(submission.result()[0], queue))


async def _cancel(job: Job, queue: JobQueue) -> None:
    with suppress(Conflict):  # it has finished
        await queue.cancel(job.id)
