"""Errors in OpenAI's format, with the statuses by which OpenAI's clients raise the right class."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from audiograph.errors import rename_field
from deployments.ingress.http.errors import Failure
from deployments.ingress.http.responses import error_response

_CODES = {
    "not_served": "model_not_found",
    "unauthenticated": "invalid_api_key",
    "queue_full": "rate_limit_exceeded",
}
"""OpenAI's code by the native API's."""
_FIELDS = {"text": "input", "format": "response_format", "task": "model"}
"""OpenAI's name of a field by the native API's."""


class OpenAIErrorDetail(BaseModel):
    """An error in OpenAI's format."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    message: str
    """For people: names the field, the value and the cure."""
    type: str
    """Class of the error."""
    param: str | None
    """Field of the request, if one is at fault."""
    code: str | None
    """For programs."""


class OpenAIError(BaseModel):
    """The body of every error response."""

    error: OpenAIErrorDetail


def openai_error(failure: Failure) -> tuple[int, dict[str, Any]]:
    """Return the status and body of an error; only an unknown model is 404."""
    code, name = failure.error["code"], failure.error.get("field") or ""
    param = _FIELDS.get(name, name)
    status = {"not_served": 404}.get(code, 400 if failure.status == 422 else failure.status)
    kind = "server_error" if status >= 500 else "invalid_request_error"
    return status, {
        "error": {
            "message": rename_field(failure.error["message"], name, param)
            if name
            else failure.error["message"],
            "type": "rate_limit_error" if status == 429 else kind,
            "param": param or None,
            "code": _CODES.get(code, code),
        }
    }


def _documented(
    description: str, message: str, kind: str, *, param: str | None = None, code: str
) -> dict[str, Any]:
    error = {"message": message, "type": kind, "param": param, "code": code}
    return error_response(description, OpenAIError, {"error": error})


ERRORS: dict[int | str, Any] = {
    400: _documented(
        "The request is invalid.",
        "field 'speed': input should be less than or equal to 4, not 5",
        "invalid_request_error",
        param="speed",
        code="invalid_request",
    ),
    401: _documented(
        "An API key is required.",
        "an API key is required: send Authorization: Bearer agk_…, or x-api-key",
        "invalid_request_error",
        code="invalid_api_key",
    ),
    404: _documented(
        "The model does not exist.",
        "there is no model 'tts-9' for task 'speak'; models: espeak, higgs, mock",
        "invalid_request_error",
        param="model",
        code="model_not_found",
    ),
    429: _documented(
        "The limit of direct responses is reached; Retry-After says when to try again.",
        "32 direct responses are in progress and the limit is 32; try again later",
        "rate_limit_error",
        code="rate_limit_exceeded",
    ),
    "default": _documented(
        "Any other error.",
        "unexpected error inside the server; see its log under request id 5f0c6f0b",
        "server_error",
        code="internal_error",
    ),
}
"""OpenAPI's error responses of every route."""
