"""Calling a model's replicas: through a job's durable step, or directly.

A replica streams plain dictionaries (see `deployments.replica.replica`); one that dies raises one of Ray's
errors here, and the call may be tried again on another.
"""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from ray.exceptions import ActorUnavailableError, RayActorError, TaskCancelledError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from audiograph.errors import InternalError, ModelUnavailable, error_from_wire

logger = logging.getLogger("audiograph.jobs")

REPLICA_DIED = (
    RayActorError,
    ActorUnavailableError,
    BackPressureError,
    DeploymentUnavailableError,
    TaskCancelledError,
)
"""What a caller sees when a replica is killed, drained or restarting: another try may well succeed."""
FIRST_PAUSE_SECONDS, BACKOFF = 0.5, 2.0
"""Before the second try, and how much longer before each one after that."""

Event = dict[str, Any]


class ModelHandle(Protocol):
    """The streaming call of a model's deployment."""

    def stream(self, call: dict[str, Any]) -> AsyncGenerator[Event, None]:
        """The events of one run; closing the iterator cancels it."""
        ...


class ServeModel:
    """A model's deployment as a `ModelHandle`."""

    def __init__(self, handle: DeploymentHandle) -> None:
        self._handle = handle.options(method_name="run", stream=True)

    async def stream(self, call: dict[str, Any]) -> AsyncGenerator[Event, None]:
        """The events of one run; closing the iterator cancels the run on its replica."""
        response = self._handle.remote(call)
        finished = False
        try:
            async for event in response:
                yield event
            finished = True
        finally:
            if not finished:
                response.cancel()


async def result_of(
    events: AsyncGenerator[Event, None], emit: Callable[[Event], Awaitable[None]] | None = None
) -> Event:
    """The result of a run, without its ``type``; events before it go to ``emit``.

    Raises:
        AudiographError: the run failed, for this reason.
        InternalError: it ended without a result.
    """
    result: Event | None = None
    async with aclosing(events):
        async for event in events:
            if event["type"] == "error":
                raise error_from_wire(event["error"])
            if event["type"] == "result":
                result = {key: value for key, value in event.items() if key != "type"}
            elif emit:
                await emit(event)
    if result is None:
        raise InternalError("the model's replica ended without a result")
    return result


def gave_up(model: str | None, errors: Sequence[Exception], job_id: str) -> ModelUnavailable:
    """What the caller is told, and the log, when every try met one of `REPLICA_DIED`."""
    reasons = sorted({type(error).__name__ for error in errors})
    logger.error("no replica of %s survived: %s", model, ", ".join(reasons), extra={"audio_job_id": job_id})
    return ModelUnavailable(
        f"replicas of model {model!r} died or were not to be had in {len(errors)} tries; the server's log "
        "says why",
        details={"tries": len(errors), "reasons": reasons},
    )
