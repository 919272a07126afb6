"""The examples of OpenAI's routes in /docs."""

from typing import Any

from pydantic import BaseModel

SPEECH = {"model": "tts-1", "voice": "alloy", "input": "Hello there.", "response_format": "mp3"}

_INVALID = "invalid_request_error"
_REFUSALS: dict[int | str, tuple[str, dict[str, str | None]]] = {
    400: (
        "What was sent is wrong",
        {
            "message": "field 'speed': input should be less than or equal to 4, not 5",
            "type": _INVALID,
            "param": "speed",
            "code": "invalid_request",
        },
    ),
    401: (
        "An API key is required",
        {
            "message": "an API key is required: send Authorization: Bearer agk_…, or x-api-key",
            "type": _INVALID,
            "param": None,
            "code": "invalid_api_key",
        },
    ),
    404: (
        "There is no such model",
        {
            "message": "there is no model 'tts-9' for task 'speak'; models: espeak, higgs, mock",
            "type": _INVALID,
            "param": "model",
            "code": "model_not_found",
        },
    ),
    429: (
        "As many answers are being made as may be; Retry-After says when to come back",
        {
            "message": "32 answers are being made and the limit is 32; try again later",
            "type": "rate_limit_error",
            "param": None,
            "code": "rate_limit_exceeded",
        },
    ),
    "default": (
        "Anything else",
        {
            "message": "something broke inside the server",
            "type": "server_error",
            "param": None,
            "code": "internal_error",
        },
    ),
}


class OpenAIErrorDetail(BaseModel):
    """What went wrong, as OpenAI tells it."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(BaseModel):
    """The body of every answer that is not a success."""

    error: OpenAIErrorDetail


def answers(example: Any, media_type: str) -> dict[int | str, Any]:
    """OpenAPI's ``responses`` of a route: its success with an example, and the errors that it may give."""
    good: dict[int | str, Any] = {200: {"content": {media_type: {"example": example}}}}
    return good | {status: _refusal(*told) for status, told in _REFUSALS.items()}


def _refusal(description: str, error: dict[str, str | None]) -> dict[str, Any]:
    content = {"application/json": {"example": {"error": error}}}
    return {"model": OpenAIError, "description": description, "content": content}
