"""Jobs from the client to the artifact: results, failures and cancellation."""

import hashlib
import io

import httpx
import numpy as np
import pytest
import soundfile

from audiograph import Artifact, AsyncAudiograph, Audiograph
from audiograph.errors import Conflict, IdempotencyConflict, JobCanceled, JobFailed
from audiograph.schemas import (
    Job,
    PitchResult,
    SpeakRequest,
    SpeakResult,
    TranscribeRequest,
    TranscribeResult,
)
from deployments.config import JobsConfig
from tests.support.server import Server
from tests.support.sounds import chord, speech_like, wav_bytes

pytestmark = pytest.mark.cluster

C_MAJOR = [261.63, 329.63, 392.0]
PATIENCE = 120.0


@pytest.fixture
def long_file(client: Audiograph) -> str:
    """Twenty minutes of speech-like noise, which keep even a tiny Whisper busy for a while."""
    minute = speech_like(seconds=60.0)
    return client.files.upload(wav_bytes(np.tile(minute, 20), 16_000), name="lecture.wav").id


def content_of(client: Audiograph, artifact: Artifact) -> bytes:
    """Return an artifact's bytes, after a check against its record."""
    content = client.artifacts.download(artifact)
    assert len(content) == artifact.bytes
    assert hashlib.sha256(content).hexdigest() == artifact.sha256
    return content


def by_suffix(job: Job) -> dict[str, Artifact]:
    """Return a job's artifacts by the suffix of their names."""
    return {artifact.name.rpartition(".")[2]: artifact for artifact in job.artifacts}


def test_a_text_is_spoken(client: Audiograph) -> None:
    job = client.speak("Every job is durable.", tags=["greeting"], creator="tests", timeout=PATIENCE)
    assert (job.status, job.model, job.weights) == ("succeeded", "espeak", "none")
    assert isinstance(job.result, SpeakResult)
    (artifact,) = job.artifacts
    assert (artifact.job_id, artifact.tags, artifact.creator) == (job.id, ["greeting"], "tests")
    samples, sample_rate = soundfile.read(io.BytesIO(content_of(client, artifact)))
    assert sample_rate == job.result.sample_rate
    assert len(samples) / sample_rate == pytest.approx(job.result.duration)
    assert np.abs(samples).max() > 0.01
    assert [found.id for found in client.artifacts.search(job_id=job.id)] == [artifact.id]


@pytest.mark.parametrize("audio_format", ["mp3", "flac", "opus", "aac"])
def test_speech_is_encoded_in_every_format(client: Audiograph, audio_format: str) -> None:
    job = client.jobs.wait(
        client.jobs.submit("speak", text="One, two.", format=audio_format), timeout=PATIENCE
    )
    stored = client.files.upload(content_of(client, job.artifacts[0]), name=f"speech.{audio_format}")
    assert isinstance(job.result, SpeakResult)
    assert stored.duration == pytest.approx(job.result.duration, abs=0.1)


def test_a_key_is_found(client: Audiograph) -> None:
    job = client.analyze_pitch(wav_bytes(chord(C_MAJOR, seconds=4.0)), timeout=PATIENCE)
    assert (job.model, job.weights) == ("pitch_analysis", "none")
    assert isinstance(job.result, PitchResult)
    assert job.result.detected_key == "C major"
    assert set(job.result.dominant_pitches) == {"C", "E", "G"}
    files = by_suffix(job)
    assert set(files) == {"json", "png"}
    assert content_of(client, files["png"]).startswith(b"\x89PNG")
    assert b'"detected_key": "C major"' in content_of(client, files["json"])


def test_speech_is_transcribed_and_random_weights_are_reported(client: Audiograph) -> None:
    job = client.transcribe(wav_bytes(speech_like(seconds=3.0), 16_000), timeout=PATIENCE)
    assert (job.model, job.variant, job.weights) == ("whisper", "base", "random")
    assert isinstance(job.result, TranscribeResult)
    assert job.result.duration == pytest.approx(3.0)
    files = by_suffix(job)
    assert set(files) == {"json", "txt", "srt", "vtt"}
    assert {artifact.weights for artifact in job.artifacts} == {"random"}
    assert content_of(client, files["txt"]).decode().split() == job.result.text.split()
    assert content_of(client, files["vtt"]).startswith(b"WEBVTT")


def test_an_artifact_is_the_input_of_the_next_job(client: Audiograph) -> None:
    spoken = client.speak("La la la.", timeout=PATIENCE).artifacts[0]
    assert client.analyze_pitch(spoken, parent_id=spoken.id, timeout=PATIENCE).status == "succeeded"
    assert len(list(client.artifacts.search(parent_id=spoken.id))) == 2


