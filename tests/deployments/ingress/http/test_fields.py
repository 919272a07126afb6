"""Wrong references: by every route and dialect, the error names the field that the caller sent."""

from typing import Any

import httpx
import pytest

from audiograph.errors import InvalidRequest, naming_field
from deployments.ingress.backend import Backend

ABSENT = "file_" + "0" * 32
TRANSCRIBE = {"task": "transcribe", "file": "UPLOADED"}
SPEAK = {"task": "speak", "text": "Hi.", "model": "cloner"}
DIALOGUE = {"task": "dialogue", "model": "cloner"}
SPEECH = {"model": "cloner", "voice": "alloy", "input": "Hi."}
SERVICE = {"text": "Hi.", "output_filepath": "a.wav"}

NATIVE: list[tuple[str, Any, str]] = [
    ("GET /v1/jobs/absent", None, "job_id"),
    ("GET /v1/jobs/absent/events", None, "job_id"),
    ("GET /v1/jobs/absent/artifacts.zip", None, "job_id"),
    ("POST /v1/jobs/absent/cancel", None, "job_id"),
    (f"GET /v1/files/{ABSENT}", None, "file_id"),
    (f"GET /v1/files/{ABSENT}/content", None, "file_id"),
    (f"DELETE /v1/files/{ABSENT}", None, "file_id"),
    ("GET /v1/artifacts/absent", None, "artifact_id"),
    ("GET /v1/artifacts/absent/content", None, "artifact_id"),
    ("GET /v1/artifacts/UPLOADED", None, "artifact_id"),
    ("GET /v1/artifacts?cursor=absent", None, "cursor"),
    ("GET /v1/artifacts?parent_id=a%20b", None, "parent_id"),
    ("GET /v1/models/nothing", None, "model"),
    ("GET /v1/voices/absent", None, "voice"),
    ("DELETE /v1/voices/absent", None, "voice"),
    ("POST /v1/voices", {"name": "anna", "file": ABSENT}, "file"),
    ("POST /v1/voices", {"name": "anna", "file": "UPLOADED"}, "file"),  # it is silent
    ("POST /v1/voices", {"name": ABSENT, "file": "UPLOADED"}, "name"),
    ("POST /v1/jobs", {"task": "transcribe", "file": ABSENT}, "file"),
    ("POST /v1/jobs", {**TRANSCRIBE, "parent_id": ABSENT}, "parent_id"),
    ("POST /v1/jobs", {**SPEAK, "parent_id": "art_" + "0" * 32}, "parent_id"),
    ("POST /v1/jobs", {**TRANSCRIBE, "model": "nothing"}, "model"),
    ("POST /v1/jobs", {**TRANSCRIBE, "variant": "absent"}, "variant"),
    ("POST /v1/jobs", {**SPEAK, "voice": "../absent"}, "voice"),
    ("POST /v1/jobs", {**SPEAK, "voice": "UPLOADED"}, "voice"),
    ("POST /v1/jobs", {**SPEAK, "text": "…"}, "text"),
    ("POST /v1/jobs", {**DIALOGUE, "turns": [{"text": "a"}, {"text": "…"}]}, "turns.1.text"),
    (
        "POST /v1/jobs",
        {**DIALOGUE, "turns": [{"text": "a"}, {"text": "b", "voice": "../c"}]},
        "turns.1.voice",
    ),
]


@pytest.mark.parametrize(("request_line", "body", "field"), NATIVE)
async def test_a_wrong_reference_is_named_by_the_native_api(
    client: httpx.AsyncClient, uploaded: str, request_line: str, body: Any, field: str
) -> None:
    method, path = request_line.replace("UPLOADED", uploaded).split()
    sent = body and _filled(body, uploaded)
    answer = await client.request(method, path, json=sent)
    error = answer.json()["error"]
    assert 400 <= answer.status_code < 500
    assert error.get("field") == field, error


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model": "nothing"}, "model"),
        ({"model": "listener"}, "model"),
        ({"voice": "absent"}, "voice"),
        ({"voice": {"id": "absent"}}, "voice"),
        ({"input": "…"}, "input"),
        ({"response_format": "absent"}, "response_format"),
    ],
)
async def test_a_wrong_reference_is_named_by_openais_api(
    client: httpx.AsyncClient, changes: dict[str, Any], field: str
) -> None:
    error = (await client.post("/v1/audio/speech", json=SPEECH | changes)).json()["error"]
    assert error["param"] == field, error
    assert not error["message"].startswith("text")


@pytest.mark.parametrize(
    "sections", [{"models": {"listener": {"class": "tests.deployments.ingress.fakes:Listener"}}}]
)
async def test_a_server_without_speech_blames_no_task_that_openais_clients_never_send(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.post("/v1/audio/speech", json=SPEECH)).json()["error"]["param"] == "model"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("text-to-speech/..%2Fabsent", SERVICE, "voice_id"),
        ("text-to-speech/anna", SERVICE | {"text": "…"}, "text"),
        ("text-to-speech/anna", SERVICE | {"output_filepath": "../a.wav"}, "output_filepath"),
        ("text-to-speech/anna", SERVICE | {"parameters": {"seed": "x"}}, "parameters.seed"),
        ("text-to-dialogue", {"inputs": [{"text": "a"}, {"text": "…"}]}, "inputs.1.text"),
        (
            "text-to-dialogue",
            {"inputs": [{"text": "a"}, {"text": "b", "voice_id": "../c"}]},
            "inputs.1.voice_id",
        ),
    ],
)
async def test_a_wrong_reference_is_named_by_services(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], field: str
) -> None:
    answer = await client.post(f"/services/cloner/v1/{path}", json={"output_filepath": "a.wav", **body})
    assert answer.status_code == 400
    assert answer.json()["detail"].removeprefix("field ").startswith((f"{field} ", f"'{field}'")), answer.text


@pytest.mark.parametrize(
    ("query", "headers", "field"),
    [("?after=absent", {}, "after"), ("", {"Last-Event-ID": "absent"}, "Last-Event-ID")],
)
async def test_a_wrong_event_is_named_by_the_way_it_was_sent(
    client: httpx.AsyncClient, query: str, headers: dict[str, str], field: str
) -> None:
    job = (await client.post("/v1/jobs", json=SPEAK)).json()
    answer = await client.get(f"/v1/jobs/{job['id']}/events{query}", headers=headers)
    assert answer.json()["error"]["field"] == field


async def test_a_file_in_use_is_named(client: httpx.AsyncClient, backend: Backend, uploaded: str) -> None:
    backend.store.pin("job", {uploaded: "file"})
    error = (await client.delete(f"/v1/files/{uploaded}")).json()["error"]
    assert (error["code"], error["field"]) == ("conflict", "file_id")


def test_a_message_begins_with_the_callers_name_of_the_field() -> None:
    with pytest.raises(InvalidRequest) as caught, naming_field("inputs.0.voice_id"):
        raise InvalidRequest("voice 'x' leads out of the voices folder", field="voice")
    assert caught.value.message == "inputs.0.voice_id 'x' leads out of the voices folder"
    with pytest.raises(InvalidRequest) as caught, naming_field("input"):
        raise InvalidRequest("field 'text': too long", field="text")
    assert (str(caught.value), caught.value.field) == ("field 'input': too long", "input")


def _filled(body: Any, uploaded: str) -> Any:
    return {name: uploaded if value == "UPLOADED" else value for name, value in body.items()}
