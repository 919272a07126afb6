"""API keys: created, verified and revoked; and the paths that need none."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from audiograph.errors import NotFound, Unauthenticated
from deployments.config import AuthConfig
from deployments.ingress.backend import Backend
from deployments.ingress.http.auth import check_binding
from deployments.serve.keys import app as keys_app
from deployments.storage import api_keys as keys_module
from deployments.storage.api_keys import Keys
from deployments.storage.database import Database
from deployments.storage.tables import ApiKey
from tests.deployments.ingress.conftest import Served

REQUIRED = pytest.mark.parametrize("sections", [{"auth": {"required": True}}])


@pytest.fixture
def keys(backend: Backend) -> Keys:
    return Keys(backend.store.database)


@REQUIRED
async def test_a_key_lets_in_by_either_header(client: httpx.AsyncClient, keys: Keys) -> None:
    key = keys.create("ci")
    for headers in (
        {"authorization": f"Bearer {key}"},
        {"authorization": f"bearer  {key}"},
        {"x-api-key": key},
    ):
        assert (await client.get("/v1/jobs", headers=headers)).status_code == 200


@REQUIRED
async def test_everything_else_stays_out(client: httpx.AsyncClient, keys: Keys) -> None:
    key = keys.create("ci")
    other = f"{key[:-1]}{'0' if key[-1] != '0' else '1'}"
    for value in (
        "",
        "Bearer",
        "Bearer ",
        f"Basic {key}",
        f"Bearer {other}",
        "Bearer agk_1_2",
        "Bearer " + "x" * 9999,
    ):
        answer = await client.get("/v1/jobs", headers={"authorization": value})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated")
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.headers["x-request-id"]
    for method, path in [
        ("POST", "/v1/files"),
        ("GET", "/v1/nothing"),
        ("GET", "/health/x"),
        ("GET", "/v1/models"),
    ]:
        assert (await client.request(method, path)).status_code == 401


@REQUIRED
@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/docs", "/openapi.json"])
async def test_some_things_need_no_key(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(path)).status_code in (200, 503)


@REQUIRED
async def test_a_page_of_another_origin_may_ask_without_a_key_whether_it_may_ask(
    client: httpx.AsyncClient,
) -> None:
    headers = {"origin": "http://page.example", "access-control-request-method": "POST"}
    assert (await client.options("/v1/jobs", headers=headers)).status_code == 200
    refused = await client.get("/v1/jobs", headers={"origin": "http://page.example"})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "*")


@REQUIRED
def test_a_websocket_needs_a_key_too(served: Served, keys: Keys) -> None:
    headers = {"x-api-key": keys.create("ci")}
    job_id = httpx.post(f"{served.url}/v1/jobs", json={"task": "speak", "text": "a"}, headers=headers).json()[
        "id"
    ]
    url = f"ws://{served.address}/v1/jobs/{job_id}/ws"
    with connect(url) as socket:
        with pytest.raises(ConnectionClosed):
            socket.recv()
        assert (socket.close_code, socket.close_reason) != (1000, "")
        assert socket.close_code == 4401
    with connect(url, additional_headers=headers) as socket:
        httpx.post(f"{served.url}/v1/jobs/{job_id}/cancel", headers=headers)
        assert '"canceled"' in str(socket.recv())


async def test_without_auth_no_key_is_asked_for(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/jobs", headers={"authorization": "Bearer whatever"})).status_code == 200


@REQUIRED
async def test_a_revoked_key_is_refused_once_the_trust_in_it_has_passed(
    client: httpx.AsyncClient, keys: Keys, monkeypatch: Any
) -> None:
    assert keys_module.CACHE_SECONDS < 10
    monkeypatch.setattr(keys_module, "CACHE_SECONDS", 0.2)
    key = keys.create("ci")
    headers = {"x-api-key": key}
    assert (await client.get("/v1/jobs", headers=headers)).status_code == 200
    keys.revoke(key.split("_")[1])
    await asyncio.sleep(0.25)
    assert (await client.get("/v1/jobs", headers=headers)).status_code == 401


def test_a_trusted_id_does_not_let_in_another_secret(keys: Keys) -> None:
    key = keys.create("ci")
    key_id = keys.verify(key)
    assert keys.cached_id(key) == key_id
    assert keys.cached_id(f"agk_{key_id}_{'0' * 64}") is None
    with pytest.raises(Unauthenticated):
        keys.verify(f"agk_{key_id}_{'0' * 64}")


def test_the_secret_is_not_stored(keys: Keys, backend: Backend) -> None:
    secret = keys.create("ci").split("_")[2]
    with backend.store.database.snapshot() as session:
        row = session.scalars(select(ApiKey)).one()
    assert secret not in "".join(map(str, vars(row).values()))
    assert len(row.secret_sha256) == 64


def test_revoking_twice_keeps_the_first_time(keys: Keys) -> None:
    key_id = keys.create("ci").split("_")[1]
    first = keys.revoke(key_id)
    assert keys.revoke(key_id) == first
    assert first.revoked_at
    with pytest.raises(NotFound):
        keys.revoke("0" * 16)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_needs_no_keys(host: str) -> None:
    check_binding(AuthConfig(), host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "audio.example", "localhost.example"])
def test_other_addresses_need_keys(host: str) -> None:
    with pytest.raises(ValueError, match=r"auth\.required.*keys create"):
        check_binding(AuthConfig(), host)
    check_binding(AuthConfig(required=True), host)


def test_the_command_line_makes_lists_and_revokes_keys(tmp_path: Any) -> None:
    config = tmp_path / "serve_config.yaml"
    storage = {"database_url": f"sqlite:///{tmp_path}/s/a.db"}
    config.write_text(json.dumps({"applications": [{"args": {"models": {}, "storage": storage}}]}))
    options = ["--config", str(config)]
    made = CliRunner().invoke(keys_app, ["create", "ci", *options])
    key = made.output.strip()
    assert Keys(Database(f"sqlite:///{tmp_path}/s/a.db")).verify(key) == key.split("_")[1]
    listed = CliRunner().invoke(keys_app, ["list", *options]).output
    assert key.split("_")[1] in listed
    assert key.split("_")[2] not in listed
    revoked = CliRunner().invoke(keys_app, ["revoke", key.split("_")[1], *options])
    assert (revoked.exit_code, "ci" in revoked.output) == (0, True)
    with pytest.raises(Unauthenticated):
        Keys(Database(f"sqlite:///{tmp_path}/s/a.db")).verify(key)


@pytest.mark.parametrize(
    "text", ["", "a: [", "applications: []", "applications: [{args: {storage: {databse: 1}}}]"]
)
def test_a_configuration_that_cannot_be_read_is_told_in_words(tmp_path: Any, text: str) -> None:
    config = tmp_path / "serve_config.yaml"
    config.write_text(text)
    result = CliRunner().invoke(keys_app, ["list", "--config", str(config)])
    assert result.exit_code == 1
    assert result.output.startswith("error: ")
