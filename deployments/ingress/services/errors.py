"""Errors of ``/services``: ``{"detail": "…"}``."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from audiograph.errors import names_field
from deployments.ingress.http.errors import Failure
from deployments.ingress.http.responses import error_response
from deployments.ingress.services.examples import JOB_ID


class ServiceError(BaseModel):
    """The body of every error response."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    detail: str
    """For people: names the field, the value and the cure."""


def services_error(failure: Failure) -> tuple[int, dict[str, Any]]:
    """Return the status and body of an error: every message in one text, and 400 for an invalid request."""
    errors = failure.error.get("details", {}).get("errors") or [failure.error]
    status = 400 if failure.status == 422 else failure.status
    return status, {"detail": "; ".join(map(_sentence, errors))}


def _sentence(error: Mapping[str, Any]) -> str:
    """Return an error's message, which here is all that can name its field."""
    field, message = error.get("field"), error["message"]
    return message if not field or names_field(message, field) else f"{field}: {message}"


_DOCUMENTED: dict[int | str, tuple[str, str]] = {
    400: ("The request is invalid.", "field 'text' is missing"),
    401: (
        "An API key is required.",
        "an API key is required: send Authorization: Bearer agk_…, or x-api-key",
    ),
    404: ("The service does not exist.", "there is no speech service 'whisper'; there are: dia, higgs, mock"),
    429: (
        "The queue is full; Retry-After says when to try again.",
        "1000 jobs are queued and the limit is 1000; try again later",
    ),
    503: (
        "The model cannot serve now.",
        "no replica of model 'higgs' was available after 4 tries; see the server log",
    ),
    504: ("The time limit was reached.", f"job {JOB_ID} did not finish within 3600 s and was canceled"),
    # FastAPI would add its own 422 where no default is given.
    "default": ("Any other error.", "unexpected error inside the server; see its log"),
}

ERRORS: dict[int | str, Any] = {
    status: error_response(description, ServiceError, {"detail": detail})
    for status, (description, detail) in _DOCUMENTED.items()
}
"""OpenAPI's error responses of every route."""
