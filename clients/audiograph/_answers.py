"""From an HTTP answer to a typed record or to an exception of `audiograph.errors`."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from audiograph.errors import AudiographError, ConnectionFailed, UnexpectedResponse, error_from_wire

R = TypeVar("R", bound=BaseModel)


def parse(record: type[R], response: httpx.Response) -> R:
    """Read the body as the given record.

    Raises:
        UnexpectedResponse: it is something else.
    """
    try:
        return record.model_validate_json(response.content)
    except ValidationError as error:
        raise unexpected(response, f"not a {record.__name__}: {error}") from error


def error_of(response: httpx.Response) -> AudiographError:
    """The exception for an answer that is no success; its body must have been read."""
    try:
        told = response.json()["error"]
        error = error_from_wire(told, status=response.status_code, retry_after=_retry_after(response))
    except (ValueError, KeyError, TypeError, AttributeError):
        return unexpected(response, "not one of Audiograph's errors")
    error.status = response.status_code
    return error


def unexpected(response: httpx.Response, found: str) -> UnexpectedResponse:
    """The exception for an answer that does not come from Audiograph's native API."""
    kind = response.headers.get("content-type", "no content type")
    where = f"HTTP {response.status_code} with {kind} from {response.request.url}"
    location = response.headers.get("location")
    hint = (
        f"It points to {location}: use that server's URL."
        if location
        else "Is it an Audiograph server, and has it finished starting? A proxy on the way may have answered."
    )
    error = UnexpectedResponse(f"{where}: {found}. {hint}", retry_after=_retry_after(response))
    error.status = response.status_code
    return error


def no_answer(base_url: str, cause: httpx.RequestError, tries: int = 1) -> ConnectionFailed:
    """The exception for a request that got no answer, or only a part of one."""
    what = f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
    times = f" after {tries} tries" if tries > 1 else ""
    return ConnectionFailed(
        f"no answer from {base_url}{times} ({what}). Is the server running there? `make serve` starts one; "
        "--url, base_url or AUDIOGRAPH_URL names another."
    )


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds from now, of either form that the header may have; None if absent or unreadable."""
    value = response.headers.get("retry-after", "")
    try:
        return max(float(value), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None
