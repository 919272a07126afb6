"""Calls to a model's replicas, from a job's durable step or directly from the ingress."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Protocol

from ray.exceptions import ActorUnavailableError, RayActorError, TaskCancelledError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from audiograph.errors import InternalError, ModelUnavailable, error_from_wire
from deployments.replica.protocol import Call, Event, Message, Result

logger = logging.getLogger("audiograph.jobs")

RETRYABLE = (
    RayActorError,
    ActorUnavailableError,
    BackPressureError,
    DeploymentUnavailableError,
    TaskCancelledError,
)
"""Errors of a replica that was killed, drained or restarted: a retry may reach another one."""
FIRST_PAUSE_SECONDS = 0.5
"""Pause before the first retry."""
BACKOFF = 2.0
"""Factor between one pause and the next."""


class ModelHandle(Protocol):
    """The streaming call of a model's deployment."""

    def stream(self, call: Call) -> AsyncGenerator[Message, None]:
        """Stream the messages of one run; closing the iterator cancels the run."""
        ...


class ServeModel:
    """A `ModelHandle` over a Ray Serve deployment."""

    def __init__(self, handle: DeploymentHandle) -> None:
        self._handle = handle.options(method_name="run", stream=True)

    async def stream(self, call: Call) -> AsyncGenerator[Message, None]:
        """Stream the messages of one run; closing the iterator cancels the run on its replica."""
        response = self._handle.remote(call)
        finished = False
        try:
            async for message in response:
                yield message
            finished = True
        finally:
            if not finished:
                response.cancel()


async def collect_result(
    messages: AsyncGenerator[Message, None], emit: Callable[[Event], Awaitable[None]] | None = None
) -> Result:
    """Read a run to its end and return its result; events on the way go to ``emit``.

    Raises:
        AudiographError: the run failed, for this reason.
        InternalError: the stream ended without a result.
    """
    result: Result | None = None
    async with aclosing(messages):
        async for message in messages:
            if message["type"] == "failure":
                raise error_from_wire(message["error"])
            if message["type"] == "result":
                result = message
            elif emit:
                await emit(message)
    if result is None:
        raise InternalError("the model's replica ended without a result")
    return result


def unavailable(model: str | None, errors: Sequence[Exception], job_id: str) -> ModelUnavailable:
    """Build the error for a call whose every try met one of `RETRYABLE`, and log the reasons."""
    reasons = sorted({type(error).__name__ for error in errors})
    logger.error("no replica of %s survived: %s", model, ", ".join(reasons), extra={"audio_job_id": job_id})
    return ModelUnavailable(
        f"no replica of model {model!r} was available after {len(errors)} tries; see the server log",
        details={"tries": len(errors), "reasons": reasons},
    )
