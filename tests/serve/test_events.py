"""A job's events reach a follower once each, however often the connection breaks."""

from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from httpx_sse import EventSource
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from audiograph import Audiograph, JobEvent
from audiograph.schemas import FINAL_STATUSES, Job, TranscribeRequest
from tests.support.server import Server
from tests.support.sounds import speech_like, wav_bytes

pytestmark = pytest.mark.cluster

PATIENCE = 120.0
DROPS = 12


def submitted(client: Audiograph, minutes: int) -> Job:
    """Submit a transcription; it has about six events for each minute of audio."""
    talk = wav_bytes(np.tile(speech_like(seconds=60.0), minutes), 16_000)
    return client.jobs.submit(TranscribeRequest(file=client.files.upload(talk, name="talk.wav").id))


@pytest.fixture
def long_job(client: Audiograph) -> Job:
    """A job that takes several seconds."""
    return submitted(client, minutes=20)


@pytest.fixture
def job(client: Audiograph) -> Job:
    """A job with some dozens of events."""
    return submitted(client, minutes=6)


def one_connection(
    client: httpx.Client, url: str, last: str | None, limit: int | None = None
) -> list[JobEvent]:
    """Return the events after ``last``, over one connection that is closed after ``limit`` events."""
    headers = {"Last-Event-ID": last} if last is not None else {}
    events: list[JobEvent] = []
    with client.stream("GET", url, headers=headers) as response:
        for message in EventSource(response).iter_sse():
            if message.data:
                events.append(JobEvent.model_validate_json(message.data))
                assert (message.id, message.event) == (events[-1].id, events[-1].type)
            if len(events) == limit:
                break
    return events


def whole_history(client: Audiograph, job: Job) -> list[JobEvent]:
    """Return every event of a job, over one connection, once it has succeeded."""
    events = list(client.jobs.events(job, timeout=PATIENCE))
    assert len({event.id for event in events}) == len(events)
    assert [event.type in FINAL_STATUSES for event in events].count(True) == 1
    assert events[-1].type == "succeeded"
    return events


def test_a_client_that_drops_its_connection_sees_each_event_once(client: Audiograph, long_job: Job) -> None:
    seen: list[JobEvent] = []
    with httpx.Client(timeout=PATIENCE) as http:
        for _ in range(DROPS):
            seen += one_connection(http, long_job.urls.events, seen[-1].id if seen else None, limit=1)
        assert not client.jobs.get(long_job).finished
        seen += one_connection(http, long_job.urls.events, seen[-1].id)
    assert seen == whole_history(client, long_job)


class CutStream(httpx.SyncByteStream):
    """Bytes of a response up to the middle of an event, then a connection error."""

    def __init__(self, stream: httpx.SyncByteStream, parts: int) -> None:
        self._stream = stream
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        for number, part in enumerate(self._stream):
            if number == self._parts:
                yield part[: len(part) // 2]
                raise httpx.ReadError("the connection was cut")
            yield part

    def close(self) -> None:
        self._stream.close()


class CuttingTransport(httpx.HTTPTransport):
    """Cuts every event stream after a few parts."""

    cuts = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if request.url.path.endswith("/events"):
            self.cuts += 1
            assert isinstance(response.stream, httpx.SyncByteStream)
            response.stream = CutStream(response.stream, parts=5)
        return response


def test_the_client_resumes_by_itself(client: Audiograph, server: Server, job: Job) -> None:
    transport = CuttingTransport()
    with Audiograph(server.url, transport=transport) as interrupted:
        seen = list(interrupted.jobs.events(job, timeout=PATIENCE))
    assert transport.cuts > 3
    assert seen == whole_history(client, job)


def over_websocket(job: Job, after: str | None = None) -> list[JobEvent]:
    """Return a job's events after one of them, over a WebSocket that the server closes at the end."""
    url = job.urls.self.replace("http://", "ws://") + "/ws" + (f"?after={after}" if after else "")
    with connect(url) as socket:
        events = [JobEvent.model_validate_json(frame) for frame in socket]
        assert socket.protocol.close_code == 1000
    return events


def test_a_websocket_sends_the_same_events(client: Audiograph, job: Job) -> None:
    live = over_websocket(job)
    history = whole_history(client, job)
    assert live == history
    assert over_websocket(job, after=history[4].id) == history[5:]
    assert over_websocket(job, after=history[-1].id) == []


def test_a_websocket_to_an_unknown_job_is_closed_with_the_reason(server: Server) -> None:
    url = f"ws://127.0.0.1:{server.port}/v1/jobs/nothing-here/ws"
    with connect(url) as socket, pytest.raises(ConnectionClosedError) as closed:
        socket.recv(timeout=PATIENCE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4404
    assert "there is no job 'nothing-here'" in closed.value.rcvd.reason
