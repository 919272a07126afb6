"""A batcher on a stage of its own: no replica, no storage, and everything its requests are sent is kept."""

import asyncio

import pytest

from audiograph.schemas import DialogueRequest, SpeakRequest
from deployments.config import LimitsConfig
from deployments.models.base import LoadContext
from deployments.replica.batching import Batcher
from deployments.replica.context import ReplicaContext
from deployments.replica.variants import Variants
from deployments.threads import Threads
from tests.deployments.replica.toy_models import ToyMemory


class Stage:
    """A batcher over a model, and what its requests' contexts sent."""

    def __init__(self, model, tmp_path, *, size=8, wait=0.05):
        threads = Threads("test", 8)
        self.model = model
        self.variants = Variants(
            model,
            name="toy",
            context=LoadContext("cpu", "tiny", tmp_path),
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
        self.events = {}
        self.contexts = {}

    def submit(self, text, *, variant="small", **parameters):
        request = SpeakRequest(text=text, parameters=parameters)
        return asyncio.create_task(self._submit(text, variant, request))

    def submit_dialogue(self, key):
        return asyncio.create_task(self._submit(key, "small", DialogueRequest(turns=[{"text": key}])))

    async def _submit(self, key, variant, request):
        self.events[key] = []
        self.contexts[key] = ReplicaContext(
            device="cpu",
            job_id=key,
            store=None,
            limits=LimitsConfig(),
            scratch=None,
            send=self.events[key].append,
        )
        try:
            return await self.batcher.submit(variant, request.task, request, self.contexts[key])
        finally:
            self.contexts[key].flush()

    async def cancel(self, task, key):
        self.contexts[key].cancel()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def started(model):
    await asyncio.to_thread(model.started.wait)
