"""Logs one JSON line per request, and adds the request's id to every line logged while serving it."""

import logging
import re
import time
import uuid
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audiograph._wording import shortened
from deployments.logs import CURRENT_REQUEST, request_id

HEADER = "x-request-id"
QUIET = frozenset({"/health", "/ready", "/metrics"})
"""Polled every few seconds by machines: logged at DEBUG."""

STARTS = frozenset({"http.response.start", "websocket.accept", "websocket.http.response.start"})
"""Messages that begin a response; the last one refuses a WebSocket with a plain HTTP response."""

MAX_LOGGED = 1024
"""Characters of a path in the log."""

logger = logging.getLogger(__name__)

_ACCEPTABLE = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


def add_log_fields(scope: Scope, **fields: Any) -> None:
    """Add fields to the request's log line.

    A job's id is called ``audio_job_id``: Ray Serve reserves ``job_id`` and strips it.
    """
    scope.setdefault("state", {}).setdefault("log", {}).update(fields)


class RequestLog:
    """ASGI middleware: takes the caller's ``x-request-id`` or creates one, and logs the response's status.

    ``echo`` sends the id back. It is off under Ray Serve, whose own middleware adds the same header.
    """

    def __init__(self, app: ASGIApp, *, echo: bool = True) -> None:
        self._app = app
        self._echo = echo

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        token = CURRENT_REQUEST.set(_id_of(scope))
        exchange = _Exchange(scope, send, self._echo)
        try:
            await self._app(scope, receive, exchange.send)
        finally:
            exchange.log()
            CURRENT_REQUEST.reset(token)


class _Exchange:
    """One request and its response."""

    def __init__(self, scope: Scope, send: Send, echo: bool) -> None:
        self._scope, self._send, self._echo = scope, send, echo
        self._status: int | None = None
        self._started = time.perf_counter()

    async def send(self, message: Message) -> None:
        if message["type"] in STARTS:
            self._status = message.get("status", 101)
            if self._echo:
                MutableHeaders(scope=message)[HEADER] = request_id() or ""
        elif message["type"] == "websocket.close":
            self._status = message.get("code", 1000)
        await self._send(message)

    def log(self) -> None:
        path = shortened(quote(self._scope["path"]), MAX_LOGGED)  # a line break in it must not forge a line
        fields = {
            "method": shortened(self._scope.get("method", "WS")),
            "path": path,
            "status": self._status,
            "ms": round((time.perf_counter() - self._started) * 1000, 1),
            "request_id": request_id(),
            **self._scope.get("state", {}).get("log", {}),
        }
        level = logging.DEBUG if path in QUIET else logging.INFO
        logger.log(level, "%s %s %s", fields["method"], path, self._status, extra=fields)


def _id_of(scope: Scope) -> str:
    given = Headers(scope=scope).get(HEADER, "")
    return given if _ACCEPTABLE.fullmatch(given) else uuid.uuid4().hex
