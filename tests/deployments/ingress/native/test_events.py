"""Server-sent events and the WebSocket, over a real socket."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from deployments.ingress.native import events
from tests.deployments.ingress.conftest import Served

SPEAK = {"task": "speak", "text": "Hello."}


@pytest.fixture
def job_id(served: Served) -> str:
    return str(httpx.post(f"{served.url}/v1/jobs", json=SPEAK).json()["id"])


@contextmanager
def stream(served: Served, job_id: str, **options: Any) -> Iterator[Any]:
    url = f"{served.url}/v1/jobs/{job_id}/events"
    with httpx.Client(timeout=10) as client, client.stream("GET", url, **options) as response:
        yield EventSource(response)


def run(queue: Any, job_id: str, events: int = 30) -> threading.Thread:
    """A runner that reports progress now and then."""

    def work() -> None:
        for number in range(events):
            queue.progress(job_id, number / events)
            time.sleep(0.01)
        queue.finish(job_id, "succeeded")

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_stream_ends_with_the_final_event(served: Served, queue: Any, job_id: str) -> None:
    runner = run(queue, job_id, 5)
    with stream(served, job_id) as source:
        received = list(source.iter_sse())
    runner.join()
    assert [event.event for event in received] == ["progress"] * 5 + ["succeeded"]
    assert [event.id for event in received] == ["0", "1", "2", "3", "4", "final"]
    final = json.loads(received[-1].data)
    assert final["job"]["status"] == "succeeded"
    assert final["job"]["urls"]["self"] == f"{served.url}/v1/jobs/{job_id}"


def test_a_client_that_drops_ten_times_misses_nothing(served: Served, queue: Any, job_id: str) -> None:
    runner = run(queue, job_id)
    seen: list[str] = []
    for _ in range(11):
        headers = {"last-event-id": seen[-1]} if seen else {}
        with stream(served, job_id, headers=headers) as source:
            for number, event in enumerate(source.iter_sse()):
                seen.append(event.id)
                if number == 2 and len(seen) < 31:
                    break
    runner.join()
    assert seen == [*(str(number) for number in range(30)), "final"]
    wait_until(lambda: queue.readers == 0)


def test_after_resumes_where_headers_cannot_be_sent(served: Served, queue: Any, job_id: str) -> None:
    run(queue, job_id, 3).join()
    with stream(served, job_id, params={"after": "1"}) as source:
        assert [event.id for event in source.iter_sse()] == ["2", "final"]
    with stream(served, job_id, params={"after": "final"}) as source:
        assert list(source.iter_sse()) == []


def test_a_quiet_stream_is_kept_open_by_comments(
    served: Served, queue: Any, job_id: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(events, "PING_SECONDS", 0.05)
    url = f"{served.url}/v1/jobs/{job_id}/events"
    with httpx.stream("GET", url, timeout=10) as response:
        assert next(response.iter_lines()).startswith(": ping")
    queue.finish(job_id, "succeeded")


def test_an_event_id_that_is_none_is_refused(served: Served, job_id: str) -> None:
    url = f"{served.url}/v1/jobs/{job_id}/events"
    answer = httpx.get(url, headers={"last-event-id": "yesterday"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "Last-Event-ID")


def test_a_websocket_carries_the_same_events(served: Served, queue: Any, job_id: str) -> None:
    runner = run(queue, job_id, 3)
    with connect(f"ws://{served.address}/v1/jobs/{job_id}/ws") as socket:
        events = [json.loads(frame) for frame in socket]
        assert socket.close_code == 1000
    runner.join()
    assert [event["id"] for event in events] == ["0", "1", "2", "final"]
    assert events[-1]["job"]["urls"]["self"] == f"{served.url}/v1/jobs/{job_id}"
    with connect(f"ws://{served.address}/v1/jobs/{job_id}/ws?after=1") as socket:
        assert [json.loads(frame)["id"] for frame in socket] == ["2", "final"]


@pytest.mark.parametrize(("path", "code"), [("nothing/ws", 4404), ("{}/ws?after=yesterday", 4422)])
def test_a_websocket_is_closed_with_the_reason(served: Served, job_id: str, path: str, code: int) -> None:
    with connect(f"ws://{served.address}/v1/jobs/{path.format(job_id)}") as socket:
        with pytest.raises(ConnectionClosed):
            socket.recv()
        assert socket.close_code == code
        assert socket.close_reason


def test_nothing_runs_on_for_a_client_that_left(served: Served, queue: Any, job_id: str) -> None:
    with connect(f"ws://{served.address}/v1/jobs/{job_id}/ws"):
        wait_until(lambda: queue.readers == 1)
    wait_until(lambda: queue.readers == 0)
    with stream(served, job_id):
        wait_until(lambda: queue.readers == 1)
    wait_until(lambda: queue.readers == 0)


async def test_many_streams_at_once(served: Served, queue: Any, job_id: str) -> None:
    async with httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=None)) as client:
        url = f"{served.url}/v1/jobs/{job_id}/events"
        reading = [asyncio.create_task(client.get(url)) for _ in range(200)]
        await asyncio.to_thread(wait_until, lambda: queue.readers == 200)
        queue.finish(job_id, "succeeded")
        answers = await asyncio.gather(*reading)
    assert all('"succeeded"' in answer.text for answer in answers)
