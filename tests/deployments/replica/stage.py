"""A batcher without a replica and storage, which keeps the messages of its requests."""

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from audiograph.schemas import DialogueRequest, Request, SpeakRequest, Turn
from deployments.config import LimitsConfig
from deployments.models.base import Family
from deployments.replica.batching import Batcher
from deployments.replica.context import ReplicaContext
from deployments.replica.lanes import Completed
from deployments.replica.protocol import Event, task_of
from deployments.replica.variants import Variants
from deployments.storage.artifacts import ArtifactStore
from deployments.threads import Threads
from tests.deployments.replica.toy_models import ToyMemory

NO_STORE = cast(ArtifactStore, None)  # the toy models read no files


class Stage:
    """A batcher over a model, and the messages that its requests' contexts sent."""

    def __init__(self, model: Family[Any, Any], tmp_path: Path, *, size: int = 8, wait: float = 0.05) -> None:
        threads = Threads("test", 8)
        self.model: Any = model
        self.variants = Variants(
            model,
            name="toy",
            policy="tiny",
            work_dir=tmp_path,
            threads=threads,
            memory=ToyMemory(),
            budget=None,
            idle_seconds=900,
        )
        self.batcher = Batcher(
            model,
            name="toy",
            variants=self.variants,
            threads=threads,
            memory=ToyMemory(1000),
            max_batch_size=size,
            batch_wait_seconds=wait,
        )
        self.events: dict[str, list[Event]] = {}
        self.contexts: dict[str, ReplicaContext] = {}
        self._scratch = tmp_path

    def submit(self, text: str, *, variant: str = "small", **parameters: Any) -> "asyncio.Task[Completed]":
        return self.submit_request(text, SpeakRequest(text=text, parameters=parameters), variant=variant)

    def submit_dialogue(self, key: str) -> "asyncio.Task[Completed]":
        return self.submit_request(key, DialogueRequest(turns=[Turn(text=key)]))

    def submit_request(
        self, key: str, request: Request, *, variant: str = "small"
    ) -> "asyncio.Task[Completed]":
        return asyncio.create_task(self._submit(key, variant, request))

    async def _submit(self, key: str, variant: str, request: Request) -> Completed:
        self.events[key] = []
        self.contexts[key] = ReplicaContext(
            device="cpu",
            job_id=key,
            store=NO_STORE,
            limits=LimitsConfig(),
            scratch=self._scratch,
            send=self.events[key].append,
        )
        try:
            return await self.batcher.submit(variant, task_of(request), request, self.contexts[key])
        finally:
            self.contexts[key].flush()

    async def cancel(self, task: "asyncio.Task[Completed]", key: str) -> None:
        self.contexts[key].cancel()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def started(model: Any) -> None:
    await asyncio.to_thread(model.started.wait)
