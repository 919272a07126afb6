"""The names of a server without API keys, and names that may lead to it by DNS rebinding."""

from typing import Any

import httpx
import pytest

from audiograph._version import __version__
from tests.deployments.ingress.conftest import Served

EVIL = "evil.example"


async def status(client: httpx.AsyncClient, host: str, path: str = "/health") -> int:
    return (await client.get(path, headers={"host": host})).status_code


@pytest.mark.parametrize(
    "host",
    [
        *(
            "localhost",
            "localhost:8000",
            "LOCALHOST.",
            "studio.localhost:8000",
            "127.0.0.1:8000",
            "127.8.8.8",
        ),
        *("[::1]:8000", "[::1]", "::1", "[::ffff:7f00:1]", "0.0.0.0:8000", "127.1:8000", "0:8000"),
        *("10.42.0.7:8000", "[fd00::7]:8000", ""),
    ],
)
async def test_names_and_addresses_that_cannot_be_rebound_are_served(
    client: httpx.AsyncClient, host: str
) -> None:
    assert await status(client, host) == 200


@pytest.mark.parametrize(
    "host",
    [
        *(EVIL, f"{EVIL}:8000", "localhost.evil.example", "evillocalhost", "127.0.0.1.evil.example", "audio"),
        *("127.0.0.1.nip.io:8000", "localhost@evil.example", "1.2.3.4 evil", "[evil]:8000", "a" * 8000),
    ],
)
@pytest.mark.parametrize("path", ["/health", "/v1/jobs", "/docs", "/nothing"])
async def test_another_name_is_refused_with_the_setting(
    client: httpx.AsyncClient, host: str, path: str
) -> None:
    answer = await client.get(path, headers={"host": host})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (403, "forbidden", "Host")
    assert host[:50] in error["message"]
    assert "http.allowed_hosts" in error["message"]
    assert len(error["message"]) < 500


@pytest.mark.parametrize(
    "sections",
    [
        {
            "http": {
                "allowed_hosts": ["Audio.example", "*.lan.example"],
                "public_url": "https://public.example:8443/api",
            }
        }
    ],
)
async def test_configured_names_and_the_public_one_are_served(client: httpx.AsyncClient) -> None:
    for host in ("audio.example", "AUDIO.example:8000", "a.lan.example", "b.a.lan.example", "public.example"):
        assert await status(client, host) == 200, host
    for host in (EVIL, "a.audio.example", "lan.example", "evillan.example"):
        assert await status(client, host) == 403, host


@pytest.mark.parametrize("sections", [{"http": {"allowed_hosts": ["*"]}}, {"auth": {"required": True}}])
async def test_every_name_is_served_with_keys_or_on_demand(client: httpx.AsyncClient) -> None:
    assert await status(client, EVIL) == 200


async def test_each_dialect_refuses_in_its_own_format(client: httpx.AsyncClient) -> None:
    headers = {"host": EVIL}
    speech = await client.post("/v1/audio/speech", json={}, headers=headers)
    assert (speech.status_code, speech.json()["error"]["param"]) == (403, "Host")
    service = await client.get("/services/speaker/health", headers=headers)
    assert (service.status_code, set(service.json())) == (403, {"detail"})


def test_a_websocket_is_refused_with_the_same_words(served: Served) -> None:
    handshake = {
        "Host": EVIL,
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    answer = httpx.get(f"{served.url}/v1/jobs/any/ws", headers=handshake)
    assert (answer.status_code, answer.json()["error"]["field"]) == (403, "Host")


async def test_a_refusal_is_logged_for_the_operator(client: httpx.AsyncClient, caplog: Any) -> None:
    caplog.set_level("INFO")
    await status(client, EVIL, "/v1/jobs")
    (record,) = [record for record in caplog.records if hasattr(record, "refused")]
    assert EVIL in record.refused


async def test_a_request_without_a_host_is_served(app: Any) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {"type": "http", "method": "GET", "path": "/health", "query_string": b"", "headers": []}
    await app(scope | {"http_version": "1.0", "scheme": "http", "server": ("127.0.0.1", 80)}, receive, send)
    assert sent[0]["status"] == 200
    assert __version__.encode() in sent[1]["body"]
