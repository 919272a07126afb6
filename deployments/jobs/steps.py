"""The durable step of a job: runs a request on a model's replica, and relays its events to the job's stream.

A replica that dies raises one of Ray's errors here, and the step is retried on another.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from dbos import DBOS, StepOptions
from dbos import error as dbos_errors

from audiograph.errors import AudiographError, TimeLimitExceeded
from audiograph.schemas import Request
from deployments.config import JobsConfig
from deployments.jobs.durable import EVENTS
from deployments.jobs.graph import Outcome
from deployments.replica.handle import (
    BACKOFF,
    FIRST_PAUSE_SECONDS,
    RETRYABLE,
    ModelHandle,
    collect_result,
    unavailable,
)
from deployments.replica.protocol import Event, new_call


class StepFailed(Exception):
    """A failed step, as DBOS stores it: ``code`` and ``data`` beside the message, as JSON."""

    def __init__(self, error: AudiographError, *, stage: str | None, attempt: int) -> None:
        super().__init__(error.message)
        self.code = error.code
        self.data = {"stage": stage, "attempt": attempt, "field": error.field, "details": error.details}


class DurableModels:
    """The `Models` of a graph, within one execution of one job."""

    def __init__(
        self,
        job_id: str,
        handles: Mapping[str, ModelHandle],
        config: JobsConfig,
        *,
        time_limit: float,
        last_attempt: Callable[[], int],
    ) -> None:
        self._job_id = job_id
        self._handles = handles
        self._config = config
        self._deadline = time.monotonic() + time_limit
        self._time_limit = time_limit
        self._last_attempt = last_attempt
        self._attempt = 0
        self._stage: str | None = None

    async def run(self, request: Request) -> Outcome:
        """Run a request on its model, once; see `deployments.jobs.graph.Models`."""
        options: StepOptions = {
            "name": f"model:{request.model}",
            "retries_allowed": True,
            "max_attempts": self._config.step_attempts,
            "interval_seconds": FIRST_PAUSE_SECONDS,
            "backoff_rate": BACKOFF,
            "should_retry": lambda error: isinstance(error, RETRYABLE),
            "preemptible": True,
            "timeout_seconds": max(0.001, self._deadline - time.monotonic()),
        }
        try:
            return await DBOS.run_step_async(options, self._attempt_run, request)
        except dbos_errors.DBOSStepTimeoutError:
            message = f"the job ran for longer than its limit of {self._time_limit:g} s"
            raise self.failed(TimeLimitExceeded(message, details={"time_limit": self._time_limit})) from None
        except dbos_errors.DBOSMaxStepRetriesExceeded as error:
            raise self.failed(unavailable(request.model, error.errors, self._job_id)) from None

    def failed(self, error: AudiographError) -> StepFailed:
        """Wrap an error with the job's current stage and attempt."""
        return StepFailed(error, stage=self._stage, attempt=self._attempt)

    async def _attempt_run(self, request: Request) -> Outcome:
        await self._begin_attempt()
        call = new_call(request, job_id=self._job_id, attempt=self._attempt)
        messages = self._handles[request.model or ""].stream(call)
        try:
            result = await collect_result(messages, self._relay)
        except AudiographError as error:
            raise self.failed(error) from None
        return {
            "result": result["result"],
            "artifacts": result["artifacts"],
            "weights": result["weights"],
            "timings": result["timings"],
        }

    async def _relay(self, event: Event) -> None:
        await self._emit(event["type"], **{key: value for key, value in event.items() if key != "type"})

    async def _begin_attempt(self) -> None:
        """Count an attempt at the job: one for each execution, and one for each retry of a step."""
        first_call = self._attempt == 0
        if first_call:
            self._attempt = await asyncio.to_thread(self._last_attempt)
        elif not _is_retry():
            return
        self._attempt += 1
        await self._emit("started" if self._attempt == 1 else "retrying", progress=0.0)

    async def _emit(self, kind: str, **fields: Any) -> None:
        self._stage = fields.get("stage") or self._stage
        event = {
            "type": kind,
            "attempt": self._attempt,
            "created_at": datetime.now(UTC).isoformat(),
            **fields,
        }
        await DBOS.write_stream_async(EVENTS, event)


def _is_retry() -> bool:
    """Return whether the current step runs again after a failure."""
    status = DBOS.step_status
    return status is not None and bool(status.current_attempt)
