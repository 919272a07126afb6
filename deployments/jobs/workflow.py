"""The durable workflow of each task, which runs the task's graph.

Workflows are registered when this module is imported, and Ray pickles deployment classes by value. So they
have a module of their own, which the runner imports.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

from dbos import DBOS, PortableWorkflowError
from dbos import error as dbos_errors

from audiograph.errors import AudiographError, InternalError
from audiograph.schemas import ANY_REQUEST, Request, TaskName
from deployments.config import JobsConfig
from deployments.jobs.durable import MAX_RECOVERIES, TASKS
from deployments.jobs.graph import Graphs, Outcome
from deployments.jobs.records import JobRecords
from deployments.jobs.steps import DurableModels, StepFailed
from deployments.replica.handle import ModelHandle
from deployments.storage.artifacts import ArtifactStore

logger = logging.getLogger("audiograph.jobs")


class Submission(TypedDict):
    """A job's input as the queue stores it."""

    request: dict[str, Any]
    digest: str
    notes: NotRequired[list[str]]
    """Notes from the submission; they come first among the result's."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything that the workflows of this process use."""

    config: JobsConfig
    handles: Mapping[str, ModelHandle]
    graphs: Graphs
    store: ArtifactStore
    records: JobRecords


_runtime: Runtime | None = None


def configure(runtime: Runtime) -> None:
    """Set what this process's workflows use. Call it once, before DBOS is launched."""
    global _runtime  # noqa: PLW0603  # workflows are plain functions that DBOS calls by name
    _runtime = runtime


def _workflow(task: TaskName) -> Callable[[Submission], Awaitable[dict[str, Any]]]:
    @DBOS.workflow(name=task, max_recovery_attempts=MAX_RECOVERIES)
    async def run(submission: Submission) -> dict[str, Any]:
        return await run_job(task, submission)

    return run


for _task in TASKS:  # a runner recovers the workflows that are registered before it launches DBOS
    _workflow(_task)


async def run_job(task: TaskName, submission: Submission) -> dict[str, Any]:
    """Run a job's graph to its end and return the outcome that the job record keeps."""
    assert _runtime is not None, "the runner must call configure() before it launches DBOS"
    runtime = _runtime
    job_id = DBOS.workflow_id
    assert job_id is not None
    request: Request = ANY_REQUEST.validate_python(submission["request"])
    models = _models(runtime, job_id, request)
    try:
        outcome = await runtime.graphs[task](request, models)
    except (StepFailed, PortableWorkflowError):  # the latter is the error of a step that is replayed
        await _settle(runtime, job_id, None)
        raise
    except dbos_errors.DBOSException:  # canceled, or taken over by another runner: not the job's failure
        raise
    except Exception as error:
        await _settle(runtime, job_id, None)
        raise _failure(error, job_id, models) from error
    artifacts = await _settle(runtime, job_id, outcome)
    notes = [*submission.get("notes", []), *outcome["result"].get("notes", [])]
    return {**outcome, "result": {**outcome["result"], "notes": notes}, "artifacts": artifacts}


def _models(runtime: Runtime, job_id: str, request: Request) -> DurableModels:
    return DurableModels(
        job_id,
        runtime.handles,
        runtime.config,
        time_limit=min(
            request.time_limit or runtime.config.time_limit_seconds, runtime.config.time_limit_seconds
        ),
        last_attempt=lambda: runtime.records.newest_events([job_id]).get(job_id, {}).get("attempt", 0),
    )


def _failure(error: Exception, job_id: str, models: DurableModels) -> StepFailed:
    if isinstance(error, AudiographError):
        return models.failed(error)
    logger.exception("unexpected error in a graph", extra={"audio_job_id": job_id})
    return models.failed(InternalError("internal error while running the job; see the server log"))


async def _settle(runtime: Runtime, job_id: str, outcome: Outcome | None) -> list[dict[str, Any]]:
    """Unpin the job's files, delete leftovers of interrupted attempts, and return its artifacts' records."""

    def settle() -> list[dict[str, Any]]:
        kept = outcome["artifacts"] if outcome else []
        records = [record.model_dump(mode="json") for record in runtime.store.get_many(kept)]
        runtime.store.unpin(job_id)
        runtime.store.delete_leftovers(job_id, kept)
        return records

    return await DBOS.run_step_async({"name": "settle"}, settle)