def test_jobs_are_listed_newest_first_page_by_page(client: Audiograph, server: Server) -> None:
    submitted = [client.speak(f"Number {number}.", timeout=PATIENCE).id for number in range(3)]
    newest = [job.id for job in client.jobs.list(task="speak", status="succeeded", limit=3)]
    assert newest == submitted[::-1]

    paged: list[str] = []
    query: dict[str, str | int] = {"limit": 1, "task": "speak"}
    for _ in submitted:
        page = httpx.get(f"{server.url}/v1/jobs", params=query, timeout=60).json()
        paged += [job["id"] for job in page["data"]]
        query["cursor"] = page["next_cursor"]
    assert paged == newest


def test_one_idempotency_key_is_one_job(client: Audiograph) -> None:
    first = client.speak("Once.", idempotency_key="only-once", timeout=PATIENCE)
    again = client.speak("Once.", idempotency_key="only-once", timeout=PATIENCE)
    assert again == first
    with pytest.raises(IdempotencyConflict, match=first.id):
        client.speak("Twice.", idempotency_key="only-once")


def test_a_response_may_wait_for_the_job(client: Audiograph) -> None:
    assert client.jobs.submit(SpeakRequest(text="Wait for me."), wait=30).status == "succeeded"


def test_a_failed_job_keeps_its_error(client: Audiograph) -> None:
    silence = wav_bytes(np.zeros((1, 44_100), np.float32))
    with pytest.raises(JobFailed, match="the file is silent") as caught:
        client.analyze_pitch(silence, timeout=PATIENCE)
    job = client.jobs.get(caught.value.job)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "invalid_audio"
    assert job.error.message == "no pitched sound: the file is silent"
    assert (job.error.stage, job.error.attempt) == ("decoding", 1)
    assert job.artifacts == []
    with pytest.raises(Conflict, match="has already failed"):
        client.jobs.cancel(job)


def test_a_running_job_stops_and_the_next_one_runs(client: Audiograph, long_file: str) -> None:
    job = client.jobs.submit(TranscribeRequest(file=long_file))
    for event in client.jobs.events(job, timeout=PATIENCE):
        if event.type == "partial":  # the model has begun to transcribe
            break
    client.jobs.cancel(job)
    with pytest.raises(JobCanceled):
        client.jobs.wait(job, timeout=PATIENCE)
    assert client.transcribe(wav_bytes(), timeout=PATIENCE).status == "succeeded"
    stopped = client.jobs.get(job)
    assert (stopped.status, stopped.artifacts, stopped.result) == ("canceled", [], None)
    assert stopped.progress < 1.0


def test_a_running_speech_stops_and_the_next_one_runs(client: Audiograph) -> None:
    job = client.speak("The quick brown fox jumps. " * 700, speed=0.25, wait=False)
    for event in client.jobs.events(job, timeout=PATIENCE):
        if event.stage == "speaking":
            break
    client.jobs.cancel(job)
    assert client.speak("Next, please.", timeout=PATIENCE).status == "succeeded"
    stopped = client.jobs.get(job)
    assert (stopped.status, stopped.artifacts) == ("canceled", [])


def test_a_queued_job_that_is_canceled_never_starts(client: Audiograph, long_file: str) -> None:
    running = [
        client.jobs.submit(TranscribeRequest(file=long_file))
        for _ in range(JobsConfig().concurrency_per_model)
    ]
    queued = client.jobs.submit(TranscribeRequest(file=long_file))
    assert client.jobs.cancel(queued).status == "canceled"
    for job in running:
        assert client.jobs.cancel(job).status == "canceled"
    assert client.transcribe(wav_bytes(), timeout=PATIENCE).status == "succeeded"

    never = client.jobs.get(queued)
    assert (never.status, never.attempts, never.started_at) == ("canceled", 0, None)
    assert [event.type for event in client.jobs.events(queued)] == ["canceled"]


async def test_the_asyncio_client_does_a_job_too(server: Server) -> None:
    stages: list[str] = []
    async with AsyncAudiograph(server.url) as client:
        job = await client.speak(
            "And so do I.", timeout=PATIENCE, on_progress=lambda event: stages.append(event.type)
        )
        content = await client.artifacts.download(job.artifacts[0])
    assert hashlib.sha256(content).hexdigest() == job.artifacts[0].sha256
    assert (stages[0], stages[-1]) == ("started", "succeeded")
