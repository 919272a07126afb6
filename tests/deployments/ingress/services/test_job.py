"""A job is canceled with its caller, at any moment at which Serve cancels the request."""

import asyncio
from typing import Any

import pytest
from starlette.requests import Request

from audiograph.schemas import SpeakRequest
from deployments.ingress.backend import Backend
from deployments.ingress.services.job import run_job
from tests.deployments.ingress.fakes import FakeQueue

REQUEST = SpeakRequest(text="Hello.", model="speaker")


class SlowQueue(FakeQueue):
    """Submits and cancels as a database does: not at once."""

    async def submit(self, request: Any, **options: Any) -> Any:
        await asyncio.sleep(0.05)
        return await super().submit(request, **options)

    async def cancel(self, job_id: str) -> Any:
        await asyncio.sleep(0.05)
        return await super().cancel(job_id)


@pytest.fixture
def queue(backend: Backend) -> SlowQueue:
    return SlowQueue(backend.registry, backend.store, backend.voices)


@pytest.mark.parametrize("moment", [0.02, 0.2], ids=["while it is submitted", "while it runs"])
@pytest.mark.parametrize("told", [True, False], ids=["told of it", "not told"])
async def test_serve_cancels_whatever_the_request_awaits(queue: SlowQueue, moment: float, told: bool) -> None:
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    request = Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)
    waiting = asyncio.create_task(run_job(REQUEST, request, queue, seconds=60))  # type: ignore[arg-type]
    await asyncio.sleep(moment)
    if told:
        gone.set()
    while not waiting.done():
        waiting.cancel()
        await asyncio.sleep(0.01)
    assert waiting.cancelled()
    assert [job.status for job in queue.jobs.values()] == ["canceled"]
