"""Replicas of the toy models, and their calls as a job's runner makes them."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from audiograph.schemas import Artifact, File
from deployments.replica.protocol import Call, Message, Progress, Result
from deployments.replica.replica import ModelReplica
from deployments.storage.artifacts import ArtifactStore


class ToyReplica(ModelReplica):
    """A replica whose toy model and store are open to the tests."""

    @property
    def model(self) -> Any:
        return self._model

    @property
    def store(self) -> ArtifactStore:
        return self._store


def call(
    text: str = "words",
    *,
    parameters: dict[str, Any] | None = None,
    job_id: str = "job-1",
    return_audio: bool = False,
    **fields: Any,
) -> Call:
    request = {"task": "speak", "text": text, "model": "toy", "variant": "small", **fields}
    if parameters:
        request["parameters"] = parameters
    return {"request": request, "job_id": job_id, "attempt": 1, "return_audio": return_audio}


def run_of(replica: ModelReplica, *args: Any, **kwargs: Any) -> AsyncGenerator[Message, None]:
    """Begin a run; closing the generator cancels it."""
    run = replica.run(call(*args, **kwargs))
    assert isinstance(run, AsyncGenerator)
    return run


async def messages_of(replica: ModelReplica, *args: Any, **kwargs: Any) -> list[Message]:
    return [message async for message in run_of(replica, *args, **kwargs)]


async def result_of(replica: ModelReplica, *args: Any, **kwargs: Any) -> Result:
    """Run a call that succeeds."""
    last = (await messages_of(replica, *args, **kwargs))[-1]
    assert last["type"] == "result", last
    return last


async def error_of(replica: ModelReplica, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """Run a call that fails."""
    last = (await messages_of(replica, *args, **kwargs))[-1]
    assert last["type"] == "failure", last
    return last["error"]


def progress_of(messages: list[Message]) -> list[Progress]:
    return [message for message in messages if message["type"] == "progress"]


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition that will be met; the timeout of the test is the limit."""
    while not condition():  # noqa: ASYNC110  # threads meet it
        await asyncio.sleep(0.005)


def stored(replica: ToyReplica) -> list[File | Artifact]:
    return list(replica.store.search().data)


class Reader:
    """Reads a run's messages in the background, until it is cut off like a caller."""

    def __init__(self, replica: ModelReplica, *args: Any, **kwargs: Any) -> None:
        self.messages: list[Message] = []
        self.run = run_of(replica, *args, **kwargs)
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self.run:
            self.messages.append(message)

    async def cut_off(self) -> None:
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task
