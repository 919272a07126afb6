"""Everything that can go wrong, as one tree of exceptions shared by server and client.

The server raises these; one handler writes them as ``{"error": {"code", "message", "field"?, "details"?}}``
with the class's HTTP status; the client reads the code and raises the same class again.

    AudiographError
    ├── RequestError                 the caller can mend it (4xx)
    │   ├── InvalidRequest           422  a field is missing, unknown, of the wrong type or out of range
    │   │   ├── InvalidAudio         422  the bytes are not audio that can be decoded, or break a limit
    │   │   └── NotServed            422  no configured model serves this task, model or variant
    │   ├── MalformedRequest         400  the body or a header cannot be parsed at all
    │   ├── Unauthenticated          401  an API key is required, or the one given is unknown
    │   ├── NotFound                 404  no such job, file, artifact or model
    │   ├── Conflict                 409  it is in use, or its state does not allow this
    │   │   └── IdempotencyConflict  409  the same Idempotency-Key came with a different request
    │   ├── PayloadTooLarge          413  more bytes than the server accepts
    │   ├── RangeNotSatisfiable      416  a Range beyond the end of the content
    │   └── QueueFull                429  try again after ``retry_after`` seconds
    ├── ServerError                  the operator or time can mend it (5xx)
    │   ├── InternalError            500
    │   ├── ModelUnavailable         503  a model's replica died or cannot start
    │   │   └── WeightsMissing       503  pretrained weights are configured but not there
    │   ├── OutOfMemory              507  the model or the request does not fit the device
    │   └── TimeLimitExceeded        504  the job ran longer than its time limit
    ├── Canceled                     499  the work was canceled
    └── ClientError                  raised on the caller's side alone
        ├── ConnectionFailed              no answer from the server, after retries
        ├── UnexpectedResponse            an answer that is not Audiograph's
        ├── ChecksumMismatch              downloaded bytes differ from the artifact's SHA-256
        ├── WaitTimeout                   the job had not finished in time; it goes on
        ├── JobFailed                     waited for a job that failed; ``.job`` tells why
        └── JobCanceled                   waited for a job that was canceled
"""

from __future__ import annotations

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
]


class AudiographError(Exception):
    """The root: a message for people, a code for programs, and the HTTP status of both."""

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

    def to_wire(self) -> dict[str, Any]:
        """The ``error`` object of the native API; absent parts are left out."""
        parts: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.field is not None:
            parts["field"] = self.field
        if self.details:
            parts["details"] = self.details
        return parts

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.field, self.details, self.retry_after)


class RequestError(AudiographError):
    """The caller can mend it."""

    status = 400
    code = "bad_request"


class InvalidRequest(RequestError):
    """A field is missing, unknown, of the wrong type or out of range."""

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
    """An API key is required, or the one given is unknown."""

    status = 401
    code = "unauthenticated"


class NotFound(RequestError):
    """No such job, file, artifact or model."""

    status = 404
    code = "not_found"


class Conflict(RequestError):
    """The thing is in use, or its state does not allow this."""

    status = 409
    code = "conflict"


class IdempotencyConflict(Conflict):
    """The same Idempotency-Key came with a different request."""

    code = "idempotency_conflict"


class PayloadTooLarge(RequestError):
    """More bytes than the server accepts."""

    status = 413
    code = "payload_too_large"


class RangeNotSatisfiable(RequestError):
    """A Range that lies beyond the end of the content."""

    status = 416
    code = "range_not_satisfiable"


class QueueFull(RequestError):
    """The queue holds as many jobs as it may; ``retry_after`` says when to come back, in seconds."""

    status = 429
    code = "queue_full"


class ServerError(AudiographError):
    """The operator, or time, can mend it."""


class InternalError(ServerError):
    """Something broke inside the server; the log has the rest, under the request or job id."""

    code = "internal_error"  # said again, so that `error_from_wire` finds this class and not the root


class ModelUnavailable(ServerError):
    """A model's replica died, cannot start, or lacks a package."""

    status = 503
    code = "model_unavailable"


class WeightsMissing(ModelUnavailable):
    """Pretrained weights are configured but are not there and cannot be fetched."""

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
    """The work was canceled before it ended."""

    status = 499
    code = "canceled"


class ClientError(AudiographError):
    """Raised on the caller's side alone; never crosses the wire."""

    code = "client_error"


class ConnectionFailed(ClientError):
    """No answer from the server, after the retries that were safe."""


class UnexpectedResponse(ClientError):
    """An answer that is not Audiograph's: a proxy's error page, or another server."""


class ChecksumMismatch(ClientError):
    """Downloaded bytes differ from the artifact's SHA-256."""


class WaitTimeout(ClientError):
    """The job had not finished in the time given; it goes on, and can be waited for again."""


class JobFailed(ClientError):
    """Waited for a job that failed; ``job.error`` has code, message, stage and attempt."""

    def __init__(self, job: Job) -> None:
        error = job.error
        reason = f"{error.code}: {error.message}" if error else "no reason was recorded"
        super().__init__(f"job {job.id} ({job.task}) failed: {reason}")
        self.job = job

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.job,)


class JobCanceled(ClientError):
    """Waited for a job that was canceled."""

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


def _tree(cls: type[AudiographError]) -> dict[str, type[AudiographError]]:
    found = {cls.code: cls} if "code" in vars(cls) else {}
    for child in cls.__subclasses__():
        found |= _tree(child)
    return found


def error_from_wire(
    error: dict[str, Any], *, status: int = 500, retry_after: float | None = None
) -> AudiographError:
    """The exception that an ``error`` object stands for; an unknown code becomes the nearest class."""
    known = _tree(AudiographError)
    fallback = RequestError if 400 <= status < 500 else ServerError
    cls = known.get(str(error.get("code")), fallback)
    return cls(
        str(error.get("message", "the server gave no message")),
        field=error.get("field"),
        details=error.get("details"),
        retry_after=retry_after,
    )
