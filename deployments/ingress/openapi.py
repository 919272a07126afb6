"""What /docs says of the API as a whole."""

from typing import Any

from fastapi import FastAPI

from audiograph._version import __version__

DESCRIPTION: dict[str, Any] = {
    "title": "Audiograph",
    "version": __version__,
    "summary": "One server for every audio model: transcription, separation, speech, music, keys.",
    "description": """
Upload audio to `/v1/files`, submit a request to `/v1/jobs`, follow it, and fetch its artifacts.

* **Events** come as server-sent events at `/v1/jobs/{job_id}/events`, and as JSON text frames over a
  WebSocket at `/v1/jobs/{job_id}/ws?after=`, closed with 1000 after the final event, and with 4000 + the HTTP
  status on an error.
* **Errors** are `{"error": {"code", "message", "field"?, "details"?}}`, whatever the status, but for routes
  that serve another system's clients, who read them in their own shape.
* **`x-request-id`** comes back with every answer and stands in every line of the server's log.
* **API keys**, where the server requires them, go into `Authorization: Bearer agk_…` or `x-api-key`;
  `/health`, `/ready`, `/metrics` and this page need none.
""",
    "openapi_tags": [
        {"name": "jobs", "description": "Durable work: submitted once, done once, through any crash."},
        {"name": "files", "description": "Uploads, streamed to storage and measured by decoding."},
        {"name": "artifacts", "description": "What jobs made, and where it came from."},
        {"name": "openai", "description": "For OpenAI's clients, who read errors in a shape of their own."},
        {"name": "models", "description": "What is configured, and what is loaded where."},
        {
            "name": "services",
            "description": "For clients of one microservice per speech model: their base URL becomes "
            '`/services/{model}`. Errors are `{"detail": "…"}`.',
        },
        {"name": "operation", "description": "For kubelets, Prometheus and people on duty."},
    ],
}

_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "agk_…"},
    "header": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "agk_…"},
}


def install(app: FastAPI, *, keys_required: bool) -> None:
    """Tell of the API keys, so that /docs offers to send one."""
    generate = app.openapi

    def with_keys() -> dict[str, Any]:
        schema = generate()
        schema.setdefault("components", {})["securitySchemes"] = _SCHEMES
        if keys_required:
            schema["security"] = [{name: []} for name in _SCHEMES]
        return schema

    app.openapi = with_keys  # type: ignore[method-assign]  # the way that FastAPI documents
