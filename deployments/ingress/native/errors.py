"""OpenAPI's error responses of the native API."""

from typing import Any

from deployments.ingress.http.errors import ErrorBody
from deployments.ingress.http.responses import error_response


def errors(*statuses: int) -> dict[int | str, Any]:
    """Describe the errors of a route; 401, 403 and 422 are always among them."""
    return {status: _DOCUMENTED[status] for status in (*statuses, 401, 403, 422)}


def _documented(description: str, code: str, message: str, field: str | None = None) -> dict[str, Any]:
    error = {"code": code, "message": message} | ({"field": field} if field else {})
    return error_response(description, ErrorBody, {"error": error})


_DOCUMENTED: dict[int, dict[str, Any]] = {
    400: _documented(
        "The body or a header cannot be parsed.", "malformed_request", "the body is not valid JSON: …"
    ),
    401: _documented(
        "An API key is required.",
        "unauthenticated",
        "an API key is required: send Authorization: Bearer agk_…, or x-api-key",
    ),
    403: _documented(
        "Without API keys: the request comes from a page of another origin, or names another host.",
        "forbidden",
        "Origin 'https://page.example' is refused: …",
        "Origin",
    ),
    404: _documented("The resource does not exist.", "not_found", "there is no job '0d3f'", "job_id"),
    409: _documented(
        "The resource's state does not allow the request.",
        "conflict",
        "a running job needs the file",
        "file_id",
    ),
    413: _documented("The body is too large.", "payload_too_large", "the limit is 1073741824 bytes", "file"),
    416: _documented(
        "The range lies beyond the end.",
        "range_not_satisfiable",
        "range 'bytes=999-' lies beyond the 100 bytes of the file",
        "Range",
    ),
    422: _documented(
        "A field is invalid.",
        "invalid_request",
        "unknown field 'langage'; did you mean 'language'?",
        "langage",
    ),
    429: _documented(
        "The queue is full; Retry-After says when to try again.",
        "queue_full",
        "1000 jobs are queued and the limit is 1000; try again later",
    ),
    503: _documented(
        "A model cannot serve now.",
        "model_unavailable",
        "no replica of model 'whisper' was available after 4 tries; see the server log",
    ),
}
