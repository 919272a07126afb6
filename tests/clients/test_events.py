"""Following a job over connections that break."""

import asyncio
from collections import deque

import httpx
import pytest

from audiograph import AsyncAudiograph, Audiograph, JobCanceled, JobEvent, JobFailed, WaitTimeout
from audiograph.errors import ConnectionFailed, InternalError, NotFound, UnexpectedResponse
from tests.clients.fake_server import FakeServer, Reply

# Events before each of ten broken connections; each breaks in the middle of the next event.
TEN_DROPS = [1, 0, 2, 1, 0, 0, 3, 1, 4, 1]


def _prepare(server: FakeServer) -> list[str]:
    server.progress_events = 20
    server.events_per_connection = deque(TEN_DROPS)
    return [str(number) for number in range(22)]


def test_ten_drops_lose_no_event_and_repeat_none(
    client: Audiograph, server: FakeServer, pauses: list[float]
) -> None:
    expected = _prepare(server)
    job = client.jobs.submit("speak", text="hello")
    events = list(client.jobs.events(job))
    assert [event.id for event in events] == expected
    assert events[-1].job is not None
    assert events[-1].job.status == "succeeded"
    assert len(server.requests("GET", f"/v1/jobs/{job.id}/events")) == 11
    assert len(pauses) == 10


async def test_ten_drops_lose_no_event_and_repeat_none_async(
    async_client: AsyncAudiograph, server: FakeServer, pauses: list[float]
) -> None:
    expected = _prepare(server)
    job = await async_client.jobs.submit("speak", text="hello")
    assert [event.id async for event in async_client.jobs.events(job)] == expected
    assert len(pauses) == 10


def test_waiting_reports_every_event_and_returns_the_job(client: Audiograph, server: FakeServer) -> None:
    seen: list[JobEvent] = []
    job = client.jobs.wait(client.jobs.submit("speak", text="hello"), on_progress=seen.append)
    assert job.status == "succeeded"
    assert [event.type for event in seen] == ["started", "progress", "progress", "progress", "succeeded"]


def test_events_after_a_known_one(client: Audiograph) -> None:
    job = client.jobs.submit("speak", text="hello")
    assert [event.id for event in client.jobs.events(job, after="2")] == ["3", "4"]


def test_no_event_follows_the_final_one(client: Audiograph, server: FakeServer, pauses: list[float]) -> None:
    job = client.jobs.submit("speak", text="hello")
    assert list(client.jobs.events(job, after="4")) == []
    assert pauses == []


def test_a_failed_job_raises_with_its_reason(client: Audiograph, server: FakeServer) -> None:
    server.outcome = "failed"
    with pytest.raises(JobFailed, match="out_of_memory: too large") as raised:
        client.jobs.wait(client.jobs.submit("speak", text="hello"))
    assert raised.value.job.error is not None
    assert raised.value.job.error.stage == "decoding"


def test_a_canceled_job_raises(client: Audiograph, server: FakeServer) -> None:
    server.outcome = "canceled"
    with pytest.raises(JobCanceled):
        client.jobs.wait(client.jobs.submit("speak", text="hello"))


@pytest.mark.parametrize("seconds", [0.0, 0.7])
def test_waiting_ends_in_time_although_pings_keep_coming(
    client: Audiograph, server: FakeServer, seconds: float
) -> None:
    server.endless.set()
    job = client.jobs.submit("speak", text="hello")
    with pytest.raises(WaitTimeout, match=r"did not finish .* it keeps running"):
        client.jobs.wait(job, timeout=seconds)


async def test_waiting_ends_in_time_async(async_client: AsyncAudiograph, server: FakeServer) -> None:
    server.endless.set()
    job = await async_client.jobs.submit("speak", text="hello")
    async with asyncio.timeout(60):
        with pytest.raises(WaitTimeout):
            await async_client.jobs.wait(job, timeout=0.3)


def test_a_deadline_repeats_no_event(client: Audiograph, server: FakeServer) -> None:
    """A stream that is closed to check the deadline is resumed like a dropped one."""
    server.endless.set()
    seen: list[str] = []
    job = client.jobs.submit("speak", text="hello")
    with pytest.raises(WaitTimeout):
        client.jobs.wait(job, timeout=0.5, on_progress=lambda event: seen.append(event.id))
    assert seen == ["0", "1", "2", "3"]
    assert len(server.requests("GET", f"/v1/jobs/{job.id}/events")) > 1


def test_reconnections_without_progress_end(server: FakeServer, pauses: list[float]) -> None:
    with Audiograph(server.url, reconnects=6) as client:
        job = client.jobs.submit("speak", text="hello")
        server.events_per_connection = deque([0] * 100)
        with pytest.raises(ConnectionFailed):
            list(client.jobs.events(job))
    assert len(pauses) == 6
    assert len(server.requests("GET", f"/v1/jobs/{job.id}/events")) == 7


def test_an_event_resets_the_count_of_failures(server: FakeServer, pauses: list[float]) -> None:
    with Audiograph(server.url, reconnects=2) as client:
        job = client.jobs.submit("speak", text="hello")
        server.events_per_connection = deque([0, 1, 0, 1, 0, 1])
        assert [event.id for event in client.jobs.events(job)] == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(503, b"no replicas"),
        Reply(404, b"Path '/v1/jobs' not found. Ping http://.../-/routes for available routes."),
        Reply(None),
    ],
)
def test_a_server_that_restarts_is_waited_for(
    client: Audiograph, server: FakeServer, pauses: list[float], reply: Reply
) -> None:
    job = client.jobs.submit("speak", text="hello")
    server.replies.extend([reply] * 3)
    assert len(list(client.jobs.events(job))) == 5
    assert len(pauses) == 3


def test_an_unknown_job_is_reported_at_once(client: Audiograph, pauses: list[float]) -> None:
    with pytest.raises(NotFound):
        list(client.jobs.events("job-none"))
    assert pauses == []


def test_an_error_inside_the_stream_is_raised() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        body = 'event: error\ndata: {"error": {"code": "internal_error", "message": "broken"}}\n\n'
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, text=body)

    with (
        Audiograph(transport=httpx.MockTransport(answer)) as client,
        pytest.raises(InternalError, match="broken"),
    ):
        list(client.jobs.events("job-0"))


@pytest.mark.parametrize(
    ("kind", "text"), [("text/html", "<h1>hi</h1>"), ("text/event-stream", "data: {}\n\n")]
)
def test_another_server_is_recognized(kind: str, text: str, pauses: list[float]) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": kind}, text=text)

    with Audiograph(transport=httpx.MockTransport(answer)) as client, pytest.raises(UnexpectedResponse):
        list(client.jobs.events("job-0"))
    assert pauses == []
