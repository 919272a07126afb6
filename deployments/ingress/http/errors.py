"""Turns every failure into an error response: ``{"error": {"code", "message", "field"?, "details"?}}``.

Routes of a dialect answer in that dialect's own format.
"""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketState

from audiograph._wording import shortened, shown
from audiograph.errors import (
    AudiographError,
    InternalError,
    NotFound,
    OutOfMemory,
    TimeLimitExceeded,
    WeightsMissing,
)
from deployments.ingress.http.paths import of_path
from deployments.ingress.http.streams import close
from deployments.ingress.http.validation import explain
from deployments.logs import request_id

logger = logging.getLogger(__name__)

_HTTP_CODES = {
    400: "malformed_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    422: "invalid_request",
    503: "model_unavailable",
}


class ErrorDetail(BaseModel):
    """An error."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    code: str
    """For programs: one code for each class of audiograph.errors."""
    message: str
    """For people: names the field, the value and the cure."""
    field: str | None = None
    """Field of the request, if one is at fault."""
    details: dict[str, Any] | None = None
    """Values behind the message, by name."""


class ErrorBody(BaseModel):
    """The body of every error response."""

    error: ErrorDetail


@dataclass(frozen=True, slots=True)
class Failure:
    """The content of an error response, before a dialect formats it."""

    status: int
    error: dict[str, Any]
    """In the native API's format: ``code``, ``message``, and perhaps ``field`` and ``details``."""
    headers: Mapping[str, str] = field(default_factory=dict)


ErrorFormat = Callable[[Failure], tuple[int, dict[str, Any]]]
"""A dialect's format of a failure: its HTTP status and body."""


def native_error(failure: Failure) -> tuple[int, dict[str, Any]]:
    """Format an error as the native API does."""
    return failure.status, {"error": failure.error}


def error_response(error: Exception, scope: Scope) -> Response:
    """Build the response for any exception; for an unexpected one it holds only the request id."""
    failure = _failure(error, scope)
    status, body = _format_of(scope)(failure)
    return JSONResponse(body, status, failure.headers)


async def respond(error: Exception, scope: Scope, receive: Receive, send: Send) -> None:
    """Respond to a request, or refuse a WebSocket's handshake, with an error."""
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})  # the HTTP server makes it a bare 403
        return
    await error_response(error, scope)(scope, receive, send)


def unexpected_error() -> InternalError:
    """Build the error that a caller sees in place of an unexpected exception, which only the log has."""
    message = f"unexpected error inside the server; see its log under request id {request_id()}"
    return InternalError(message, details={"request_id": request_id()})


def _format_of(scope: Scope) -> ErrorFormat:
    formats: Mapping[str, ErrorFormat] = scope["app"].state.error_formats
    return of_path(scope, formats, native_error)


def _failure(error: Exception, scope: Scope) -> Failure:
    if isinstance(error, RequestValidationError | WebSocketRequestValidationError):
        error = explain(error, _body(scope))
    if isinstance(error, AudiographError):
        if error.status >= 500:
            logger.warning("%s: %s", error.code, error.message)
        return Failure(error.status, error.to_wire(), _headers(error))
    if isinstance(error, HTTPException):
        return _http_failure(error, scope)
    logger.error("unexpected error in %s %s", scope.get("method", "WS"), shown(scope["path"]), exc_info=error)
    unexpected = unexpected_error()
    return Failure(unexpected.status, unexpected.to_wire())


def _body(scope: Scope) -> Any:
    """Return the annotation of the route's body."""
    field = getattr(scope["route"], "body_field", None)  # a WebSocket has no body
    return field and field.field_info.annotation


def _headers(error: AudiographError) -> dict[str, str]:
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, OutOfMemory | TimeLimitExceeded | WeightsMissing):
        headers["x-should-retry"] = "false"  # OpenAI's clients retry every 5xx twice
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="audiograph"'
    if error.status == 416 and "size" in error.details:
        headers["Content-Range"] = f"bytes */{error.details['size']}"
    return headers


def _http_failure(error: HTTPException, scope: Scope) -> Failure:
    message = str(error.detail)
    if error.status_code == 404:
        message = f"no route at {shown(scope['path'])}; /docs lists every route"
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow")
        method, path = shortened(scope["method"]), shown(scope["path"])
        message = f"{method} is not allowed at {path}; allowed: {allowed}"
    code = _HTTP_CODES.get(error.status_code, "bad_request" if error.status_code < 500 else "internal_error")
    return Failure(error.status_code, {"code": code, "message": message}, error.headers or {})


async def _handle(connection: HTTPConnection, error: Exception) -> Response | None:
    if isinstance(connection, WebSocket):
        await _close(connection, error)
        return None
    return error_response(error, connection.scope)


async def _close(socket: WebSocket, error: Exception) -> None:
    """Close a WebSocket with 4000 + the status of any exception, and its message as the reason."""
    failure = _failure(error, socket.scope)
    await close(socket, 4000 + failure.status, failure.error["message"])


async def _no_socket(socket: WebSocket) -> None:
    path = shown(socket.scope["path"])
    raise NotFound(f"there is no WebSocket at {path}; /docs describes those of the server")


def install(app: FastAPI, formats: Mapping[str, ErrorFormat]) -> None:
    """Handle every failure of an application, after all of its WebSockets have been added.

    Args:
        app: the application.
        formats: of dialects, by the path that their routes lie below; others are native.
    """
    app.state.error_formats = formats
    for kind in (AudiographError, RequestValidationError, WebSocketRequestValidationError, HTTPException):
        app.add_exception_handler(kind, _handle)  # type: ignore[arg-type]  # it takes both kinds of connection
    app.add_api_websocket_route("/{path:path}", _no_socket)


class ErrorBoundary:
    """ASGI middleware: responds to exceptions that no handler inside has caught.

    Starlette's own response to them comes from outside all middleware. It would have neither the request's id
    nor the CORS headers, without which a browser hides the error from the page.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] == "websocket":
            await self._serve_socket(WebSocket(scope, receive, send))
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if started or scope["type"] != "http":
                raise  # too late for a response: the broken connection must tell it
            await error_response(error, scope)(scope, receive, send)

    async def _serve_socket(self, socket: WebSocket) -> None:
        try:
            await self._app(socket.scope, socket.receive, socket.send)
        except Exception as error:
            if WebSocketState.DISCONNECTED in (socket.client_state, socket.application_state):
                raise
            await _close(socket, error)
