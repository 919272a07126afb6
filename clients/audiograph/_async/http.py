"""HTTP requests with safe retries, over one connection pool."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from audiograph._async.upload import AsyncMultipart
from audiograph._compat import async_sleep
from audiograph._responses import RecordT, connection_failed, error_from_response, parse, unexpected_response
from audiograph._retry import backoff, should_retry
from audiograph._settings import Settings, timeouts
from audiograph.errors import AudiographError

QueryParams = Mapping[str, str | int | None]


class AsyncHttp:
    """HTTP client shared by all resources of one `AsyncAudiograph`.

    Every request of the native API is safe to retry: a submission carries an Idempotency-Key, and the content
    of a repeated upload is stored once, under its hash.
    """

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None) -> None:
        self.settings = settings
        self._client = httpx.AsyncClient(transport=transport, **settings.http_options())

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def fetch(self, record: type[RecordT], method: str, path: str, **options: Any) -> RecordT:
        """Send a request like `request` and parse the response as a record."""
        return parse(record, await self.request(method, path, **options))

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: QueryParams | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        upload: AsyncMultipart | None = None,
        timeout: float | None = None,
        accepted_statuses: tuple[int, ...] = (),
    ) -> httpx.Response:
        """Send a request, and retry it after transient failures.

        ``accepted_statuses`` are not errors, like those of 2xx.

        Raises:
            ConnectionFailed: there was no response, after all retries.
            UnexpectedResponse: the response does not come from Audiograph.
            AudiographError: the server responded with this error.
        """
        options: dict[str, Any] = {"json": json, "params": _without_none(params)}
        options["headers"] = dict(headers or {})
        if upload is not None:
            options |= {"content": upload, "headers": upload.headers}
        if timeout is not None:
            options["timeout"] = timeouts(timeout)
        failures = 0
        while True:
            try:
                return await self._send(method, path, accepted_statuses, failures + 1, options)
            except AudiographError as error:
                failures += 1
                replayable = upload is None or upload.replayable
                if not (replayable and should_retry(error, failures, self.settings.retries)):
                    raise
                pause = backoff(failures, error.retry_after)
            await async_sleep(pause)

    async def delete(self, path: str) -> None:
        """Delete a resource, like `request`.

        Raises:
            UnexpectedResponse: the response does not confirm it.
        """
        response = await self.request("DELETE", path)
        if response.status_code != httpx.codes.NO_CONTENT:
            raise unexpected_response(response, "not the confirmation of a deletion")

    async def _send(
        self, method: str, path: str, accepted_statuses: tuple[int, ...], tries: int, options: dict[str, Any]
    ) -> httpx.Response:
        try:
            response = await self._client.request(method, path, **options)
        except httpx.RequestError as error:
            raise connection_failed(self.settings.base_url, error, tries) from error
        if response.is_success or response.status_code in accepted_statuses:
            return response
        raise error_from_response(response)

    @asynccontextmanager
    async def stream(
        self, path: str, *, headers: Mapping[str, str], timeout: float | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Send one GET request without retries; the block reads the response.

        Raises:
            ConnectionFailed: there was no response, or it broke off inside of the block.
            UnexpectedResponse: the response does not come from Audiograph.
            AudiographError: the server responded with this error.
        """
        limits = timeouts(self.settings.timeout if timeout is None else timeout)
        try:
            async with self._client.stream("GET", path, headers=dict(headers), timeout=limits) as response:
                if not response.is_success:
                    await response.aread()
                    raise error_from_response(response)
                yield response
        except httpx.RequestError as error:
            raise connection_failed(self.settings.base_url, error) from error


def _without_none(params: QueryParams | None) -> dict[str, str | int]:
    return {key: value for key, value in (params or {}).items() if value is not None}
