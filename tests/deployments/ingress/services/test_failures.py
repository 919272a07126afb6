"""Errors below /services are a ``detail``; jobs whose caller disconnects are canceled."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from audiograph.errors import ModelUnavailable
from audiograph.schemas import JobError
from deployments.ingress.backend import Backend
from tests.deployments.ingress.conftest import Served
from tests.deployments.ingress.services.conftest import (
    TURNS,
    Runner,
    converse,
    say,
    until,
    written,
)


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("GET", "/services/whisper/health", 404, "there are: mock, dia, higgs, speaker"),
        ("GET", "/services/listener", 404, "there is no speech service 'listener'"),
        ("POST", "/services/listener/v1/load-model", 404, "listener"),
        ("GET", "/services", 404, "no route at"),
        ("GET", "/services/mock/v2", 404, "no route at"),
        ("GET", "/services/mock/v1/load-model", 405, "is not allowed"),
        ("DELETE", "/services/mock/health", 405, "is not allowed"),
        ("GET", "/services/mock/health?verbose=1", 400, "verbose"),
    ],
)
async def test_every_refusal_is_a_detail(
    client: httpx.AsyncClient, method: str, path: str, status: int, says: str
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, set(answer.json())) == (status, {"detail"})
    assert says in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "field 'text' is missing"),
        ({}, "field 'output_filepath' is missing"),
        ({"text": "", "output_filepath": "a.wav"}, "'text'"),
        ({"text": 7, "output_filepath": "a.wav"}, "not 7"),
        ({"text": "x" * 20_001, "output_filepath": "a.wav"}, "20000"),
        ({"text": "a", "output_filepath": "a.ogg"}, ".wav, .mp3, .flac, .opus, .aac"),
        ({"text": "a", "output_file": "a.wav"}, "did you mean 'output_filepath'? known: output_filepath, "),
        ({"text": "a", "output_filepath": "a.wav", "voice": 1}, "unknown field 'voice'"),
        (None, "body"),
        ("text", "body"),
    ],
)
async def test_a_bad_body_is_refused_by_its_field(client: httpx.AsyncClient, body: Any, says: str) -> None:
    answer = await client.post("/services/mock/v1/text-to-speech/anna.wav", json=body)
    assert answer.status_code == 400
    assert says in answer.json()["detail"]
    for field in ("inputs", "output_filepath"):
        wrong = {"inputs": TURNS, "output_filepath": "a.wav"} | {field: []}
        answer = await client.post("/services/mock/v1/text-to-dialogue", json=wrong)
        assert answer.status_code == 400
        assert field in answer.json()["detail"]


async def test_a_refused_voice_is_named_in_its_turn(client: httpx.AsyncClient, uploaded: str) -> None:
    answer = await converse(client, inputs=[TURNS[0], {"text": "Only me.", "voice_id": uploaded}])
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("inputs.1.voice_id: the recording is silent")


async def test_turns_that_are_too_few_are_called_inputs(client: httpx.AsyncClient) -> None:
    answer = await converse(client, model="dia", inputs=TURNS[:1])
    assert answer.json()["detail"].startswith("inputs: dia needs at least two turns")


async def test_what_is_no_json_is_refused(client: httpx.AsyncClient) -> None:
    path, headers = "/services/mock/v1/text-to-dialogue", {"content-type": "application/json"}
    for content in (b"{", b'{"text": NaN}', b"", b"[" * 100_000):
        answer = await client.post(path, content=content, headers=headers)
        assert (answer.status_code, set(answer.json())) == (400, {"detail"})
    assert (await client.post(path, content=b"a=b")).status_code == 400


async def test_a_full_queue_says_when_to_come_back(client: httpx.AsyncClient, queue: Any) -> None:
    queue._max_queued = 0
    answer = await say(client)
    assert (answer.status_code, answer.json()) == (429, {"detail": "0 jobs are queued"})
    assert answer.headers["retry-after"] == "3"


@pytest.mark.parametrize(
    ("code", "status"),
    [("invalid_audio", 400), ("model_unavailable", 503), ("out_of_memory", 507), ("who_knows", 500)],
)
async def test_a_failed_job_answers_with_its_error(
    client: httpx.AsyncClient, runner: Runner, exports: Path, code: str, status: int
) -> None:
    runner.error = JobError(code=code, message="it did not work")
    answer = await say(client)
    assert (answer.status_code, answer.json()) == (status, {"detail": "it did not work"})
    assert written(exports) == []


async def test_a_model_that_cannot_be_loaded_is_a_503(
    client: httpx.AsyncClient, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow(name: str, variant: str | None) -> None:
        raise ModelUnavailable(f"{name} is slow", retry_after=60)

    monkeypatch.setattr(backend.models, "load", slow)
    answer = await client.post("/services/mock/v1/load-model")
    assert (answer.status_code, answer.json()) == (503, {"detail": "mock is slow"})
    assert answer.headers["retry-after"] == "60"


async def test_what_nobody_foresaw_tells_no_secrets(
    client: httpx.AsyncClient, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend.models, "load", None)
    answer = await client.post("/services/mock/v1/load-model", headers={"x-request-id": "req-1"})
    assert answer.status_code == 500
    assert "req-1" in answer.json()["detail"]
    assert "NoneType" not in answer.text


async def test_a_job_may_be_canceled_by_another(client: httpx.AsyncClient, queue: Any) -> None:
    saying = asyncio.create_task(say(client))
    await until(lambda: queue.jobs)
    [job_id] = queue.jobs
    await client.post(f"/v1/jobs/{job_id}/cancel")
    answer = await saying
    assert (answer.status_code, answer.json()) == (499, {"detail": f"job {job_id} was canceled"})


@pytest.mark.parametrize("sections", [{"jobs": {"time_limit_seconds": 0.1}}], indirect=True)
async def test_the_wait_has_a_bound(client: httpx.AsyncClient, backend: Backend, queue: Any) -> None:
    answer = await say(client)
    assert answer.status_code == 504
    assert "0.1 s" in answer.json()["detail"]
    assert [job.status for job in queue.jobs.values()] == ["canceled"]


async def test_who_leaves_takes_the_job_along(served: Served, queue: Any, exports: Path) -> None:
    async with httpx.AsyncClient(base_url=served.url, timeout=1.0) as client:
        with pytest.raises(httpx.ReadTimeout):
            await say(client)
    [job_id] = queue.jobs
    await until(lambda: queue.jobs[job_id].finished)
    assert queue.jobs[job_id].status == "canceled"
    assert written(exports) == []


@pytest.mark.parametrize("sections", [{"auth": {"required": True}}], indirect=True)
async def test_a_missing_key_is_told_as_a_detail_too(client: httpx.AsyncClient) -> None:
    answer = await client.get("/services/mock/health")
    assert (answer.status_code, set(answer.json())) == (401, {"detail"})
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_examples_are_right() -> None:
    from deployments.ingress.services import examples as services_examples
    from deployments.ingress.services import requests as services_requests
    from deployments.ingress.services import routes as services

    services_requests.SpeechBody.model_validate(services_examples.SPEECH["speech"]["value"])
    services_requests.DialogueBody.model_validate(services_examples.DIALOGUE["dialogue"]["value"])
    services.Written.model_validate(services_examples.SPEECH_WRITTEN)
    services.Done.model_validate(services_examples.LOADED)
    services.ServiceHealth.model_validate(services_examples.HEALTH)
    services.ServiceInfo.model_validate(services_examples.INFO)
