"""The client against the real application on a socket: real routes and storage, a fake queue and models."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.routing import Match

from audiograph import Artifact, AsyncAudiograph, Audiograph, JobCanceled, JobEvent, JobFailed
from audiograph.errors import Conflict, InvalidAudio, NotFound, NotServed
from audiograph.schemas import JobError, SpeakResult
from deployments.ingress.app import create_app
from deployments.ingress.backend import Backend
from deployments.storage.artifacts import Provenance
from tests.clients import fake_server
from tests.deployments.ingress.conftest import Served, app_config, make_backend, wav
from tests.support.sounds import speech_like, wav_bytes

RESULT = SpeakResult(voice="en-us", duration=0.1, sample_rate=8000, channels=1)


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Backend:
    return make_backend(app_config(tmp_path_factory.mktemp("application")))


@pytest.fixture(scope="module")
def app(backend: Backend) -> FastAPI:
    return create_app(backend)


@pytest.fixture(scope="module")
def url(app: FastAPI) -> Iterator[str]:
    with Served(app) as server:
        yield server.url


@pytest.fixture
def client(url: str) -> Iterator[Audiograph]:
    with Audiograph(url) as connected:
        yield connected


@pytest.fixture
def queue(backend: Backend) -> Any:
    """The fake queue, through which tests act as the job runner."""
    return backend.queue


def _succeed(backend: Backend, job_id: str, *names: str) -> None:
    """Finish a job with an artifact of each name, whose content is its name."""
    artifacts = [
        backend.store.put_artifact(
            name, name.encode(), "audio/wav", provenance=Provenance(job_id=job_id, tags=(job_id,))
        )
        for name in names
    ]
    queue: Any = backend.queue
    queue.progress(job_id, 0.5)
    queue.finish(job_id, "succeeded", artifacts, result=RESULT)


def test_the_fake_server_has_only_routes_of_the_application(app: FastAPI) -> None:
    for method, pattern, _ in fake_server.ROUTES:
        path = re.sub(r"\([^)|]*\)", "x", pattern).replace("(load|unload)", "load")
        scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
        assert any(route.matches(scope)[0] is Match.FULL for route in app.routes), (method, path)


def test_files(client: Audiograph) -> None:
    uploaded = client.files.upload(iter([wav(0.5)]), name="talk.wav")
    assert (uploaded.name, uploaded.media_type, uploaded.sample_rate) == ("talk.wav", "audio/wav", 8000)
    assert uploaded.duration == 0.5
    assert client.files.get(uploaded.id) == uploaded
    assert client.files.download(uploaded) == wav(0.5)
    client.files.delete(uploaded)
    with pytest.raises(NotFound):
        client.files.get(uploaded)
    with pytest.raises(InvalidAudio):
        client.files.upload(b"not audio")


def test_a_job_from_submission_to_its_artifacts(
    client: Audiograph, backend: Backend, tmp_path_factory: pytest.TempPathFactory
) -> None:
    job = client.speak("hello", wait=False, idempotency_key="mine")
    assert (job.status, job.model) == ("queued", "speaker")
    assert client.speak("hello", wait=False, idempotency_key="mine") == job
    assert next(iter(client.jobs.list(status="queued", task="speak", limit=1))) == job
    _succeed(backend, job.id, "a.wav", "b.wav")
    events: list[JobEvent] = []
    done = client.jobs.wait(job, on_progress=events.append, timeout=60)
    assert [(event.type, event.progress) for event in events] == [("progress", 0.5), ("succeeded", None)]
    assert list(client.jobs.events(job, after=events[0].id)) == events[1:]
    assert client.jobs.get(job) == done == events[-1].job
    assert isinstance(done.result, SpeakResult)
    folder = tmp_path_factory.mktemp("saved")
    assert [path.read_bytes() for path in client.jobs.save_all(done, folder)] == [b"a.wav", b"b.wav"]
    assert client.jobs.save_zip(done, folder).read_bytes().startswith(b"PK")


async def test_a_job_from_submission_to_its_artifacts_async(url: str, backend: Backend) -> None:
    async with AsyncAudiograph(url) as client:
        job = await client.transcribe(wav(), wait=False)
        assert (job.status, job.model, job.variant) == ("queued", "listener", "tiny")
        _succeed(backend, job.id, "a.wav")
        done = await client.jobs.wait(job, timeout=60)
        assert await client.artifacts.download(done.artifacts[0]) == b"a.wav"


def test_a_canceled_and_a_failed_job(client: Audiograph, queue: Any) -> None:
    job = client.speak("hello", wait=False)
    assert client.jobs.cancel(job).status == "canceled"
    with pytest.raises(JobCanceled):
        client.jobs.wait(job, timeout=60)
    job = client.speak("hello", wait=False)
    queue.finish(job.id, "failed", error=JobError(code="out_of_memory", message="too large"))
    with pytest.raises(JobFailed, match="out_of_memory: too large"):
        client.jobs.wait(job, timeout=60)
    with pytest.raises(Conflict):
        client.jobs.cancel(job)


def test_artifacts(client: Audiograph, backend: Backend) -> None:
    names = [f"{number}.wav" for number in range(3)]
    job = client.speak("hello", wait=False)
    _succeed(backend, job.id, *names)
    found = list(client.artifacts.search(tag=job.id, job_id=job.id))
    assert {artifact.name for artifact in found} == set(names)
    assert all(isinstance(artifact, Artifact) for artifact in found)
    assert len(list(client.artifacts.search(tag=job.id, limit=2))) == 2
    assert client.artifacts.get(found[0].id) == found[0]
    assert client.artifacts.download(found[0].id).decode() == found[0].name


def test_voices(client: Audiograph) -> None:
    recording = wav_bytes(speech_like(seconds=3.0), sample_rate=16_000)
    voice = client.voices.create("anna", recording, transcript="Hello.")
    assert (voice.id, voice.source, voice.transcript) == ("anna", "uploaded", "Hello.")
    assert client.voices.get("anna") == voice
    assert [found.id for found in client.voices.list()] == ["en-us", "en-gb", "anna"]
    with pytest.raises(Conflict):
        client.voices.create("anna", recording)
    client.voices.delete("anna")
    with pytest.raises(NotFound):
        client.voices.get("anna")


def test_models(client: Audiograph) -> None:
    assert {model.id for model in client.models.list()} == {"listener", "speaker", "cloner", "absent"}
    assert client.models.get("listener").default_variant == "tiny"
    assert client.models.load("listener", "base").bytes == 10
    assert client.models.unload("listener").action == "unload"
    with pytest.raises(NotFound):
        client.models.get("singer")


def test_health(client: Audiograph) -> None:
    assert client.health().status == "ok"
    assert client.ready().dependencies


def test_errors_of_the_application_are_raised(client: Audiograph) -> None:
    with pytest.raises(NotServed) as raised:
        client.speak("hello", model="singer", wait=False)
    assert raised.value.status == 422
    with pytest.raises(NotFound):
        client.jobs.get("none")
