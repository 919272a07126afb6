"""HEAD, OPTIONS and Allow, which every path of every dialect answers."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

OPENAPI = "/openapi.json"


def paths_by_method(schema: dict[str, Any]) -> dict[str, list[str]]:
    """Return the methods of every documented path."""
    return {path: [method.upper() for method in methods] for path, methods in schema["paths"].items()}


@pytest.fixture
async def methods(client: httpx.AsyncClient) -> dict[str, list[str]]:
    return paths_by_method((await client.get(OPENAPI)).json()) | {"/docs": ["GET"], OPENAPI: ["GET"]}


@pytest.fixture
def values(uploaded: str, put: Any) -> dict[str, str]:
    """Parameters of the paths, so that each is found."""
    return {
        "file_id": uploaded,
        "artifact_id": put("a.wav", b"0123456789").id,
        "model": "speaker",
        "voice": "nobody",
        "voice_id": "nobody",
    }


@pytest.fixture
async def finished(client: httpx.AsyncClient, queue: Any) -> str:
    """Id of a finished job."""
    job = (await client.post("/v1/jobs", json={"task": "speak", "text": "Hello."})).json()
    queue.finish(job["id"], "succeeded")
    return str(job["id"])


async def test_head_has_the_headers_of_get_and_no_body(
    client: httpx.AsyncClient, methods: dict[str, list[str]], values: dict[str, str], finished: str
) -> None:
    asked = [path for path, known in methods.items() if "GET" in known]
    assert len(asked) > 20
    for path in asked:
        url = path.format(**values, job_id=finished)
        got, head = await client.get(url), await client.head(url)
        assert head.status_code == got.status_code, url
        assert without_id(head.headers) == without_id(got.headers), url
        assert head.content == b"", url


def without_id(headers: httpx.Headers) -> list[tuple[str, str]]:
    return [header for header in headers.multi_items() if header[0] != "x-request-id"]


async def test_head_opens_no_stream(client: httpx.AsyncClient, queue: Any) -> None:
    job = (await client.post("/v1/jobs", json={"task": "speak", "text": "Hello."})).json()
    head = await client.head(f"/v1/jobs/{job['id']}/events")
    assert head.headers["content-type"].startswith("text/event-stream")
    assert queue.readers == 0


async def test_allow_lists_every_method_of_the_path(
    client: httpx.AsyncClient, methods: dict[str, list[str]], values: dict[str, str]
) -> None:
    for path, known in methods.items():
        url = path.format(**values, job_id="some")
        allowed = sorted({*known, "OPTIONS", *(["HEAD"] if "GET" in known else [])})
        options, other = await client.options(url), await client.request("BREW", url)
        assert (options.status_code, options.content) == (204, b""), url
        assert other.status_code == 405, url
        assert options.headers["allow"] == other.headers["allow"] == ", ".join(allowed), url
        assert f"allowed: {', '.join(allowed)}" in other.text, url


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/jobs", {"error": {"code", "message"}}),
        ("/v1/audio/speech", {"error": {"message", "type", "param", "code"}}),
        ("/services/speaker/v1/load-model", {"detail": None}),
    ],
)
async def test_each_dialect_refuses_a_method_in_its_own_format(
    client: httpx.AsyncClient, path: str, shape: dict[str, Any]
) -> None:
    body = (await client.put(path)).json()
    assert {name: set(part) if isinstance(part, dict) else None for name, part in body.items()} == shape


async def test_a_path_that_does_not_exist_has_no_methods(client: httpx.AsyncClient) -> None:
    for method in ("OPTIONS", "HEAD", "PUT"):
        answer = await client.request(method, "/v1/nothing")
        assert (answer.status_code, "allow" in answer.headers) == (404, False)


def test_every_route_that_has_get_has_head(app: FastAPI) -> None:
    routes = [route for route in iter_route_contexts(app.routes) if route.methods]
    heads = {route.path for route in routes if "HEAD" in (route.methods or ())}
    assert {route.path for route in routes if "GET" in (route.methods or ())} == heads
