"""Reads the job store: jobs, pages of jobs, counts, and each job's newest event."""

import base64
import json
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from dbos import DBOSClient, WorkflowStatus
from sqlalchemy import Select, and_, func, select, tuple_
from sqlalchemy.engine import Engine

from audiograph._wording import shown
from audiograph.errors import InvalidRequest, NotFound
from audiograph.schemas import Job, JobPage
from deployments.jobs.durable import EVENTS, MAX_STARTS, STATUS, TASKS, DurableTables, statuses

_POSITION = re.compile(r"([0-9]{1,18}):([A-Za-z0-9_.:-]{1,64})")
"""End of a page: creation time in ms, within the database's 64 bits, and id of its last job."""


class JobRecords:
    """Reads jobs. Blocking; call it from a thread."""

    def __init__(self, client: DBOSClient, engine: Engine) -> None:
        self._client = client
        self._engine = engine
        self._tables = DurableTables(engine.dialect.name)

    def get(self, job_id: str) -> Job:
        """Return one job.

        Raises:
            NotFound: no job has that id.
        """
        return self.get_many([job_id])[0]

    def get_many(self, job_ids: Sequence[str]) -> list[Job]:
        """Return jobs, in the order of the given ids.

        Raises:
            NotFound: one of them does not exist.
        """
        found = {w.workflow_id: w for w in self._client.list_workflows(workflow_ids=list(job_ids))}
        missing = [job_id for job_id in job_ids if job_id not in found]
        if missing:
            raise NotFound(
                f"there is no job {missing[0]!r}; it may have passed its retention time", field="job_id"
            )
        events = self.newest_events(job_ids)
        return [job_of(found[job_id], events.get(job_id)) for job_id in job_ids]

    def status(self, job_id: str) -> str | None:
        """Return DBOS's status of a job, or None if no job has that id."""
        workflows = self._tables.workflows
        with self._engine.connect() as connection:
            query = select(workflows.c.status).where(workflows.c.workflow_uuid == job_id)
            return connection.execute(query).scalar()

    def request_of(self, job_id: str) -> dict[str, Any]:
        """Return a job's submission: its request, and the digest of the original body."""
        [workflow] = self._client.list_workflows(workflow_ids=[job_id], load_output=False)
        return _submission(workflow)

    def page(self, *, status: str | None, task: str | None, limit: int, cursor: str | None) -> JobPage:
        """Return a page of at most ``limit`` jobs, newest first.

        Raises:
            InvalidRequest: the cursor is not the ``next_cursor`` of a page.
        """
        ids = self._page_ids(status=status, task=task, limit=limit + 1, cursor=cursor)
        more = len(ids) > limit
        jobs = self.get_many([job_id for job_id, _ in ids[:limit]])
        return JobPage(data=jobs, next_cursor=_cursor(ids[limit - 1]) if more else None)

    def _page_ids(
        self, *, status: str | None, task: str | None, limit: int, cursor: str | None
    ) -> list[tuple[str, int]]:
        workflows = self._tables.workflows
        newest_first = (workflows.c.created_at.desc(), workflows.c.workflow_uuid.desc())
        query: Select[Any] = self._jobs(workflows.c.workflow_uuid, workflows.c.created_at).order_by(
            *newest_first
        )
        if status is not None:
            query = query.where(workflows.c.status.in_(statuses(status)))
        if task is not None:
            query = query.where(workflows.c.name == task)
        if cursor is not None:
            created_at, job_id = _parse_cursor(cursor)
            query = query.where(
                tuple_(workflows.c.created_at, workflows.c.workflow_uuid) < (created_at, job_id)
            )
        with self._engine.connect() as connection:
            return [(row[0], row[1]) for row in connection.execute(query.limit(limit))]

    def _jobs(self, *columns: Any) -> Select[Any]:
        return select(*columns).where(self._tables.workflows.c.name.in_(TASKS))

    def queued(self) -> int:
        """Count the queued jobs."""
        return (
            self._scalar(self._jobs(func.count()).where(self._tables.workflows.c.status == "ENQUEUED")) or 0
        )

    def counts(self) -> dict[tuple[str, str], int]:
        """Count the jobs by task and status."""
        workflows = self._tables.workflows
        query = self._jobs(workflows.c.name, workflows.c.status, func.count()).group_by(
            workflows.c.name, workflows.c.status
        )
        totals: dict[tuple[str, str], int] = {}
        with self._engine.connect() as connection:
            for task, status, count in connection.execute(query):
                key = (task, STATUS[status])
                totals[key] = totals.get(key, 0) + count
        return totals

    def oldest_queued_seconds(self) -> float:
        """Return the age in seconds of the oldest queued job; 0 if none is queued."""
        workflows = self._tables.workflows
        oldest = self._scalar(
            self._jobs(func.min(workflows.c.created_at)).where(workflows.c.status == "ENQUEUED")
        )
        return max(0.0, time.time() - oldest / 1000) if oldest else 0.0

    def _scalar(self, query: Select[Any]) -> Any:
        with self._engine.connect() as connection:
            return connection.execute(query).scalar()

    def newest_events(self, job_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Return the last event of each job that has one."""
        streams = self._tables.streams
        newest = (
            select(streams.c.workflow_uuid, func.max(streams.c.offset).label("offset"))
            .where(streams.c.workflow_uuid.in_(job_ids), streams.c.key == EVENTS)
            .group_by(streams.c.workflow_uuid)
            .subquery()
        )
        join = and_(
            streams.c.workflow_uuid == newest.c.workflow_uuid,
            streams.c.offset == newest.c.offset,
            streams.c.key == EVENTS,
        )
        query = select(streams.c.workflow_uuid, streams.c.value).join(newest, join)
        with self._engine.connect() as connection:
            return {job_id: json.loads(value) for job_id, value in connection.execute(query)}


def job_of(workflow: WorkflowStatus, event: dict[str, Any] | None) -> Job:
    """Build the API's job from a workflow and its newest event."""
    request = _submission(workflow)["request"]
    status = STATUS[workflow.status]
    event = event or {}
    outcome = workflow.output if status == "succeeded" else None
    outcome = outcome or {}
    running = status == "running"
    path = f"/v1/jobs/{workflow.workflow_id}"
    return Job.model_validate(
        {
            "id": workflow.workflow_id,
            "task": workflow.name,
            "model": request.get("model"),
            "variant": request.get("variant"),
            "weights": outcome.get("weights"),
            "status": status,
            "progress": 1.0 if status == "succeeded" else event.get("progress") or 0.0,
            "stage": event.get("stage") if status in ("running", "failed") else None,
            "eta_seconds": event.get("eta_seconds") if running else None,
            "created_at": _time(workflow.created_at),
            "started_at": _time(workflow.dequeued_at),
            "finished_at": _time(workflow.completed_at),
            "result": outcome.get("result"),
            "artifacts": outcome.get("artifacts", []),
            "timings": outcome.get("timings"),
            "error": _error(workflow, event) if status == "failed" else None,
            "attempts": event.get("attempt", 0),
            "priority": request.get("priority", 5),
            "client_job_id": request.get("client_job_id"),
            "urls": {"self": path, "events": f"{path}/events", "cancel": f"{path}/cancel"},
        }
    )


def _submission(workflow: WorkflowStatus) -> dict[str, Any]:
    inputs = workflow.input
    if not isinstance(inputs, dict):
        raise TypeError(f"job {workflow.workflow_id} has no readable input")
    submission: dict[str, Any] = inputs["args"][0]
    return submission


def _error(workflow: WorkflowStatus, event: dict[str, Any]) -> dict[str, Any]:
    """Return the stored error; DBOS keeps exceptions as name, message, code and data."""
    if workflow.status == "MAX_RECOVERY_ATTEMPTS_EXCEEDED":
        message = f"the job's runner died in each of {MAX_STARTS} starts; the job is not retried further"
        return {"code": "model_unavailable", "message": message, "attempt": event.get("attempt")}
    failure = workflow.error
    data = getattr(failure, "data", None)
    details = data if isinstance(data, dict) else {}
    code = getattr(failure, "code", None)
    return {
        "code": code if isinstance(code, str) else "internal_error",
        "message": str(failure),
        "field": details.get("field"),
        "stage": details.get("stage"),
        "attempt": details.get("attempt"),
        "details": details.get("details") or {},
    }


def _time(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC)


def _cursor(position: tuple[str, int]) -> str:
    job_id, created_at = position
    return base64.urlsafe_b64encode(f"{created_at}:{job_id}".encode()).decode().rstrip("=")


def _parse_cursor(cursor: str) -> tuple[int, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError:
        text = ""
    position = _POSITION.fullmatch(text)
    if not position:
        message = f"cursor {shown(cursor)} is invalid; use the next_cursor of the previous page"
        raise InvalidRequest(message, field="cursor")
    return int(position[1]), position[2]
