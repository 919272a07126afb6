"""Pages of other origins and a server without API keys: none of their requests gets through."""

from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from pydantic import ValidationError
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from deployments.config import HttpConfig, origin_of
from deployments.ingress import app as ingress
from deployments.ingress.backend import Backend
from deployments.ingress.http.dialect import Dialect
from tests.deployments.ingress.conftest import Served, wav

EVIL = "https://evil.example"
CROSS = {"sec-fetch-site": "cross-site"}
JOB = {"task": "speak", "text": "Hello."}
OPEN = [{"http": {"cors_origins": ["*"]}}, {"auth": {"required": True}}]


def told(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json().get("error", {}).get("field")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"referer": f"{EVIL}/page"},
        {"origin": "http://localhost:3000"} | CROSS,
        {"origin": "https://127.0.0.1"} | CROSS,
        {"origin": "http://127.8.8.8:5173"} | CROSS,
        {"origin": "http://[::1]:3000"} | CROSS,
        {"origin": "http://app.localhost:3000"} | CROSS,
        {"origin": "null", "sec-fetch-site": "same-origin"},
        {"origin": "chrome-extension://abc", "sec-fetch-site": "none"},
        {"host": "10.0.0.7:8000", "origin": "http://10.0.0.7:8000"},
        {"host": "10.0.0.7:8000", "origin": "https://10.0.0.7:8000"},
        {"referer": "http://localhost:3000/page"} | CROSS,
        {"sec-fetch-site": "same-site"},
        {"origin": ""},
    ],
)
async def test_other_clients_and_pages_of_this_machine_work(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    assert (await client.post("/v1/jobs", json=JOB, headers=headers)).status_code == 202


@pytest.mark.parametrize(
    ("headers", "field"),
    [
        ({"origin": EVIL}, "Origin"),
        ({"origin": "null"}, "Origin"),
        ({"origin": "null"} | CROSS, "Origin"),
        ({"origin": "http://localhost.evil.example"}, "Origin"),
        ({"origin": "http://evil.example/localhost"}, "Origin"),
        ({"origin": "http://127.0.0.1.nip.io"}, "Origin"),
        ({"origin": EVIL, "sec-fetch-site": "same-site"}, "Origin"),
        ({"origin": EVIL, "referer": "http://localhost/"}, "Origin"),
        ({"origin": "x" * 4000}, "Origin"),
        ({"referer": f"{EVIL}/page"} | CROSS, "Referer"),
        ({"host": "10.0.0.7", "referer": "http://10.0.0.7:3000/", "sec-fetch-site": "same-site"}, "Referer"),
        (CROSS, "Sec-Fetch-Site"),
        ({"host": "10.0.0.7", "sec-fetch-site": "same-site"}, "Sec-Fetch-Site"),
        ({"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"} | CROSS, "Sec-Fetch-Site"),
        ({"sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"} | CROSS, "Sec-Fetch-Site"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/jobs"), ("POST", "/v1/jobs"), ("GET", "/health")])
async def test_pages_of_other_origins_are_refused_with_the_header_and_the_cure(
    *, client: httpx.AsyncClient, queue: Any, headers: dict[str, str], field: str, method: str, path: str
) -> None:
    answer = await client.request(method, path, json=JOB, headers=headers)
    error = answer.json()["error"]
    assert (*told(answer), error["code"]) == (403, field, "forbidden")
    assert "access-control-allow-origin" not in answer.headers
    assert "auth.required" in error["message"]
    assert len(error["message"]) < 500
    assert queue.jobs == {}


async def test_a_link_from_another_site_can_be_followed(client: httpx.AsyncClient) -> None:
    headers = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "referer": EVIL} | CROSS
    assert (await client.get("/docs", headers=headers)).status_code == 200
    assert told(await client.post("/v1/jobs", json=JOB, headers=headers)) == (403, "Referer")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_a_form_of_another_site_is_refused(client: httpx.AsyncClient, kind: str) -> None:
    headers = {"origin": EVIL, "content-type": kind}
    assert told(await client.post("/v1/jobs", content=b"{}", headers=headers)) == (403, "Origin")
    loaded = await client.post("/services/speaker/v1/load-model", headers=headers)
    assert (loaded.status_code, "http.cors_origins" in loaded.json()["detail"]) == (403, True)
    uploaded = await client.post("/v1/files", files={"file": ("a.wav", wav())}, headers={"origin": EVIL})
    assert told(uploaded) == (403, "Origin")
    speech = await client.post("/v1/audio/speech", content=b"{}", headers=headers)
    assert (speech.status_code, speech.json()["error"]["param"]) == (403, "Origin")


def preflight(origin: str) -> dict[str, str]:
    return {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type, x-api-key",
        "access-control-request-private-network": "true",
    }


async def test_a_preflight_says_who_may_ask(client: httpx.AsyncClient) -> None:
    allowed = await client.options("/v1/jobs", headers=preflight("http://localhost:3000"))
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert allowed.headers["access-control-allow-headers"] == "content-type, x-api-key"
    assert allowed.headers["access-control-allow-private-network"] == "true"
    refused = await client.options("/v1/jobs", headers=preflight(EVIL))
    assert told(refused) == (403, "Origin")
    assert not [name for name in refused.headers if name.startswith("access-control")]


async def test_a_page_of_this_machine_can_read_the_response(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v1/jobs", headers={"origin": "http://localhost:3000"})
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "etag" in answer.headers["access-control-expose-headers"].lower()
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "sections",
    [{"http": {"cors_origins": ["HTTPS://App.example:443/"], "public_url": "https://own.example/"}}],
)
async def test_configured_origins_and_the_public_one_may_use_the_server(client: httpx.AsyncClient) -> None:
    for origin in ("https://app.example", "https://own.example", "http://localhost:3000"):
        answer = await client.post("/v1/jobs", json=JOB, headers={"origin": origin} | CROSS)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (202, origin)
        assert (await client.get("/health", headers={"referer": f"{origin}/a"} | CROSS)).status_code == 200
    for origin in (EVIL, "http://app.example", "https://app.example:8443"):
        assert told(await client.get("/v1/jobs", headers={"origin": origin})) == (403, "Origin")


@pytest.mark.parametrize("sections", OPEN)
@pytest.mark.parametrize("headers", [{"origin": EVIL}, {"origin": "null"}, CROSS])
async def test_every_page_may_ask_where_keys_are_required_or_on_demand(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await client.get("/health", headers=headers)
    assert answer.status_code == 200
    if "origin" in headers:
        assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "sections", [{"auth": {"required": True}, "http": {"cors_origins": ["https://app.example"]}}]
)
async def test_with_keys_configured_origins_are_the_only_ones_that_may_read(
    client: httpx.AsyncClient,
) -> None:
    allowed = await client.get("/health", headers={"origin": "https://app.example"})
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    other = await client.get("/health", headers={"origin": "http://localhost:3000"})
    assert (other.status_code, "access-control-allow-origin" in other.headers) == (200, False)


def test_a_websocket_of_another_origin_is_refused(served: Served) -> None:
    url = f"ws://{served.address}/v1/jobs/any/ws"
    with pytest.raises(InvalidStatus) as refused:
        connect(url, origin=Origin(EVIL))
    assert refused.value.response.status_code == 403
    assert b"http.cors_origins" in refused.value.response.body
    for origin in (None, Origin("http://localhost:3000"), Origin(served.url)):
        with connect(url, origin=origin) as socket, pytest.raises(ConnectionClosed, match="any"):
            socket.recv()


async def test_a_websocket_is_closed_where_the_http_server_can_send_no_words(app: FastAPI) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/v1/jobs/any/ws", "headers": [(b"origin", EVIL.encode())]}
    await app(scope | {"query_string": b"", "scheme": "ws", "extensions": {}}, receive, send)
    assert sent == [{"type": "websocket.close"}]


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://App.example/a?b#c", "https://app.example"),
        ("http://app.example:80", "http://app.example"),
        ("http://[::1]:3000/", "http://[::1]:3000"),
        ("app.example", None),
        ("", None),
    ],
)
def test_an_origin_is_written_as_browsers_write_it(url: str, origin: str | None) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"cors_origins": ["app.example"]}, "https://app.example"),
        ({"cors_origins": ["https://app.example/page"]}, "https://app.example"),
        ({"cors_origins": ["https://*.example"]}, "no origin"),
        ({"allowed_hosts": ["https://audio.example"]}, "audio.example"),
        ({"allowed_hosts": ["audio.example:8000"]}, "without a port"),
        ({"allowed_hosts": ["audio.*"]}, "no host name"),
    ],
)
def test_a_setting_that_could_never_match_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        HttpConfig.model_validate(settings)


@pytest.mark.parametrize("sections", [{}, {"auth": {"required": True}, "http": {"cors_origins": []}}])
async def test_a_dialect_may_be_open_to_pages_of_further_origins(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    router = APIRouter(prefix="/open")
    router.add_api_route("/door", lambda: "in", methods=["POST"])
    dialect = Dialect(routers=[router], tags=[], path="/open", origins=["https://friend.example"])
    monkeypatch.setattr(ingress, "DIALECTS", (*ingress.DIALECTS, dialect))
    transport = httpx.ASGITransport(ingress.create_app(backend))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        allowed = {
            (path, origin): await may_read(client, path, origin)
            for path in ("/open/door", "/openness", "/v1/jobs", "/v1/audio/speech")
            for origin in ("https://friend.example", EVIL)
        }
    assert [place for place, may in allowed.items() if may] == [("/open/door", "https://friend.example")]


async def may_read(client: httpx.AsyncClient, path: str, origin: str) -> bool:
    """Ask as a browser does before a page's request."""
    asked = {"origin": origin, "access-control-request-method": "POST"}
    answer = await client.options(path, headers=asked)
    return bool(answer.headers.get("access-control-allow-origin") == origin)
