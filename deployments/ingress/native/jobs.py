"""``/v1/jobs``: submit, look up, list, cancel, and fetch everything that a job made."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Body, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from audiograph.errors import Conflict, InvalidRequest
from audiograph.schemas import AnyRequest, Job, JobPage, JobStatus, TaskName
from deployments.ingress.backend import Injected
from deployments.ingress.http.request_log import note
from deployments.ingress.http.route import JobId, Linked, NativeRoute
from deployments.ingress.native import examples
from deployments.ingress.native.archive import archive
from deployments.ingress.native.content import disposition
from deployments.ingress.native.examples import answers

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=NativeRoute)

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_WAIT = re.compile(r"\s*wait\s*=\s*\"?([^\s\"]*)\"?\s*", re.IGNORECASE)
_FINISHED = {"description": "It finished within the time of Prefer: wait=n"}


@router.post(
    "",
    status_code=202,
    summary="Submit a job",
    responses=answers(202, examples.QUEUED, 400, 404, 409, 413, 429)
    | {200: _FINISHED | {"model": Job, "content": {"application/json": {"example": examples.SUCCEEDED}}}},
)
async def submit(
    *,
    request: Request,
    response: Response,
    services: Injected,
    links: Linked,
    body: Annotated[AnyRequest, Body(openapi_examples=examples.REQUESTS)],
    idempotency_key: Annotated[
        str | None,
        Header(description="The same key with the same body gives the same job, also after a retry."),
    ] = None,
    prefer: Annotated[str | None, Header(description="``wait=n`` holds the answer up to n seconds.")] = None,
) -> Job:
    """Queue a request. It survives any crash, and runs once a runner is free.

    Answers 202 with the job, or 200 if it has finished already.
    """
    seconds = wait_seconds(prefer, services.config.http.max_wait_seconds)
    job, _ = await services.queue.submit(body, idempotency_key=checked_key(idempotency_key))
    note(request.scope, audio_job_id=job.id, task=job.task)
    if seconds is not None:
        job = await services.queue.wait(job.id, seconds)
        response.headers["Preference-Applied"] = f"wait={seconds:g}"
    job = links.job(job)
    response.status_code = 200 if job.finished else 202
    response.headers["Location"] = job.urls.self
    return job


@router.get("", summary="List jobs, newest first", responses=answers(200, examples.JOBS))
async def list_jobs(
    *,
    services: Injected,
    links: Linked,
    status: JobStatus | None = None,
    task: TaskName | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[
        str | None, Query(max_length=256, description="``next_cursor`` of the page before.")
    ] = None,
) -> JobPage:
    """A page of jobs."""
    return links.jobs(await services.queue.list(status=status, task=task, limit=limit, cursor=cursor))


@router.get("/{job_id}", summary="Look up a job", responses=answers(200, examples.SUCCEEDED, 404))
async def get_job(job_id: JobId, services: Injected, links: Linked) -> Job:
    """One job: its status, and once it has finished its result or its error."""
    return links.job(await services.queue.get(job_id))


@router.post("/{job_id}/cancel", summary="Cancel a job", responses=answers(200, examples.CANCELED, 404, 409))
async def cancel_job(job_id: JobId, services: Injected, links: Linked) -> Job:
    """Cancel a job. A queued one never starts; a running one stops within a model step. Idempotent."""
    return links.job(await services.queue.cancel(job_id))


@router.get(
    "/{job_id}/artifacts.zip",
    summary="Download all artifacts of a job",
    response_class=StreamingResponse,
    responses=answers(200, "the bytes of a ZIP", 404, 409, media_type="application/zip"),
)
async def download_artifacts(job_id: JobId, services: Injected) -> StreamingResponse:
    """Everything that a finished job made, as one ZIP that is made while it is sent."""
    job = await services.queue.get(job_id)
    if not job.finished:
        message = f"job {job_id} is {job.status}; its artifacts can be had together once it has finished"
        raise Conflict(message, field="job_id", details={"status": job.status})
    headers = {"Content-Disposition": disposition(f"{job_id}.zip")}
    return StreamingResponse(
        archive(services.store, job.artifacts), 200, headers, media_type="application/zip"
    )


def checked_key(key: str | None) -> str | None:
    """An ``Idempotency-Key`` that can be stored.

    Raises:
        InvalidRequest: it is empty, too long, or holds what headers should not.
    """
    if key is not None and not _KEY.fullmatch(key):
        message = (
            f"Idempotency-Key must be 1 to 255 visible ASCII characters, not {len(key)} as in {key[:40]!r}"
        )
        raise InvalidRequest(message, field="Idempotency-Key")
    return key


def wait_seconds(prefer: str | None, longest: float) -> float | None:
    """The ``wait=n`` of a ``Prefer`` header (RFC 7240), at most so long; None if it asks for no wait.

    Raises:
        InvalidRequest: n is not a number of seconds.
    """
    preferences = re.split(r"[,;]", prefer or "")
    found: list[Any] = [match for part in preferences if (match := _WAIT.fullmatch(part))]
    if not found:
        return None
    text = found[0][1]
    if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text):
        raise InvalidRequest(f"Prefer: wait must be a number of seconds, not {text!r}", field="Prefer")
    return min(float(text), longest)
