"""Malformed and hostile uploads over the wire: each is refused with a reason, and the server survives."""

from collections.abc import Iterator

import httpx
import pytest

from audiograph import Audiograph, File
from tests.support.hostile import HOSTILE, HostileFile
from tests.support.server import Server
from tests.support.sounds import wav_bytes

pytestmark = pytest.mark.cluster

REFUSED = {key: file for key, file in HOSTILE.items() if file.stored_name is None}
RENAMED = {key: file for key, file in HOSTILE.items() if file.stored_name is not None}
INGRESS = "ServeReplica:audiograph:ingress"


@pytest.fixture(scope="module", autouse=True)
def ingress_survives(server: Server) -> Iterator[None]:
    """Check at the end that the same process still accepts uploads and runs jobs."""
    before = [process.pid for process in server.processes(INGRESS)]
    yield
    assert [process.pid for process in server.processes(INGRESS)] == before
    with Audiograph(server.url) as client:
        assert client.analyze_pitch(wav_bytes(), timeout=120).status == "succeeded"


@pytest.mark.parametrize("file", REFUSED.values(), ids=REFUSED)
def test_it_is_refused_with_the_reason(server: Server, file: HostileFile) -> None:
    response = post(server, file)
    assert response.status_code == file.expected_status
    error = response.json()["error"]
    assert error["field"] == "file"
    assert [word for word in file.expected_words if word.lower() not in error["message"].lower()] == []


@pytest.mark.parametrize("file", RENAMED.values(), ids=RENAMED)
def test_its_name_becomes_a_safe_one(server: Server, client: Audiograph, file: HostileFile) -> None:
    response = post(server, file)
    assert response.status_code == file.expected_status
    stored = File.model_validate(response.json())
    assert stored.name == file.stored_name
    assert client.files.download(stored) == file.read()
    assert client.files.get(stored.id) == stored


def post(server: Server, file: HostileFile) -> httpx.Response:
    """Upload a file as a browser does, which escapes only quotes and line breaks in names."""
    name = file.name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    head = f'--border\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
    body = head.encode(errors="surrogateescape") + file.read() + b"\r\n--border--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=border"}
    return httpx.post(f"{server.url}/v1/files", content=body, headers=headers, timeout=60)
