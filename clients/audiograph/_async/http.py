"""Requests with safe retries, over one pool of connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel

from audiograph._answers import error_of, no_answer, parse
from audiograph._async.upload import AsyncMultipart
from audiograph._flavour import async_sleep
from audiograph._retry import may_retry, pause_before
from audiograph._settings import Settings, limits
from audiograph.errors import AudiographError

R = TypeVar("R", bound=BaseModel)
Params = Mapping[str, str | int | None]


class AsyncHttp:
    """What the resources speak through.

    Every request of the native API may be repeated without doing its work twice: those that submit a job
    carry an Idempotency-Key, and an upload that is stored twice is stored under one hash.
    """

    def __init__(self, settings: Settings, transport: httpx.AsyncBaseTransport | None) -> None:
        self.settings = settings
        self._client = httpx.AsyncClient(transport=transport, **settings.http_options())

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def fetch(self, record: type[R], method: str, path: str, **options: Any) -> R:
        """Like `request`; the answer as a record."""
        return parse(record, await self.request(method, path, **options))

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        upload: AsyncMultipart | None = None,
        timeout: float | None = None,
        answers: tuple[int, ...] = (),
    ) -> httpx.Response:
        """Send, and send again while that may help; ``answers`` are statuses beside 2xx that are no errors.

        Raises:
            ConnectionFailed: no answer, after the retries.
            AudiographError: the one that the server told, or UnexpectedResponse.
        """
        options: dict[str, Any] = {"json": json, "params": _given(params), "headers": dict(headers or {})}
        if upload is not None:
            options |= {"content": upload, "headers": upload.headers}
        if timeout is not None:
            options["timeout"] = limits(timeout)
        failures = 0
        while True:
            try:
                return await self._once(method, path, answers, failures + 1, options)
            except AudiographError as error:
                failures += 1
                replayable = upload is None or upload.replayable
                if not (replayable and may_retry(error, failures, self.settings.retries)):
                    raise
                pause = pause_before(failures, error.retry_after)
            await async_sleep(pause)

    async def _once(
        self, method: str, path: str, answers: tuple[int, ...], tries: int, options: dict[str, Any]
    ) -> httpx.Response:
        try:
            response = await self._client.request(method, path, **options)
        except httpx.RequestError as error:
            raise no_answer(self.settings.base_url, error, tries) from error
        if response.is_success or response.status_code in answers:
            return response
        raise error_of(response)

    @asynccontextmanager
    async def stream(
        self, path: str, *, headers: Mapping[str, str], timeout: float | None = None
    ) -> AsyncIterator[httpx.Response]:
        """GET once; the block reads the answer. Its caller decides what to do after a failure midway.

        Raises:
            ConnectionFailed: no answer, or it broke off inside the block.
            AudiographError: the one that the server told, or UnexpectedResponse.
        """
        limit = limits(self.settings.timeout if timeout is None else timeout)
        try:
            async with self._client.stream("GET", path, headers=dict(headers), timeout=limit) as response:
                if not response.is_success:
                    await response.aread()
                    raise error_of(response)
                yield response
        except httpx.RequestError as error:
            raise no_answer(self.settings.base_url, error) from error


def _given(params: Params | None) -> dict[str, str | int]:
    return {key: value for key, value in (params or {}).items() if value is not None}
