"""For routes that answer with what a job made: the caller waits for it, and takes it along when leaving."""

import asyncio
from contextlib import suppress

from starlette.requests import Request

from audiograph.errors import Canceled, Conflict, TimeLimitExceeded, error_from_wire
from audiograph.schemas import Job
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
    waiting = asyncio.create_task(queue.wait(job.id, seconds))
    leaving = asyncio.create_task(_until_gone(request))
    try:
        await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise Canceled(f"the caller of job {job.id} is gone")
        job = await waiting
    finally:
        waiting.cancel()
        leaving.cancel()
        await asyncio.gather(waiting, leaving, return_exceptions=True)
        if not job.finished:
            with suppress(Conflict):  # it has finished in this very moment
                await queue.cancel(job.id)
    return job


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
