"""Models for callers who wait: a run without a durable job, whose audio comes back and is not stored."""

import asyncio
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audiograph.errors import QueueFull
from audiograph.schemas import SpeakRequest, SpeakResult
from deployments.jobs.durable import stored
from deployments.replica.handle import (
    BACKOFF,
    FIRST_PAUSE_SECONDS,
    REPLICA_DIED,
    ModelHandle,
    gave_up,
    result_of,
)

RETRY_AFTER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a model said."""

    samples: NDArray[np.float32]
    """Mono ``[frames]``."""
    sample_rate: int
    """Hz."""
    result: SpeakResult
    weights: str


class DirectModels(Protocol):
    """Runs without jobs, a bounded number at a time."""

    def place(self) -> AbstractContextManager[None]:
        """A context manager that holds one of the places for as long as an answer is made.

        Raises:
            QueueFull: all are taken.
        """
        ...

    async def speak(self, request: SpeakRequest) -> Spoken:
        """Run a resolved request. A canceled caller cancels the run.

        Raises:
            AudiographError: the model refused or failed.
            ModelUnavailable: no replica of it survived.
        """
        ...


class ServeModels:
    """`DirectModels` of a running application.

    Args:
        handles: by model.
        places: answers in the making at a time.
        tries: of one run, over dead replicas.
    """

    def __init__(self, handles: Mapping[str, ModelHandle], *, places: int, tries: int) -> None:
        self._handles = handles
        self._places = places
        self._tries = tries
        self._taken = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """One of the places; see `DirectModels.place`."""
        if self._taken >= self._places:
            raise QueueFull(
                f"{self._taken} answers are being made and the limit is {self._places}; try again later, or "
                "submit a job, which can wait (POST /v1/jobs)",
                details={"running": self._taken, "max_direct": self._places},
                retry_after=RETRY_AFTER_SECONDS,
            )
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def speak(self, request: SpeakRequest) -> Spoken:
        """Speak, trying again where a replica dies; see `DirectModels.speak`."""
        run_id = f"direct-{uuid.uuid4().hex}"
        died: list[Exception] = []
        while len(died) < self._tries:
            if died:
                await asyncio.sleep(FIRST_PAUSE_SECONDS * BACKOFF ** (len(died) - 1))
            try:
                return await self._attempt(request, run_id, attempt=len(died) + 1)
            except REPLICA_DIED as error:
                died.append(error)
        raise gave_up(request.model, died, run_id)

    async def _attempt(self, request: SpeakRequest, run_id: str, attempt: int) -> Spoken:
        call = {
            "task": request.task,
            "request": stored(request),
            "job_id": run_id,
            "attempt": attempt,
            "return_audio": True,
        }
        return _spoken(await result_of(self._handles[request.model or ""].stream(call)))


def _spoken(made: Mapping[str, Any]) -> Spoken:
    audio = made["audio"]
    frames = np.frombuffer(audio["samples"], "<f4").reshape(-1, audio["channels"])
    return Spoken(
        frames.mean(axis=1, dtype=np.float32),
        audio["sample_rate"],
        SpeakResult.model_validate(made["result"]),
        made["weights"],
    )
