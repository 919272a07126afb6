"""Every response that is made while it is sent tells proxies to pass it on and to keep nothing."""

from typing import Any

import httpx
import pytest

SPEECH = {"model": "speaker", "voice": "en-us", "input": "Hello there. And again.", "response_format": "wav"}


@pytest.fixture
async def finished(client: httpx.AsyncClient, queue: Any) -> str:
    """Path of a finished job."""
    job = (await client.post("/v1/jobs", json={"task": "speak", "text": "Hello."})).json()
    queue.finish(job["id"], "succeeded")
    return f"/v1/jobs/{job['id']}"


def is_unbuffered(answer: httpx.Response) -> bool:
    names = ("x-accel-buffering", "cache-control")
    return answer.status_code == 200 and [answer.headers.get_list(name) for name in names] == [
        ["no"],
        ["no-store"],
    ]


async def test_events_and_archives_are_not_buffered(client: httpx.AsyncClient, finished: str) -> None:
    assert is_unbuffered(await client.get(f"{finished}/events"))
    assert is_unbuffered(await client.get(f"{finished}/artifacts.zip"))


@pytest.mark.parametrize("stream_format", ["audio", "sse"])
async def test_speech_is_not_buffered(client: httpx.AsyncClient, stream_format: str) -> None:
    body = SPEECH | {"stream_format": stream_format}
    assert is_unbuffered(await client.post("/v1/audio/speech", json=body))
