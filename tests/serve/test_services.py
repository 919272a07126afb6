"""The services dialect: one base URL per model, and files on the server's machine."""

import http.client
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import soundfile

from audiograph import Audiograph
from tests.support.server import Server
from tests.support.sounds import speech_like

pytestmark = pytest.mark.cluster

PATIENCE = 120
TRANSCRIPT = "This is how I sound."
VOICES = {"anna.wav": 3.0, "men/bert.wav": 2.0}
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def voices(server: Server) -> Path:
    """The server's folder of voices, with two recordings."""
    for name, seconds in VOICES.items():
        path = server.voices / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, speech_like(seconds=seconds)[0], 16_000)
        path.with_suffix(".txt").write_text(TRANSCRIPT)
    return server.voices


@pytest.fixture
def services(server: Server, voices: Path) -> Iterator[httpx.Client]:
    """An HTTP client whose base URL is that of all services."""
    with httpx.Client(base_url=f"{server.url}/services", timeout=PATIENCE) as client:
        yield client


def durations(client: Audiograph) -> list[float]:
    """Return the durations of the voices in seconds, without their silent ends."""
    artifacts = [client.voices.get(name).artifact for name in VOICES]
    return [artifact.duration or 0 for artifact in artifacts if artifact]


def say(services: httpx.Client, model: str, voice: str, file: str, **parameters: Any) -> dict[str, Any]:
    """Speak a sentence into a file, and return the response."""
    body = {"text": "The sun rises.", "output_filepath": file, "parameters": parameters}
    response = services.post(f"/{model}/v1/text-to-speech/{quote(voice, safe='')}", json=body)
    assert response.status_code == 200, response.text
    report: dict[str, Any] = response.json()
    assert (report["status"], report["output_filepath"]) == ("success", file)
    return report


def converse(services: httpx.Client, model: str, file: str, **parameters: Any) -> dict[str, Any]:
    """Speak a dialogue of both voices into a file, and return the response."""
    inputs = [{"text": "Who is there?", "voice_id": voice} for voice in VOICES]
    body = {"inputs": inputs, "output_filepath": file, "parameters": parameters}
    response = services.post(f"/{model}/v1/text-to-dialogue", json=body)
    assert response.status_code == 200, response.text
    report: dict[str, Any] = response.json()
    return report


def test_the_mock_copies_the_voices_file(services: httpx.Client, server: Server, client: Audiograph) -> None:
    for voice in ("men/bert.wav", str(server.voices / "men" / "bert.wav")):
        report = say(services, "mock", voice, "new/sun.flac", seed=7, scene_prompt="a cave")
        info = soundfile.info(server.exports / "new" / "sun.flac")
        assert (info.format, info.samplerate, info.channels) == ("FLAC", 24_000, 1)
        assert info.duration == pytest.approx(durations(client)[1], abs=0.01)
        assert "scene_prompt was ignored" in report["message"]


def test_the_mock_joins_the_voices_files(services: httpx.Client, server: Server, client: Audiograph) -> None:
    report = converse(services, "mock", str(server.exports / "two.wav"))
    info = soundfile.info(server.exports / "two.wav")
    assert info.duration == pytest.approx(sum(durations(client)) + 0.25, abs=0.01)
    job = client.jobs.get(report["message"].split()[1])
    assert (job.status, job.task, job.artifacts[0].duration) == ("succeeded", "dialogue", info.duration)


def test_a_missing_voice_is_reported(services: httpx.Client, server: Server) -> None:
    message = say(services, "mock", "men/nobody.wav", "tone.mp3")["message"]
    assert "voice 'men/nobody.wav' not found; using the default voice" in message
    assert soundfile.info(server.exports / "tone.mp3").duration == pytest.approx(1.0, abs=0.1)


def test_dia_converses(services: httpx.Client, server: Server) -> None:
    message = converse(services, "dia", "door.wav", seed=7, max_new_tokens=60)["message"]
    info = soundfile.info(server.exports / "door.wav")
    assert info.samplerate == 44_100
    assert 0.2 < info.duration < 1.0  # 60 tokens of 1/86 s
    assert "random weights" in message
    assert "max_new_tokens" in message  # the end may be cut off
    response = services.post(
        "/dia/v1/text-to-speech/anna.wav", json={"text": "a", "output_filepath": "a.wav"}
    )
    assert (response.status_code, "dialogues" in response.json()["detail"]) == (400, True)


def test_higgs_speaks(services: httpx.Client, server: Server) -> None:
    say(services, "higgs", "anna.wav", "higgs.opus", seed=7, max_new_tokens=60)
    info = soundfile.info(server.exports / "higgs.opus")
    assert 0.2 < info.duration < 3.0
    body = {"text": "a", "output_filepath": "a.wav", "parameters": {"exaggeration": 1}}
    response = services.post("/higgs/v1/text-to-speech/anna.wav", json=body)
    assert (response.status_code, "higgs takes scene_prompt" in response.json()["detail"]) == (400, True)


def test_a_model_is_loaded_and_unloaded(services: httpx.Client) -> None:
    assert services.post("/mock/v1/load-model").json()["status"] == "success"
    health = {"status": "healthy", "model_loaded": True, "device": "cpu", "dependencies_available": True}
    assert services.get("/mock/health").json() == health
    assert services.post("/mock/v1/unload-model").json()["status"] == "success"
    assert services.get("/mock/health").json() == health | {"model_loaded": False}
    assert services.get("/mock/").json() == {"message": "Mock Service", "model": "none"}
    assert services.get("/dia").json()["model"] == "nari-labs/Dia-1.6B-0626"


@pytest.mark.parametrize(
    "path",
    [
        "%2Fetc%2Fpasswd",
        "/etc/passwd",
        "..%2F..%2Fsecret",
        "%2e%2e%2fsecret",
        "..",
        "%2E%2E",
        "a%2F..%2F..%2Fb",
        "a%00b",
    ],
)
def test_no_encoded_path_leads_out_of_the_voices_folder(server: Server, voices: Path, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    body = json.dumps({"text": "a", "output_filepath": "never.wav"})
    connection.request("POST", f"/services/mock/v1/text-to-speech/{path}", body, JSON)
    response = connection.getresponse()
    assert (response.status, set(json.load(response))) == (400, {"detail"})
    connection.close()
    assert not (server.exports / "never.wav").exists()


def test_a_disconnect_cancels_the_job(server: Server, client: Audiograph) -> None:
    inputs = [{"text": "On and on."}] * 200  # half a second of audio each
    body = json.dumps({"inputs": inputs, "output_filepath": "endless.wav"})
    before = {job.id for job in client.jobs.list(task="dialogue")}
    caller = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
    caller.request("POST", "/services/mock/v1/text-to-dialogue", body, JSON)
    while not (started := [job for job in client.jobs.list(task="dialogue") if job.id not in before]):
        time.sleep(0.2)
    caller.close()
    deadline = time.monotonic() + 30
    while (job := client.jobs.get(started[0])).status != "canceled":
        assert time.monotonic() < deadline, job
        time.sleep(0.2)
    assert not (server.exports / "endless.wav").exists()
