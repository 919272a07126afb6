"""``/v1/voices``, and the voices that requests name, with real storage."""

from typing import Any
from urllib.parse import quote

import httpx
import pytest

from deployments.ingress.backend import Backend
from tests.deployments.ingress.conftest import HERE
from tests.support.hostile import PATH_TRICKS
from tests.support.sounds import speech_like, wav_bytes

RECORDING = wav_bytes(speech_like(seconds=3.0), sample_rate=16_000)
SAID = "What is said in it."


@pytest.fixture
async def recording(client: httpx.AsyncClient) -> str:
    """Id of an uploaded one."""
    answer = await client.post("/v1/files", files={"file": ("anna.wav", RECORDING)})
    file_id: str = answer.json()["id"]
    return file_id


@pytest.fixture
async def anna(client: httpx.AsyncClient, recording: str) -> dict[str, Any]:
    """A voice with its transcript."""
    answer = await client.post("/v1/voices", json={"name": "anna", "file": recording, "transcript": SAID})
    assert answer.status_code == 201, answer.text
    voice: dict[str, Any] = answer.json()
    return voice


async def test_a_voice_is_made_found_and_forgotten(client: httpx.AsyncClient, anna: dict[str, Any]) -> None:
    assert (anna["id"], anna["source"], anna["transcript"]) == ("anna", "uploaded", SAID)
    assert anna["models"] == ["cloner"]
    assert (await client.get(anna["artifact"]["url"])).status_code == 200
    assert (await client.get("/v1/voices/anna")).json() == anna
    listed = (await client.get("/v1/voices")).json()["data"]
    assert [(voice["id"], voice["source"], voice["models"]) for voice in listed] == [
        ("en-us", "built-in", ["speaker"]),
        ("en-gb", "built-in", ["speaker"]),
        ("anna", "uploaded", ["cloner"]),
    ]
    assert (await client.get("/v1/audio/voices")).json()["voices"] == listed
    assert (await client.delete("/v1/voices/anna")).status_code == 204
    assert (await client.get("/v1/voices/anna")).status_code == 404


async def test_a_name_is_given_once(client: httpx.AsyncClient, anna: dict[str, Any], recording: str) -> None:
    answer = await client.post("/v1/voices", json={"name": "anna", "file": recording})
    assert answer.status_code == 409
    assert "'anna'" in answer.json()["error"]["message"]


@pytest.mark.parametrize("name", ["", "../anna", "a/b", ".hidden", "a\nb", "x" * 65])
async def test_a_voice_has_a_plain_name(client: httpx.AsyncClient, recording: str, name: str) -> None:
    answer = await client.post("/v1/voices", json={"name": name, "file": recording})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "name")


async def test_an_unknown_field_is_told_with_those_that_there_are(client: httpx.AsyncClient) -> None:
    body = {"name": "anna", "file": "file_1", "transcrpt": SAID}
    answer = await client.post("/v1/voices", json=body)
    assert answer.status_code == 422
    assert "did you mean 'transcript'? known: name, file, transcript" in answer.json()["error"]["message"]


async def submit(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post(
        "/v1/jobs", json={"task": "speak", "text": "Hello.", "model": "cloner", **fields}
    )


async def test_a_job_pins_the_recording_of_the_voice_that_it_names(
    client: httpx.AsyncClient, anna: dict[str, Any], backend: Backend, queue: Any
) -> None:
    job = (await submit(client, voice="anna")).json()
    assert queue.requests[job["id"]].voice == anna["artifact"]["id"]
    await client.delete("/v1/voices/anna")
    backend.store.collect(retention_seconds=0.0, max_bytes=0)
    assert (await client.get(f"/v1/artifacts/{anna['artifact']['id']}")).status_code == 200


async def test_every_turn_may_name_its_own(
    client: httpx.AsyncClient, anna: dict[str, Any], queue: Any
) -> None:
    turns = [{"text": "Hello.", "voice": "anna"}, {"text": "Hi."}]
    answer = await client.post("/v1/jobs", json={"task": "dialogue", "turns": turns, "model": "cloner"})
    assert answer.status_code == 202, answer.text
    request = queue.requests[answer.json()["id"]]
    assert [turn.voice for turn in request.turns] == [anna["artifact"]["id"], None]


@pytest.mark.parametrize("model", ["cloner", "speaker"])
async def test_the_default_voice_speaks_for_one_that_is_not_there(
    client: httpx.AsyncClient, queue: Any, model: str
) -> None:
    job_id = (await submit(client, model=model, voice="men/bert.wav")).json()["id"]
    assert queue.requests[job_id].voice is None
    assert queue.notes[job_id] == ["voice 'men/bert.wav' not found; using the default voice"]


@pytest.mark.parametrize("trick", PATH_TRICKS)
async def test_what_no_voice_can_be_called_is_refused(client: httpx.AsyncClient, trick: str) -> None:
    assert (await submit(client, model="speaker", voice=trick)).status_code in (400, 422)


async def test_a_model_that_needs_a_transcript_says_so(client: httpx.AsyncClient, recording: str) -> None:
    await client.post("/v1/voices", json={"name": "mute", "file": recording})
    assert (await client.get("/v1/voices/mute")).json()["models"] == []
    for voice in ("mute", recording):
        answer = await submit(client, voice=voice)
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, "voice")
        assert "transcript" in answer.json()["error"]["message"]


@pytest.mark.parametrize("trick", PATH_TRICKS)
async def test_no_voice_leads_out_of_the_folder(client: httpx.AsyncClient, trick: str) -> None:
    answer = await submit(client, voice=trick)
    assert answer.status_code in (400, 422)  # 400: characters that JSON may not contain
    answer = await client.get(f"/v1/voices/{quote(trick, safe='')}")
    assert answer.status_code in (404, 422) or "data" in answer.json()  # "." is the list itself


async def create(client: httpx.AsyncClient, name: str, file: str) -> httpx.Response:
    return await client.post("/v1/voices", json={"name": name, "file": file, "transcript": SAID})


async def test_a_recorded_voice_may_be_called_as_the_voice_of_a_model_that_clones_none(
    client: httpx.AsyncClient, recording: str, queue: Any
) -> None:
    voice = (await create(client, "en-us", recording)).json()
    assert voice["models"] == ["cloner"]
    job = (await submit(client, voice="en-us")).json()
    assert queue.requests[job["id"]].voice == voice["artifact"]["id"]


@pytest.mark.parametrize("sections", [{"models": {"both": {"class": f"{HERE}:Both"}}}])
async def test_a_name_that_no_request_could_use_is_refused(client: httpx.AsyncClient, recording: str) -> None:
    answer = await create(client, "en-us", recording)
    assert (answer.status_code, answer.json()["error"]["field"]) == (409, "name")
    assert "(both) has a voice of its own" in answer.json()["error"]["message"]
    assert (await create(client, "anna", recording)).json()["models"] == ["both"]


@pytest.mark.parametrize(
    "sections", [{"models": {name: {"class": f"{HERE}:{name.title()}"} for name in ("both", "cloner")}}]
)
async def test_a_voice_lists_no_model_with_a_voice_of_its_own_by_that_name(
    client: httpx.AsyncClient, recording: str
) -> None:
    assert (await create(client, "en-us", recording)).json()["models"] == ["cloner"]
