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
MIB = 1024**2


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


def closed(served: Served, path: str, message: str | bytes | None = None) -> tuple[int | None, str]:
    """Return the code and the reason with which a WebSocket is closed, after a message to it."""
    with connect(f"ws://{served.address}{path}") as socket:
        with pytest.raises(ConnectionClosed):
            if message is not None:
                socket.send(message)
            while True:
                socket.recv(timeout=10)
        return socket.close_code, socket.close_reason or ""


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


@pytest.mark.parametrize("options", [{"headers": {"last-event-id": "final"}}, {"params": {"after": "final"}}])
def test_after_the_final_event_a_browser_need_not_come_back(
    served: Served, queue: Any, job_id: str, options: Any
) -> None:
    run(queue, job_id, 1).join()
    answer = httpx.get(f"{served.url}/v1/jobs/{job_id}/events", **options)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["cache-control"] == "no-store"
    assert httpx.get(f"{served.url}/v1/jobs/nothing/events", **options).status_code == 404


def test_a_quiet_stream_is_kept_open_by_comments(
    served: Served, queue: Any, job_id: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(events, "PING_SECONDS", 0.05)
    url = f"{served.url}/v1/jobs/{job_id}/events"
    with httpx.stream("GET", url, timeout=10) as response:
        assert next(response.iter_lines()).startswith(": ping")
    queue.finish(job_id, "succeeded")


IMPOSSIBLE = ["yesterday", "-1", "1.5", "Final", str(2**31), str(2**63), "9" * 64, "9" * 65]


@pytest.mark.parametrize("event_id", IMPOSSIBLE)
def test_an_event_id_that_is_none_is_refused(served: Served, job_id: str, event_id: str) -> None:
    url = f"{served.url}/v1/jobs/{job_id}/events"
    by_header = httpx.get(url, headers={"Last-Event-ID": event_id})
    by_query = httpx.get(url, params={"after": event_id})
    for answer, field in ((by_header, "last-event-id"), (by_query, "after")):
        assert answer.status_code == 422
        assert answer.json()["error"]["field"].lower() == field
    code, reason = closed(served, f"/v1/jobs/{job_id}/ws?after={event_id}")
    assert code == 4422
    assert reason


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


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        ("/v1/jobs/nothing/ws", 4404, "there is no job 'nothing'"),
        ("/v1/jobs/a%20b/ws", 4422, "job_id"),
        ("/v1/jobs/nothing/events", 4404, "no WebSocket at '/v1/jobs/nothing/events'"),
        ("/nothing", 4404, "no WebSocket at '/nothing'"),
    ],
)
def test_a_websocket_is_closed_with_the_reason(served: Served, path: str, code: int, says: str) -> None:
    closing = closed(served, path)
    assert closing[0] == code
    assert says in closing[1]


@pytest.mark.parametrize("message", [b"", b"\x00\xff", "", "hello", '{"after": 3}'])
def test_a_message_to_the_websocket_closes_it(
    served: Served, queue: Any, job_id: str, message: str | bytes
) -> None:
    code, reason = closed(served, f"/v1/jobs/{job_id}/ws", message)
    assert code == 1003
    assert ("binary data" if isinstance(message, bytes) else "text") in reason
    wait_until(lambda: queue.readers == 0)


@pytest.mark.parametrize("message", [bytes(17 * MIB), "x" * 17 * MIB], ids=["binary", "text"])
def test_a_huge_message_closes_the_websocket(served: Served, job_id: str, message: str | bytes) -> None:
    code, reason = closed(served, f"/v1/jobs/{job_id}/ws", message)
    assert code == 1009
    assert reason


def test_an_unforeseen_error_closes_the_websocket(
    served: Served, queue: Any, job_id: str, monkeypatch: Any
) -> None:
    monkeypatch.setattr(queue, "get", None)
    code, reason = closed(served, f"/v1/jobs/{job_id}/ws")
    assert code == 4500
    assert "see its log under request id" in reason


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
