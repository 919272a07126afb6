"""``/v1/jobs``: submit, look up, list and cancel jobs, and download their artifacts."""

import re
from typing import Annotated, Any

from fastapi import Body, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from audiograph._wording import shown
from audiograph.errors import Conflict, InvalidRequest
from audiograph.schemas import AnyRequest, Job, JobPage, JobStatus, TaskName
from deployments.ingress.backend import BackendDep
from deployments.ingress.http.disposition import attachment
from deployments.ingress.http.request_log import add_log_fields
from deployments.ingress.http.responses import responses
from deployments.ingress.http.route import JobId, LinksDep, StrictRouter
from deployments.ingress.http.streams import UNBUFFERED
from deployments.ingress.native import examples
from deployments.ingress.native.archive import archive
from deployments.ingress.native.errors import errors

router = StrictRouter(prefix="/v1/jobs", tags=["jobs"])

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_WAIT = re.compile(r"\s*wait\s*=\s*\"?([^\s\"]*)\"?\s*", re.IGNORECASE)
_FINISHED = {"description": "The job finished within the time of Prefer: wait=n."}


@router.post(
    "",
    status_code=202,
    summary="Submit a job",
    responses=responses(202, examples.QUEUED)
    | errors(400, 404, 409, 413, 429)
    | {200: _FINISHED | {"model": Job, "content": {"application/json": {"example": examples.SUCCEEDED}}}},
)
async def submit(
    *,
    request: Request,
    response: Response,
    backend: BackendDep,
    links: LinksDep,
    body: Annotated[AnyRequest, Body(openapi_examples=examples.REQUESTS)],
    idempotency_key: Annotated[
        str | None,
        Header(description="A retry with the same key and body returns the same job."),
    ] = None,
    prefer: Annotated[
        str | None, Header(description="``wait=n`` waits up to n seconds for the job to finish.")
    ] = None,
) -> Job:
    """Submit a request as a durable job, which survives any crash and runs once a runner is free.

    The response is 202 with the job, or 200 if the job has finished already.
    """
    seconds = wait_seconds(prefer, backend.config.http.max_wait_seconds)
    job, _ = await backend.queue.submit(body, idempotency_key=checked_key(idempotency_key))
    add_log_fields(request.scope, audio_job_id=job.id, task=job.task)
    if seconds is not None:
        job = await backend.queue.wait(job.id, seconds)
        response.headers["Preference-Applied"] = f"wait={seconds:g}"
    job = links.job(job)
    response.status_code = 200 if job.finished else 202
    response.headers["Location"] = job.urls.self
    return job


@router.get("", summary="List jobs, newest first", responses=responses(200, examples.JOBS) | errors())
async def list_jobs(
    *,
    backend: BackendDep,
    links: LinksDep,
    status: JobStatus | None = None,
    task: TaskName | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[
        str | None, Query(max_length=256, description="``next_cursor`` of the previous page.")
    ] = None,
) -> JobPage:
    """Return a page of jobs, newest first."""
    return links.jobs(await backend.queue.list(status=status, task=task, limit=limit, cursor=cursor))


@router.get("/{job_id}", summary="Look up a job", responses=responses(200, examples.SUCCEEDED) | errors(404))
async def get_job(job_id: JobId, backend: BackendDep, links: LinksDep) -> Job:
    """Return one job: its status and, once it has finished, its result or error."""
    return links.job(await backend.queue.get(job_id))


@router.post(
    "/{job_id}/cancel", summary="Cancel a job", responses=responses(200, examples.CANCELED) | errors(404, 409)
)
async def cancel_job(job_id: JobId, backend: BackendDep, links: LinksDep) -> Job:
    """Cancel a job. A queued job never starts; a running job stops within one model step. Idempotent."""
    return links.job(await backend.queue.cancel(job_id))


@router.get(
    "/{job_id}/artifacts.zip",
    summary="Download all artifacts of a job",
    response_class=StreamingResponse,
    responses=responses(200, "the bytes of a ZIP", media_type="application/zip") | errors(404, 409),
)
async def download_artifacts(job_id: JobId, backend: BackendDep) -> StreamingResponse:
    """Download all artifacts of a finished job as one ZIP, which is built while it is sent."""
    job = await backend.queue.get(job_id)
    if not job.finished:
        message = f"job {job_id} is {job.status}; download its artifacts together once it has finished"
        raise Conflict(message, field="job_id", details={"status": job.status})
    headers = UNBUFFERED | {"Content-Disposition": attachment(f"{job_id}.zip")}
    return StreamingResponse(
        archive(backend.store, job.artifacts), 200, headers, media_type="application/zip"
    )


def checked_key(key: str | None) -> str | None:
    """Check an ``Idempotency-Key``.

    Raises:
        InvalidRequest: it is empty, too long, or has other characters than visible ASCII.
    """
    if key is not None and not _KEY.fullmatch(key):
        message = (
            f"Idempotency-Key must be 1 to 255 visible ASCII characters, not {len(key)} as in {shown(key)}"
        )
        raise InvalidRequest(message, field="Idempotency-Key")
    return key


def wait_seconds(prefer: str | None, longest: float) -> float | None:
    """Parse the ``wait=n`` of a ``Prefer`` header (RFC 7240); None without it.

    Args:
        prefer: the header.
        longest: upper limit of the result in seconds.

    Raises:
        InvalidRequest: n is not a number of seconds.
    """
    preferences = re.split(r"[,;]", prefer or "")
    found: list[Any] = [match for part in preferences if (match := _WAIT.fullmatch(part))]
    if not found:
        return None
    text = found[0][1]
    if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text):
        raise InvalidRequest(f"Prefer: wait must be a number of seconds, not {shown(text)}", field="Prefer")
    return min(float(text), longest)
