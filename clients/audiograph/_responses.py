"""Converts HTTP responses into records, or into exceptions of `audiograph.errors`."""

from __future__ import annotations

import json
import math
import time
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from audiograph._checks import fault
from audiograph.errors import AudiographError, ConnectionFailed, UnexpectedResponse, error_from_wire

RecordT = TypeVar("RecordT", bound=BaseModel)


def parse(record: type[RecordT], response: httpx.Response) -> RecordT:
    """Parse the body as a record of the given class.

    Raises:
        UnexpectedResponse: the body is not such a record.
    """
    try:
        return record.model_validate_json(response.content)
    except ValidationError as error:
        raise unexpected_response(response, f"not a {record.__name__}: {fault(error)}") from error


def error_from_response(response: httpx.Response) -> AudiographError:
    """Return the exception of an unsuccessful response, whose body must have been read."""
    try:
        body = response.json()["error"]
        error = error_from_wire(body, status=response.status_code, retry_after=_retry_after(response))
    except (ValueError, KeyError, TypeError, AttributeError):
        return unexpected_response(response, "not an error of Audiograph")
    error.status = response.status_code
    return error


def error_from_event(data: str, response: httpx.Response) -> AudiographError:
    """Return the exception of an event of type ``error``."""
    try:
        return error_from_wire(json.loads(data)["error"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return unexpected_response(response, "not an error of Audiograph")


def unexpected_response(response: httpx.Response, found: str) -> UnexpectedResponse:
    """Return the exception of a response that does not come from Audiograph's native API."""
    content_type = response.headers.get("content-type", "no content type")
    source = f"HTTP {response.status_code} with {content_type} from {response.request.url}"
    location = response.headers.get("location")
    hint = (
        f"It points to {location}: use that server's URL."
        if location
        else "Is it an Audiograph server, and has it finished starting? A proxy may have responded instead."
    )
    error = UnexpectedResponse(f"{source}: {found}. {hint}", retry_after=_retry_after(response))
    error.status = response.status_code
    return error


def connection_failed(base_url: str, cause: httpx.RequestError, tries: int = 1) -> ConnectionFailed:
    """Return the exception of a request without a response, or with an incomplete one."""
    reason = f"{type(cause).__name__}: {cause}" if str(cause) else type(cause).__name__
    times = f" after {tries} tries" if tries > 1 else ""
    return ConnectionFailed(
        f"no response from {base_url}{times} ({reason}). Is the server running there? `make serve` starts "
        "one; --url, base_url or AUDIOGRAPH_URL names another."
    )


def _retry_after(response: httpx.Response) -> float | None:
    """Return the header's seconds from now, whether it holds seconds or a date; None without a valid one."""
    value = response.headers.get("retry-after", "")
    try:
        seconds = float(value)
        return max(seconds, 0.0) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    except ValueError:
        return None
