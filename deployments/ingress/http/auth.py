"""API keys at the door: optional on loopback, required to bind anything else."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from audiograph.errors import Unauthenticated
from deployments.config import AuthConfig
from deployments.ingress.http.request_log import note
from deployments.ingress.native.events import refuse
from deployments.serve.file import is_loopback
from deployments.storage.api_keys import Keys

OPEN = frozenset({"/health", "/ready", "/metrics", "/docs", "/docs/oauth2-redirect", "/openapi.json"})
"""Paths that need no key: kubelets and scrapers have none, and the documentation holds no secrets."""


class RequireKey:
    """ASGI middleware: lets in whoever shows a key, by ``Authorization: Bearer`` or ``x-api-key``."""

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] == "lifespan" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        try:
            note(scope, api_key=await self._identify(Headers(scope=scope)))
        except Unauthenticated as error:
            if scope["type"] == "http":
                raise
            socket = WebSocket(scope, receive, send)
            await socket.accept()  # a close reason can be told on an accepted WebSocket alone
            await refuse(socket, error)
            return
        await self._app(scope, receive, send)

    async def _identify(self, headers: Headers) -> str:
        key = _key_in(headers)
        if known := self._keys.known(key):
            return known
        return await asyncio.to_thread(self._keys.verify, key)


def _key_in(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    key: str = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    if not key:
        raise Unauthenticated("an API key is required: send Authorization: Bearer agk_…, or x-api-key")
    return key


def check_binding(config: AuthConfig, host: str | None) -> None:
    """Refuse to serve others than this machine without API keys.

    Raises:
        ValueError: ``host`` is not a loopback address, and ``auth.required`` is not set.
    """
    if config.required or host is None or is_loopback(host):
        return
    raise ValueError(
        f"the server binds {host!r}, which other machines can reach, but auth.required is false: set "
        "`auth: {required: true}` and make a key with `audiograph keys create NAME`, or bind 127.0.0.1"
    )
