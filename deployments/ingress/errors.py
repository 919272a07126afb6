"""Where every failure becomes an answer: ``{"error": {"code", "message", "field"?, "details"?}}``."""

import logging
import math
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audiograph.errors import AudiographError, InternalError
from deployments.ingress.validation import explain
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
    """What went wrong."""

    model_config = ConfigDict(extra="allow")

    code: str = Field(description="For programs: one per class of audiograph.errors.")
    message: str = Field(description="For people: the field, the value, and what would be right.")
    field: str | None = None
    details: dict[str, Any] | None = None


class ErrorAnswer(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail


def answer(error: Exception, scope: Scope) -> Response:
    """Any exception as the answer that tells of it. Whatever was not foreseen tells its request id alone."""
    if isinstance(error, RequestValidationError):
        error = explain(error)
    if isinstance(error, AudiographError):
        if error.status >= 500:
            logger.warning("%s: %s", error.code, error.message)
        return _refusal(error)
    if isinstance(error, HTTPException):
        return _http_error(error, scope)
    logger.error("unexpected error in %s %s", scope.get("method", "WS"), scope["path"], exc_info=error)
    return _refusal(unforeseen())


def unforeseen() -> InternalError:
    """What a caller is told of an error that nobody foresaw; the log has the rest."""
    message = f"something broke inside the server; its log has the rest under request id {request_id()}"
    return InternalError(message, details={"request_id": request_id()})


def _refusal(error: AudiographError) -> Response:
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="audiograph"'
    if error.status == 416 and "size" in error.details:
        headers["Content-Range"] = f"bytes */{error.details['size']}"
    return JSONResponse({"error": error.to_wire()}, error.status, headers)


def _http_error(error: HTTPException, scope: Scope) -> Response:
    message = str(error.detail)
    if error.status_code == 404:
        message = f"there is nothing at {scope['path']!r}; /docs lists every route"
    if error.status_code == 405:
        message = f"{scope['method']} is not possible at {scope['path']!r}; /docs lists every route"
    code = _HTTP_CODES.get(error.status_code, "bad_request" if error.status_code < 500 else "internal_error")
    body = {"error": {"code": code, "message": message}}
    return JSONResponse(body, error.status_code, error.headers)


async def _handle(request: Request, error: Exception) -> Response:
    return answer(error, request.scope)


def install(app: FastAPI) -> None:
    """Let the application answer its failures so."""
    for kind in (AudiographError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, _handle)


class ErrorBoundary:
    """ASGI middleware: answers what no handler inside caught.

    Starlette's own answer to unforeseen errors is outside all middleware, so it would have neither the
    request's id nor the CORS headers without which a browser hides the error from the page.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            if started or scope["type"] != "http":
                raise  # too late to answer: the broken connection must tell it
            await answer(error, scope)(scope, receive, send)
