"""Runs a job for a caller that waits: the job is canceled when the caller disconnects."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from starlette.requests import Request as HttpRequest

from audiograph.errors import Canceled, Conflict, TimeLimitExceeded, error_from_wire
from audiograph.schemas import Job, Request
from deployments.ingress.http.disconnect import cancel_on_disconnect
from deployments.ingress.http.request_log import add_log_fields
from deployments.jobs.queue import JobQueue
from deployments.threads import shielded, wait_finished


async def run_job(request: Request, http_request: HttpRequest, queue: JobQueue, seconds: float) -> Job:
    """Submit a job and return it once it has succeeded.

    The default voice replaces voices of the folder that cannot be used. The job is canceled when the caller
    disconnects, and after ``seconds``.

    Raises:
        AudiographError: the job was refused, or failed for this reason.
        TimeLimitExceeded: the job did not finish in time.
        Canceled: the caller has disconnected, or the job was canceled by another request.
    """
    async with _owned_job(request, queue) as submitted:
        add_log_fields(http_request.scope, audio_job_id=submitted.id, task=submitted.task)
        job = await cancel_on_disconnect(http_request, queue.wait(submitted.id, seconds))
    if not job.finished:
        raise TimeLimitExceeded(f"job {job.id} did not finish within {seconds:g} s and was canceled")
    if job.status == "canceled":
        raise Canceled(f"job {job.id} was canceled")
    if job.error:
        raise error_from_wire(job.error.model_dump())
    return job


@asynccontextmanager
async def _owned_job(request: Request, queue: JobQueue) -> AsyncIterator[Job]:
    """Submit a job, and cancel it at the end if it has not finished by then.

    Serve cancels the request of a client that disconnects, at any await. Neither the submission of the job
    nor its cancellation may be interrupted by that.
    """
    submission = asyncio.ensure_future(queue.submit(request, replace_invalid_voices=True))
    try:
        await wait_finished(submission)
        job, _ = submission.result()
        yield job
    finally:
        if not submission.exception():
            await shielded(_cancel(submission.result()[0], queue))


async def _cancel(job: Job, queue: JobQueue) -> None:
    with suppress(Conflict):  # it has finished
        await queue.cancel(job.id)
