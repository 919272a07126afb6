"""A job's events over as many connections as it takes: none missed, none twice."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import httpx
from httpx_sse import EventSource
from pydantic import ValidationError

from audiograph._answers import unexpected
from audiograph._async.http import AsyncHttp
from audiograph._flavour import async_sleep
from audiograph._retry import LONGEST_PAUSE, Deadline, is_passing, pause_before
from audiograph._routes import route
from audiograph.errors import (
    AudiographError,
    ConnectionFailed,
    UnexpectedResponse,
    WaitTimeout,
    error_from_wire,
)
from audiograph.schemas import FINAL_STATUSES, JobEvent

SILENCE = 60.0
"""Seconds without a byte after which a connection is taken for dead: the server pings several times in it."""
CLOCK_STEP = 0.1
"""By how many seconds a deadline may be missed."""


async def follow(
    http: AsyncHttp, job_id: str, *, after: str | None = None, timeout: float | None = None
) -> AsyncGenerator[JobEvent, None]:
    """Every event after the given id, in order, up to and including the final one.

    Raises:
        WaitTimeout: the final event had not come in time.
        ConnectionFailed: too many connections in a row broke at once.
        NotFound: there is no such job.
    """
    deadline = Deadline(timeout)
    failures = 0
    while True:
        connection = _Connection(http, job_id, after, deadline)
        try:
            async with aclosing(connection.events()) as events:
                async for event in events:
                    after = event.id
                    yield event
                    if event.type in FINAL_STATUSES:
                        return
            drop: AudiographError = ConnectionFailed(f"the events of job {job_id} ended before the job did")
        except AudiographError as error:
            if not _is_drop(error):
                raise
            drop = error
        if deadline.passed:
            raise WaitTimeout(f"job {job_id} had not finished after {timeout:g} s; it goes on") from drop
        if connection.only_looked_at_the_clock(drop):
            continue
        failures = 1 if connection.was_of_use else failures + 1
        if failures > http.settings.reconnects:
            raise drop
        await async_sleep(min(pause_before(failures, drop.retry_after), deadline.remaining))


def _is_drop(error: AudiographError) -> bool:
    """Whether to connect again. Ray Serve's own proxy says 404 in plain text while the application starts."""
    is_starting = isinstance(error, UnexpectedResponse) and error.status == httpx.codes.NOT_FOUND
    return is_passing(error) or is_starting


class _Connection:
    """One connection to a job's events.

    A read that blocks cannot be told of a deadline, and the server's pings keep it from timing out. So a
    connection may be silent for half the remaining time only, and is given up at the first byte after
    that: resuming costs little, and after a few halvings the deadline is met to a tenth of a second.
    """

    def __init__(self, http: AsyncHttp, job_id: str, after: str | None, deadline: Deadline) -> None:
        self._http = http
        self._path = route("jobs", job_id, "events")
        self._headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if after is not None:
            self._headers["Last-Event-ID"] = after
        self._deadline = deadline
        self._patience = min(SILENCE, max(deadline.remaining / 2, CLOCK_STEP))
        self._opened = time.monotonic()
        self._delivered = False

    async def events(self) -> AsyncGenerator[JobEvent, None]:
        """The events that this connection brings."""
        async with self._http.stream(self._path, headers=self._headers, timeout=self._patience) as response:
            if "text/event-stream" not in response.headers.get("content-type", ""):
                raise unexpected(response, "not an event stream")
            response.stream = _Impatient(response, self._deadline, self._patience)
            async for message in EventSource(response).aiter_sse():
                if message.event == "error":
                    raise error_from_wire(message.json()["error"])
                if message.data:  # the parser gives out an empty message after a ping
                    self._delivered = True
                    yield _parse(message.data, response)

    @property
    def was_of_use(self) -> bool:
        """Whether it brought an event or lasted for a while, so that connecting again is no mere knocking."""
        return self._delivered or time.monotonic() - self._opened > LONGEST_PAUSE

    def only_looked_at_the_clock(self, drop: AudiographError) -> bool:
        """Whether it was given up for the deadline's sake; without one, silence means a dead connection."""
        return self._deadline.is_set and isinstance(drop.__cause__, httpx.ReadTimeout)


class _Impatient(httpx.AsyncByteStream):
    """An answer's bytes, until less time remains than a silent connection may take."""

    def __init__(self, response: httpx.Response, deadline: Deadline, patience: float) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._stream = response.stream
        self._deadline = deadline
        self._patience = patience

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk
            if self._deadline.remaining < self._patience:
                raise httpx.ReadTimeout("time to look at the clock")

    async def aclose(self) -> None:
        await self._stream.aclose()


def _parse(data: str, response: httpx.Response) -> JobEvent:
    try:
        return JobEvent.model_validate_json(data)
    except ValidationError as error:
        raise unexpected(response, f"not a JobEvent: {error}") from error
