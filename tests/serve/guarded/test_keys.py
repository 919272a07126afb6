"""API keys on a server that requires them."""

import time

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from audiograph import Audiograph
from audiograph.errors import Unauthenticated
from tests.support.keys import keys
from tests.support.server import Server
from tests.support.sounds import wav_bytes

pytestmark = pytest.mark.cluster

PATIENCE = 15.0
"""Maximum seconds that a running server may accept a revoked key."""


def test_without_a_key_only_the_public_pages_respond(guarded_server: Server) -> None:
    with httpx.Client(base_url=guarded_server.url, timeout=60) as http:
        for path in ("/v1/models", "/v1/jobs", "/v1/artifacts", "/v1/no-such-page"):
            response = http.get(path)
            assert response.status_code == 401, path
            assert response.json()["error"]["code"] == "unauthenticated"
        upload = http.post("/v1/files", files={"file": ("a.wav", wav_bytes())})
        assert upload.status_code == 401
        for path in ("/health", "/ready", "/metrics", "/docs", "/openapi.json"):
            assert http.get(path).status_code == 200, path


def test_a_websocket_without_a_key_is_closed_with_the_reason(guarded_server: Server) -> None:
    url = f"ws://127.0.0.1:{guarded_server.port}/v1/jobs/any/ws"
    with connect(url) as socket, pytest.raises(ConnectionClosedError) as closed:
        socket.recv(timeout=PATIENCE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
    assert "an API key is required" in closed.value.rcvd.reason


def test_an_invented_key_is_refused(guarded_server: Server) -> None:
    for key in ("secret", f"agk_{'0' * 16}_{'0' * 64}"):
        with (
            Audiograph(guarded_server.url, api_key=key) as client,
            pytest.raises(Unauthenticated, match="key"),
        ):
            client.models.list()


def test_a_key_opens_everything_until_it_is_revoked(guarded_server: Server) -> None:
    key = keys(guarded_server.config, "create", "somebody")
    assert "somebody" in keys(guarded_server.config, "list")
    with Audiograph(guarded_server.url, api_key=key) as client:
        job = client.speak("Let me in.", timeout=120)
        assert client.artifacts.download(job.artifacts[0]).startswith(b"RIFF")
        url = f"ws://127.0.0.1:{guarded_server.port}/v1/jobs/{job.id}/ws"
        with connect(url, additional_headers={"x-api-key": key}) as socket:
            assert len(list(socket)) >= 2

        assert "somebody" in keys(guarded_server.config, "revoke", key.split("_")[1])
        _wait_until_refused(client)
        with pytest.raises(Unauthenticated, match="unknown or revoked"):
            client.jobs.get(job)


def _wait_until_refused(client: Audiograph) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            client.models.list()
        except Unauthenticated:
            return
        time.sleep(0.2)
    raise AssertionError(f"a revoked key still works after {PATIENCE} s")
