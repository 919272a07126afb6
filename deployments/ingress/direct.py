"""Runs of models without a durable job, for callers that wait: the audio is returned and not stored."""

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audiograph.errors import InternalError, QueueFull
from audiograph.schemas import SpeakRequest, SpeakResult, Weights
from deployments.replica.handle import (
    BACKOFF,
    FIRST_PAUSE_SECONDS,
    RETRYABLE,
    ModelHandle,
    collect_result,
    unavailable,
)
from deployments.replica.protocol import Result, new_call

RETRY_AFTER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Speech:
    """Speech from a model."""

    samples: NDArray[np.float32]
    """Mono ``[frames]``."""
    sample_rate: int
    """Hz."""
    result: SpeakResult
    weights: Weights


class DirectModels(Protocol):
    """Runs without jobs, a bounded number at a time."""

    def slot(self) -> AbstractContextManager[None]:
        """Hold one of the slots for direct responses.

        Raises:
            QueueFull: all slots are taken.
        """
        ...

    async def speak(self, request: SpeakRequest) -> Speech:
        """Run a resolved request. Canceling the call cancels the run.

        Raises:
            AudiographError: the model refused or failed.
            ModelUnavailable: no replica was available.
        """
        ...


class ServeModels:
    """`DirectModels` of a running application.

    Args:
        handles: by model.
        max_concurrent: direct responses at a time.
        tries: of one run, over replicas that die.
    """

    def __init__(self, handles: Mapping[str, ModelHandle], *, max_concurrent: int, tries: int) -> None:
        self._handles = handles
        self._max_concurrent = max_concurrent
        self._tries = tries
        self._active = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot; see `DirectModels.slot`."""
        if self._active >= self._max_concurrent:
            raise QueueFull(
                f"{self._active} direct responses are in progress and the limit is {self._max_concurrent}; "
                "try again later, or submit a job, which can wait (POST /v1/jobs)",
                details={"running": self._active, "max_direct": self._max_concurrent},
                retry_after=RETRY_AFTER_SECONDS,
            )
        self._active += 1
        try:
            yield
        finally:
            self._active -= 1

    async def speak(self, request: SpeakRequest) -> Speech:
        """Speak, with retries where a replica dies; see `DirectModels.speak`."""
        run_id = f"direct-{uuid.uuid4().hex}"
        errors: list[Exception] = []
        while len(errors) < self._tries:
            if errors:
                await asyncio.sleep(FIRST_PAUSE_SECONDS * BACKOFF ** (len(errors) - 1))
            try:
                return await self._attempt(request, run_id, attempt=len(errors) + 1)
            except RETRYABLE as error:
                errors.append(error)
        raise unavailable(request.model, errors, run_id)

    async def _attempt(self, request: SpeakRequest, run_id: str, attempt: int) -> Speech:
        call = new_call(request, job_id=run_id, attempt=attempt, return_audio=True)
        return _speech(await collect_result(self._handles[request.model or ""].stream(call)))


def _speech(result: Result) -> Speech:
    audio = result["audio"]
    if audio is None:
        raise InternalError("the model's replica returned no audio")
    frames = np.frombuffer(audio["samples"], "<f4").reshape(-1, audio["channels"])
    return Speech(
        frames.mean(axis=1, dtype=np.float32),
        audio["sample_rate"],
        SpeakResult.model_validate(result["result"]),
        result["weights"],
    )
