"""For routes that answer with what a job made: the caller waits for it, and takes it along when leaving."""

from contextlib import suppress

from starlette.requests import Request

from audiograph.errors import Canceled, Conflict, TimeLimitExceeded, error_from_wire
from audiograph.schemas import Job
from deployments.ingress.connection import while_connected
from deployments.jobs.queue import JobQueue


async def succeeded(job: Job, request: Request, queue: JobQueue, seconds: float) -> Job:
    """The job once it has succeeded. It is canceled if the caller goes away, or after so many seconds.

    Raises:
        AudiographError: the job's own error.
        TimeLimitExceeded: it did not finish in time.
        Canceled: the caller is gone, or somebody else has canceled it.
    """
    job = await _wait(job, request, queue, seconds)
    if not job.finished:
        raise TimeLimitExceeded(f"job {job.id} had not finished after {seconds:g} s, and was canceled")
    if job.status == "canceled":
        raise Canceled(f"job {job.id} was canceled")
    if job.error:
        raise error_from_wire(job.error.model_dump())
    return job


async def _wait(job: Job, request: Request, queue: JobQueue, seconds: float) -> Job:
    try:
        job = await while_connected(request, queue.wait(job.id, seconds))
    finally:
        if not job.finished:
            with suppress(Conflict):  # it has finished in this very moment
                await queue.cancel(job.id)
    return job
