"""The tree of exceptions, shared by server and client.

The server raises these. One handler writes them as ``{"error": {"code", "message", "field"?, "details"?}}``
with the HTTP status of the class. The client reads the code and raises the same class.

    AudiographError
    ├── RequestError                 the caller can correct the request (4xx)
    │   ├── InvalidRequest           422  a field is missing, unknown, of the wrong type or out of range
    │   │   ├── InvalidAudio         422  the bytes are not audio that can be decoded, or break a limit
    │   │   └── NotServed            422  no configured model serves this task, model or variant
    │   ├── MalformedRequest         400  the body or a header cannot be parsed at all
    │   ├── Unauthenticated          401  an API key is required, or the given one is unknown
    │   ├── Forbidden                403  without API keys: a page of another origin, or another host name
    │   ├── NotFound                 404  no such job, file, artifact or model
    │   ├── Conflict                 409  the resource is in use, or its state does not allow the action
    │   │   └── IdempotencyConflict  409  the Idempotency-Key was used with a different request
    │   ├── PayloadTooLarge          413  more bytes than the server accepts
    │   ├── RangeNotSatisfiable      416  the Range lies beyond the end of the content
    │   └── QueueFull                429  the queue is full; retry after ``retry_after`` seconds
    ├── ServerError                  the operator must act, or a retry may succeed (5xx)
    │   ├── InternalError            500  a bug in the server
    │   ├── ModelUnavailable         503  a model's replica died, cannot start, or lacks a package
    │   │   └── WeightsMissing       503  pretrained weights are required but unavailable
    │   ├── OutOfMemory              507  the model or the request does not fit the device
    │   └── TimeLimitExceeded        504  the job ran longer than its time limit
    ├── Canceled                     499  the work was canceled
    └── ClientError                  raised by the client, never sent by the server
        ├── ConnectionFailed              no response from the server, after retries
        ├── UnexpectedResponse            a response that does not come from Audiograph
        ├── ChecksumMismatch              the downloaded bytes do not match the recorded SHA-256
        ├── WaitTimeout                   the job did not finish in time; it keeps running
        ├── JobFailed                     the awaited job failed; ``.job.error`` has the reason
        └── JobCanceled                   the awaited job was canceled
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from audiograph.schemas import Job

__all__ = [
    "AudiographError",
    "Canceled",
    "ChecksumMismatch",
    "ClientError",
    "Conflict",
    "ConnectionFailed",
    "Forbidden",
    "IdempotencyConflict",
    "InternalError",
    "InvalidAudio",
    "InvalidRequest",
    "JobCanceled",
    "JobFailed",
    "MalformedRequest",
    "ModelUnavailable",
    "NotFound",
    "NotServed",
    "OutOfMemory",
    "PayloadTooLarge",
    "QueueFull",
    "RangeNotSatisfiable",
    "RequestError",
    "ServerError",
    "TimeLimitExceeded",
    "Unauthenticated",
    "UnexpectedResponse",
    "WaitTimeout",
    "WeightsMissing",
    "error_from_wire",
    "names_field",
    "naming_field",
    "rename_field",
]


class AudiographError(Exception):
    """The base class: a message for people, a code for programs, and an HTTP status."""

    status: int = 500
    code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        details: dict[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.details = details or {}
        self.retry_after = retry_after

    def name_field(self, field: str) -> None:
        """Name another field: the one that the caller sent, where an inner part knows it by another name."""
        if self.field is not None:
            self.message = rename_field(self.message, self.field, field)
            self.args = (self.message,)
        self.field = field

    def to_wire(self) -> dict[str, Any]:
        """Return the ``error`` object of the native API, without empty members."""
        parts: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.field is not None:
            parts["field"] = self.field
        if self.details:
            parts["details"] = self.details
        return parts

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.field, self.details, self.retry_after)


class RequestError(AudiographError):
    """The request is at fault; the caller can correct it."""

    status = 400
    code = "bad_request"


class InvalidRequest(RequestError):
    """A field is missing, unknown, of the wrong type or out of range; ``field`` names it."""

    status = 422
    code = "invalid_request"


class InvalidAudio(InvalidRequest):
    """The bytes are not audio that can be decoded, or break a limit on duration or size."""

    code = "invalid_audio"


class NotServed(InvalidRequest):
    """No configured model serves this task, model or variant."""

    code = "not_served"


class MalformedRequest(RequestError):
    """The body or a header cannot be parsed at all."""

    code = "malformed_request"


class Unauthenticated(RequestError):
    """An API key is required, or the given one is unknown."""

    status = 401
    code = "unauthenticated"


class Forbidden(RequestError):
    """A server without API keys refuses pages of other origins, and names that are not its own."""

    status = 403
    code = "forbidden"


class NotFound(RequestError):
    """There is no such job, file, artifact, voice or model."""

    status = 404
    code = "not_found"


class Conflict(RequestError):
    """The resource is in use, or its state does not allow the action."""

    status = 409
    code = "conflict"


class IdempotencyConflict(Conflict):
    """The Idempotency-Key was used before with a different request."""

    code = "idempotency_conflict"


class PayloadTooLarge(RequestError):
    """The body has more bytes than the server accepts."""

    status = 413
    code = "payload_too_large"


class RangeNotSatisfiable(RequestError):
    """The requested Range lies beyond the end of the content."""

    status = 416
    code = "range_not_satisfiable"


class QueueFull(RequestError):
    """The queue is full; retry after ``retry_after`` seconds."""

    status = 429
    code = "queue_full"


class ServerError(AudiographError):
    """The server is at fault: its operator must act, or a later retry may succeed."""


class InternalError(ServerError):
    """An unexpected error in the server; its log has the traceback under the request or job id."""

    code = "internal_error"  # repeated, so that `error_from_wire` finds this class and not the root


class ModelUnavailable(ServerError):
    """A model's replica died, cannot start, or lacks a package."""

    status = 503
    code = "model_unavailable"


