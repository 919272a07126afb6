"""API-key authentication: optional on loopback, required to bind any other address."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from audiograph.errors import Unauthenticated
from deployments.config import AuthConfig
from deployments.ingress.http.request_log import add_log_fields
from deployments.ingress.http.streams import close_with_error
from deployments.storage.api_keys import Keys

OPEN = frozenset({"/health", "/ready", "/metrics", "/docs", "/docs/oauth2-redirect", "/openapi.json"})
"""Paths that need no key: kubelets and scrapers have none, and the documentation has no secrets."""


class RequireKey:
    """ASGI middleware: requires a valid key in ``Authorization: Bearer`` or ``x-api-key``."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] == "lifespan" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        try:
            add_log_fields(scope, api_key=await self._identify(Headers(scope=scope)))
        except Unauthenticated as error:
            if scope["type"] == "http":
                raise
            await close_with_error(WebSocket(scope, receive, send), error)
            return
        await self._app(scope, receive, send)

    async def _identify(self, headers: Headers) -> str:
        key = _key_in(headers)
        if key_id := self._keys.cached_id(key):
            return key_id
        return await asyncio.to_thread(self._keys.verify, key)


def _key_in(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    key: str = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    if not key:
        raise Unauthenticated("an API key is required: send Authorization: Bearer agk_…, or x-api-key")
    return key


def check_binding(config: AuthConfig, host: str | None) -> None:
    """Refuse to serve other machines without API keys.

    Raises:
        ValueError: ``host`` is not a loopback address, and ``auth.required`` is not set.
    """
    if host is None or config.allows(host):
        return
    raise ValueError(
        f"the server binds {host!r}, which other machines can reach, but auth.required is false: set "
        "`auth: {required: true}` and make a key with `audiograph keys create NAME`, or bind 127.0.0.1"
    )
