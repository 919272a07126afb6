"""Follows a job's event stream over several connections, without losing or repeating an event."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import httpx
from httpx_sse import EventSource
from pydantic import ValidationError

from audiograph._async.http import AsyncHttp
from audiograph._checks import fault
from audiograph._compat import async_sleep
from audiograph._responses import error_from_event, unexpected_response
from audiograph._retry import MAX_BACKOFF, Deadline, backoff, is_transient
from audiograph._routes import route
from audiograph.errors import (
    AudiographError,
    ConnectionFailed,
    UnexpectedResponse,
    WaitTimeout,
)
from audiograph.schemas import FINAL_STATUSES, JobEvent

MAX_READ_TIMEOUT = 60.0
"""Seconds without a byte after which a connection counts as dead; the server pings several times in them."""
MIN_READ_TIMEOUT = 0.1
"""Seconds by which a deadline may be missed."""


async def follow(
    http: AsyncHttp, job_id: str, *, after: str | None = None, timeout: float | None = None
) -> AsyncGenerator[JobEvent, None]:
    """Yield each event after a given id, in order, up to and including the final one.

    Raises:
        WaitTimeout: the final event did not arrive in time.
        ConnectionFailed: too many consecutive connections broke without progress.
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
            if connection.was_last:
                return
            drop: AudiographError = ConnectionFailed(f"the events of job {job_id} ended before the job did")
        except AudiographError as error:
            if not _is_drop(error):
                raise
            drop = error
        if deadline.passed:
            raise WaitTimeout(f"job {job_id} did not finish within {timeout:g} s; it keeps running") from drop
        if connection.hit_deadline_check(drop):
            continue
        failures = 1 if connection.made_progress else failures + 1
        if failures > http.settings.reconnects:
            raise drop
        await async_sleep(min(backoff(failures, drop.retry_after), deadline.remaining))


def _is_drop(error: AudiographError) -> bool:
    """Return whether to reconnect. While the application starts, Ray Serve responds with a plain 404."""
    is_starting = isinstance(error, UnexpectedResponse) and error.status == httpx.codes.NOT_FOUND
    return is_transient(error) or is_starting


class _Connection:
    """One connection to a job's event stream.

    A blocking read has no deadline, and the server's pings keep it from timing out. So the read timeout is
    half of the remaining time, and the connection is closed at the first byte after which less than that
    remains. Resuming is cheap, and after a few halvings the deadline is met within a tenth of a second.
    """

    def __init__(self, http: AsyncHttp, job_id: str, after: str | None, deadline: Deadline) -> None:
        self._http = http
        self._path = route("jobs", job_id, "events")
        self._headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if after is not None:
            self._headers["Last-Event-ID"] = after
        self._deadline = deadline
        self._read_timeout = min(MAX_READ_TIMEOUT, max(deadline.remaining / 2, MIN_READ_TIMEOUT))
        self._opened = time.monotonic()
        self._delivered = False
        self.was_last = False
        """Whether the server says that no event follows."""

    async def events(self) -> AsyncGenerator[JobEvent, None]:
        """Yield the events of this connection."""
        stream = self._http.stream(self._path, headers=self._headers, timeout=self._read_timeout)
        async with stream as response:
            if response.status_code == httpx.codes.NO_CONTENT:
                self.was_last = True
                return
            if "text/event-stream" not in response.headers.get("content-type", ""):
                raise unexpected_response(response, "not an event stream")
            response.stream = _DeadlineStream(response, self._deadline, self._read_timeout)
            async for message in EventSource(response).aiter_sse():
                if message.event == "error":
                    raise error_from_event(message.data, response)
                if message.data:  # the parser yields an empty message after a ping
                    self._delivered = True
                    yield _parse(message.data, response)

    @property
    def made_progress(self) -> bool:
        """Whether an event arrived or the connection lasted a while, so that its drop starts a new count."""
        return self._delivered or time.monotonic() - self._opened > MAX_BACKOFF

    def hit_deadline_check(self, drop: AudiographError) -> bool:
        """Return whether it was closed to check the deadline; without one, a timeout is a dead connection."""
        return self._deadline.is_set and isinstance(drop.__cause__, httpx.ReadTimeout)


class _DeadlineStream(httpx.AsyncByteStream):
    """The bytes of a response, until less time remains than one read may take."""

    def __init__(self, response: httpx.Response, deadline: Deadline, read_timeout: float) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        self._stream = response.stream
        self._deadline = deadline
        self._read_timeout = read_timeout

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            yield chunk
            if self._deadline.remaining < self._read_timeout:
                raise httpx.ReadTimeout("the deadline is near")

    async def aclose(self) -> None:
        await self._stream.aclose()


def _parse(data: str, response: httpx.Response) -> JobEvent:
    try:
        return JobEvent.model_validate_json(data)
    except ValidationError as error:
        raise unexpected_response(response, f"not a JobEvent: {fault(error)}") from error