class WeightsMissing(ModelUnavailable):
    """Pretrained weights are required, but neither present nor downloadable."""

    code = "weights_missing"


class OutOfMemory(ServerError):
    """The model or the request does not fit the device."""

    status = 507
    code = "out_of_memory"


class TimeLimitExceeded(ServerError):
    """The job ran longer than its time limit."""

    status = 504
    code = "time_limit_exceeded"


class Canceled(AudiographError):
    """The work was canceled before it finished."""

    status = 499
    code = "canceled"


class ClientError(AudiographError):
    """An error of the client side, which never crosses the wire."""

    code = "client_error"


class ConnectionFailed(ClientError):
    """The server did not respond, or its response broke off, after all retries."""


class UnexpectedResponse(ClientError):
    """The response does not come from Audiograph: a proxy's error page, or another server."""


class ChecksumMismatch(ClientError):
    """The downloaded bytes do not match the recorded SHA-256."""


class WaitTimeout(ClientError):
    """The job did not finish within the timeout; it keeps running, and waiting may be repeated."""


class JobFailed(ClientError):
    """The awaited job failed; ``job.error`` has its code, message, stage and attempt."""

    def __init__(self, job: Job) -> None:
        error = job.error
        reason = f"{error.code}: {error.message}" if error else "no reason was recorded"
        super().__init__(f"job {job.id} ({job.task}) failed: {reason}")
        self.job = job

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.job,)


class JobCanceled(ClientError):
    """The awaited job was canceled."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"job {job.id} ({job.task}) was canceled")
        self.job = job

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.job,)


def _rebuild(
    cls: type[AudiographError],
    message: str,
    field: str | None,
    details: dict[str, Any],
    retry_after: float | None,
) -> AudiographError:
    return cls(message, field=field, details=details, retry_after=retry_after)


def _classes_by_code(cls: type[AudiographError]) -> dict[str, type[AudiographError]]:
    found = {cls.code: cls} if "code" in vars(cls) else {}
    for child in cls.__subclasses__():
        found |= _classes_by_code(child)
    return found


@contextmanager
def naming_field(field: str) -> Iterator[None]:
    """Attribute errors of the request that are raised inside to the field that the caller sent."""
    try:
        yield
    except RequestError as error:
        error.name_field(field)
        raise


def names_field(message: str, field: str) -> bool:
    """Return whether a message names a field, anywhere in it."""
    return re.search(rf"(?<![\w.]){re.escape(field)}(?![\w.]*\w)", message) is not None


def rename_field(message: str, old: str, new: str) -> str:
    """Return a message with another name of the field that it begins with, if it begins with one."""
    return re.sub(rf"^(field ')?{re.escape(old)}(?![\w.])", lambda found: (found[1] or "") + new, message)


def error_from_wire(
    error: dict[str, Any], *, status: int = 500, retry_after: float | None = None
) -> AudiographError:
    """Return the exception of an ``error`` object.

    An unknown code becomes RequestError or ServerError, by the HTTP status.
    """
    known = _classes_by_code(AudiographError)
    fallback = RequestError if 400 <= status < 500 else ServerError
    cls = known.get(str(error.get("code")), fallback)
    return cls(
        str(error.get("message", "the server gave no message")),
        field=error.get("field"),
        details=error.get("details"),
        retry_after=retry_after,
    )
