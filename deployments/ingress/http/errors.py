"""Where every failure becomes an answer: ``{"error": {"code", "message", "field"?, "details"?}}``.

Below the paths of `DIALECTS` it is written as the clients of another system read it.
"""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audiograph.errors import (
    AudiographError,
    InternalError,
    OutOfMemory,
    TimeLimitExceeded,
    WeightsMissing,
)
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
    """What went wrong."""

    model_config = ConfigDict(extra="allow")

    code: str = Field(description="For programs: one per class of audiograph.errors.")
    message: str = Field(description="For people: the field, the value, and what would be right.")
    field: str | None = None
    details: dict[str, Any] | None = None


class ErrorAnswer(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorDetail


@dataclass(frozen=True, slots=True)
class Failure:
    """What an answer tells, in whatever shape."""

    status: int
    error: dict[str, Any]
    """As the native API writes it: ``code``, ``message``, and perhaps ``field`` and ``details``."""
    headers: Mapping[str, str] = field(default_factory=dict)


Shape = Callable[[Failure], tuple[int, dict[str, Any]]]
"""How a dialect tells of a failure: its HTTP status, and the body."""


def _native(failure: Failure) -> tuple[int, dict[str, Any]]:
    return failure.status, {"error": failure.error}


def _detail(failure: Failure) -> tuple[int, dict[str, Any]]:
    """The text alone, with every finding in it; what is wrong with a request is 400 here."""
    findings = failure.error.get("details", {}).get("errors") or [failure.error]
    status = 400 if failure.status == 422 else failure.status
    return status, {"detail": "; ".join(finding["message"] for finding in findings)}


_OPENAI_CODES = {
    "not_served": "model_not_found",
    "unauthenticated": "invalid_api_key",
    "queue_full": "rate_limit_exceeded",
}
_OPENAI_FIELDS = {"text": "input", "format": "response_format"}
"""As OpenAI calls what the native API calls otherwise."""


def _openai(failure: Failure) -> tuple[int, dict[str, Any]]:
    """With the statuses that make its clients raise the right classes: only a model is not found."""
    code, name = failure.error["code"], failure.error.get("field") or ""
    status = {"not_served": 404}.get(code, 400 if failure.status == 422 else failure.status)
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return status, {
        "error": {
            "message": failure.error["message"],
            "type": "rate_limit_error" if status == 429 else kind,
            "param": _OPENAI_FIELDS.get(name, name) or None,
            "code": _OPENAI_CODES.get(code, code),
        }
    }


DIALECTS: Mapping[str, Shape] = {"/services": _detail, "/v1/audio": _openai}
"""By the path at which a dialect's routes begin."""


def answer(error: Exception, scope: Scope) -> Response:
    """Any exception as the answer that tells of it. Whatever was not foreseen tells its request id alone."""
    failure = _failure(error, scope)
    status, body = _shape(scope["path"])(failure)
    return JSONResponse(body, status, failure.headers)


def unforeseen() -> InternalError:
    """What a caller is told of an error that nobody foresaw; the log has the rest."""
    message = f"something broke inside the server; its log has the rest under request id {request_id()}"
    return InternalError(message, details={"request_id": request_id()})


def _shape(path: str) -> Shape:
    below = (shape for start, shape in DIALECTS.items() if f"{path}/".startswith(f"{start}/"))
    return next(below, _native)


def _failure(error: Exception, scope: Scope) -> Failure:
    if isinstance(error, RequestValidationError):
        error = explain(error, _body(scope))
    if isinstance(error, AudiographError):
        if error.status >= 500:
            logger.warning("%s: %s", error.code, error.message)
        return Failure(error.status, error.to_wire(), _headers(error))
    if isinstance(error, HTTPException):
        return _http_failure(error, scope)
    logger.error("unexpected error in %s %s", scope.get("method", "WS"), scope["path"], exc_info=error)
    broken = unforeseen()
    return Failure(broken.status, broken.to_wire())


def _body(scope: Scope) -> Any:
    """What the route takes as its body."""
    field = scope["route"].body_field
    return field and field.field_info.annotation


def _headers(error: AudiographError) -> dict[str, str]:
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, OutOfMemory | TimeLimitExceeded | WeightsMissing):
        headers["x-should-retry"] = "false"  # OpenAI's clients would, twice, at all that is 5xx
    if error.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="audiograph"'
    if error.status == 416 and "size" in error.details:
        headers["Content-Range"] = f"bytes */{error.details['size']}"
    return headers


def _http_failure(error: HTTPException, scope: Scope) -> Failure:
    message = str(error.detail)
    if error.status_code == 404:
        message = f"there is nothing at {scope['path']!r}; /docs lists every route"
    if error.status_code == 405:
        message = f"{scope['method']} is not possible at {scope['path']!r}; /docs lists every route"
    code = _HTTP_CODES.get(error.status_code, "bad_request" if error.status_code < 500 else "internal_error")
    return Failure(error.status_code, {"code": code, "message": message}, error.headers or {})


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
