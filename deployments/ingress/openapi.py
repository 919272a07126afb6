"""The API's description in /docs as a whole."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI

from audiograph._version import __version__

DESCRIPTION: dict[str, Any] = {
    "title": "Audiograph",
    "version": __version__,
    "summary": "One server for every audio model: transcription, separation, speech, music, keys.",
    "description": """
Upload audio to `/v1/files`, submit a request to `/v1/jobs`, follow the job, and download its artifacts.

* **Events** are sent as server-sent events at `/v1/jobs/{job_id}/events`, and as JSON text frames over a
  WebSocket at `/v1/jobs/{job_id}/ws?after=`. The WebSocket closes with 1000 after the final event, with 1003
  if it gets a message, and with 4000 + the HTTP status on an error.
* **Errors** are `{"error": {"code", "message", "field"?, "details"?}}`, whatever the status. Routes for the
  clients of another system answer in that system's format.
* **`x-request-id`** is returned with every response, and is part of every line of the server's log.
* **API keys**, where the server requires them, are sent as `Authorization: Bearer agk_…` or `x-api-key`.
  `/health`, `/ready`, `/metrics` and this page need none.
""",
}

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "agk_…"},
    "header": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "agk_…"},
}


def install(app: FastAPI, tags: Sequence[dict[str, str]], *, keys_required: bool) -> None:
    """Describe the groups of routes, and the API keys, so that /docs offers to send one."""
    app.openapi_tags = [*tags]
    generate = app.openapi

    def with_keys() -> dict[str, Any]:
        schema = generate()
        schema.setdefault("components", {})["securitySchemes"] = _SCHEMES
        if keys_required:
            schema["security"] = [{name: []} for name in _SCHEMES]
        return schema

    app.openapi = with_keys  # type: ignore[method-assign]  # the way that FastAPI documents
