"""``POST /v1/audio/speech`` over a model that hums."""

import asyncio
import base64
import io
import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import av
import httpx
import numpy as np
import pytest
import soundfile

from audiograph.errors import InvalidRequest, ModelUnavailable, TimeLimitExceeded
from deployments.audio.fades import PAUSE_SECONDS
from deployments.ingress.backend import Backend
from deployments.storage.api_keys import Keys
from tests.deployments.ingress.conftest import HERE, Served
from tests.deployments.ingress.fakes import FakeDirect
from tests.support.sounds import speech_like, wav_bytes

PATH = "/v1/audio/speech"
BODY = {"model": "tts-1", "voice": "alloy", "input": "One two three. Four five. Six."}
SECONDS = 0.6 + 2 * PAUSE_SECONDS
"""Of `BODY`: a tenth for each word, and the pauses."""
RATE = FakeDirect.rate


@pytest.fixture
def direct(backend: Backend) -> Any:
    return backend.direct


async def speak(client: httpx.AsyncClient, **fields: Any) -> httpx.Response:
    return await client.post(PATH, json=BODY | fields)


def pcm(content: bytes) -> np.ndarray:
    return np.frombuffer(content, "<i2") / np.float64(32768)


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110  # other tasks make it true
        await asyncio.sleep(0.01)


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


HIGGS = {"models": {"higgs": {"class": "deployments.models.higgs:Higgs"}}, "defaults": {"speak": "higgs"}}


@pytest.mark.parametrize("sections", [HIGGS])
async def test_a_missing_transcript_has_a_cure_that_this_route_takes(client: httpx.AsyncClient) -> None:
    recording = wav_bytes(speech_like(seconds=2.0), sample_rate=16_000)
    file = (await client.post("/v1/files", files={"file": ("mute.wav", recording)})).json()["id"]
    await client.post("/v1/voices", json={"name": "mute", "file": file})
    error = (await speak(client, voice="mute")).json()["error"]
    assert error["param"] == "voice"
    assert "'mute'" in error["message"]
    assert error["message"].endswith("store the voice with its transcript (POST /v1/voices)")


# Responses


MEDIA_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
LAG = {"mp3": 0.1, "aac": 0.15}
"""Seconds of padding that a decoder adds, where a stream cannot mark it."""


@pytest.mark.parametrize("format_", MEDIA_TYPES)
async def test_every_format(client: httpx.AsyncClient, format_: str) -> None:
    answer = await speak(client, response_format=format_)
    assert (answer.status_code, answer.headers["content-type"]) == (200, MEDIA_TYPES[format_])
    assert "content-length" not in answer.headers
    assert heard_seconds(format_, answer.content) == pytest.approx(SECONDS, abs=LAG.get(format_, 0) + 1e-3)


@pytest.mark.parametrize("format_", ["mp3", "opus", "flac", "wav"])
async def test_one_sentence_is_a_whole_file(client: httpx.AsyncClient, format_: str) -> None:
    content = (await speak(client, input="One two three.", response_format=format_)).content
    assert soundfile.info(io.BytesIO(content)).duration == pytest.approx(0.3, abs=1e-3)


def heard_seconds(format_: str, content: bytes) -> float:
    if format_ == "pcm":
        return len(content) / 2 / 24_000
    with av.open(io.BytesIO(content), "r") as container:
        return sum((frame.samples / frame.sample_rate for frame in container.decode(audio=0)), 0.0)


async def test_mp3_is_the_default(client: httpx.AsyncClient) -> None:
    assert (await speak(client)).headers["content-type"] == "audio/mpeg"


async def test_pieces_are_joined_without_clicks(client: httpx.AsyncClient) -> None:
    samples = pcm((await speak(client, response_format="pcm")).content)
    steps = np.abs(np.diff(samples, prepend=0, append=0))
    sustained = 2 * np.pi * 440 / RATE * 0.3  # the steepest step of the tone itself
    assert steps.max() < 1.05 * sustained
    ends = np.cumsum([0.3, PAUSE_SECONDS, 0.2, PAUSE_SECONDS, 0.1])
    for at in [0, *(round(end * RATE) for end in ends)]:
        around = steps[max(0, at - 8) : at + 8]
        assert around.max() < 10 ** (-50 / 20)


async def test_the_model_is_asked_piece_by_piece(client: httpx.AsyncClient, direct: FakeDirect) -> None:
    await speak(client, speed=1.5)
    assert [request.text for request in direct.asked] == ["One two three.", "Four five.", "Six."]
    assert {(r.model, r.variant, r.voice, r.speed, r.seed) for r in direct.asked} == {
        ("speaker", "default", None, 1.5, None)
    }


@pytest.mark.parametrize("sections", [{"models": {"drawer": {"class": f"{HERE}:Drawer"}}}])
async def test_a_model_that_draws_has_one_seed_and_longer_pieces(
    client: httpx.AsyncClient, direct: FakeDirect
) -> None:
    answer = await speak(client, model="drawer")
    assert answer.status_code == 200, answer.text
    assert [request.text for request in direct.asked] == ["One two three.", "Four five. Six."]
    (seed,) = {request.seed for request in direct.asked}
    assert seed is not None


@pytest.mark.parametrize("sections", [{"models": {"steady": {"class": f"{HERE}:Steady"}}}])
async def test_a_model_with_weights_that_draws_nothing_is_asked_piece_by_piece(
    client: httpx.AsyncClient, direct: FakeDirect
) -> None:
    await speak(client, model="steady")
    assert [(request.text, request.seed) for request in direct.asked] == [
        ("One two three.", None),
        ("Four five.", None),
        ("Six.", None),
    ]


async def test_headers_say_what_was_ignored(client: httpx.AsyncClient) -> None:
    answer = await speak(client, instructions="Whisper.")
    notes = json.loads(answer.headers["x-audiograph-notes"])
    assert notes == ["instructions was ignored: no model here takes instructions.", "hummed ♪"]
    assert answer.headers["x-audiograph-weights"] == "random"


async def test_events(client: httpx.AsyncClient) -> None:
    answer = await speak(client, stream_format="sse", response_format="pcm")
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    *deltas, done = events
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    audio = b"".join(base64.b64decode(event["audio"]) for event in deltas)
    assert audio == (await speak(client, response_format="pcm")).content
    assert done == {
        "type": "speech.audio.done",
        "usage": {"input_tokens": 8, "output_tokens": 22, "total_tokens": 30},
    }


# Names


@pytest.mark.parametrize(
    "model", ["tts-1", "tts-1-hd", "tts-1-1106", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15", "speaker"]
)
async def test_openai_models_mean_the_default(
    client: httpx.AsyncClient, direct: FakeDirect, model: str
) -> None:
    assert (await speak(client, model=model)).status_code == 200
    assert direct.asked[0].model == "speaker"


@pytest.mark.parametrize(
    ("voice", "spoken"),
    [("nova", None), ("en-gb", "en-gb"), ({"id": "en-us"}, "en-us"), ({"id": "sage"}, None)],
)
async def test_openai_voices_mean_the_default(
    client: httpx.AsyncClient, direct: FakeDirect, voice: Any, spoken: str | None
) -> None:
    assert (await speak(client, voice=voice)).status_code == 200
    assert direct.asked[0].voice == spoken


@pytest.mark.parametrize(
    "sections", [{"openai": {"models": {"loud": "cloner"}, "voices": {"alloy": "en-gb", "echo": "gone"}}}]
)
async def test_names_are_configuration(client: httpx.AsyncClient, direct: FakeDirect) -> None:
    for model, voice in [("speaker", "alloy"), ("speaker", "echo"), ("loud", "alloy")]:
        assert (await speak(client, model=model, voice=voice)).status_code == 200
    firsts = [request for request in direct.asked if request.text.startswith("One")]
    assert [(request.model, request.voice) for request in firsts] == [
        ("speaker", "en-gb"),
        ("speaker", None),
        ("cloner", None),
    ]
    assert (await speak(client, voice="nova")).status_code == 404  # tts-1 is not a name here


async def test_a_recorded_voice(client: httpx.AsyncClient, direct: FakeDirect) -> None:
    recording = wav_bytes(speech_like(seconds=3.0), sample_rate=16_000)
    file = (await client.post("/v1/files", files={"file": ("anna.wav", recording)})).json()["id"]
    made = await client.post("/v1/voices", json={"name": "nova", "file": file, "transcript": "Hello."})
    assert (await speak(client, model="cloner", voice="nova")).status_code == 200
    assert direct.asked[0].voice == made.json()["artifact"]["id"]


# Refusals


def told(answer: httpx.Response) -> tuple[int, str, str | None, str]:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert len(error["message"]) > 15
    return answer.status_code, error["type"], error["param"], error["code"]


INVALID = "invalid_request_error"


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"input": ""}, "input", "at least 1 character"),
        ({"input": "x" * 4097}, "input", "at most 4096"),
        ({"speed": 0.2}, "speed", "0.25"),
        ({"speed": 4.1}, "speed", "4"),
        ({"response_format": "ogg"}, "response_format", "'mp3', 'opus'"),
        ({"stream_format": "ws"}, "stream_format", "'sse' or 'audio'"),
        ({"voice": "nobody"}, "voice", "en-us, en-gb"),
        ({"voice": {"name": "alloy"}}, "voice", "string"),
        ({"voice": {"id": "../../etc/passwd"}, "model": "cloner"}, "voice", "voice"),
        ({"voice": 7}, "voice", "string"),
        ({"model": "gpt-9"}, "model", "speaker"),
        ({"model": "listener"}, "model", "does not serve"),
        ({"model": "tts-1-hd-tiny"}, "model", "no model"),
        ({"sped": 2}, "sped", "did you mean 'speed'?"),
    ],
)
async def test_what_is_wrong_is_told_as_openai_tells_it(
    client: httpx.AsyncClient, fields: dict[str, Any], param: str, words: str
) -> None:
    answer = await speak(client, **fields)
    status, code = (404, "model_not_found") if param == "model" else (400, "invalid_request")
    assert told(answer) == (status, INVALID, param, code)
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize("missing", ["model", "voice", "input"])
async def test_what_must_be_given(client: httpx.AsyncClient, missing: str) -> None:
    body = {name: value for name, value in BODY.items() if name != missing}
    assert told(await client.post(PATH, json=body)) == (400, INVALID, missing, "invalid_request")


async def test_other_refusals(client: httpx.AsyncClient, direct: FakeDirect) -> None:
    assert told(await client.post(PATH, content=b"{", headers={"content-type": "application/json"}))[0] == 400
    assert told(await client.get(PATH))[0] == 405
    huge = await speak(client, input="x" * 3_000_000)
    assert told(huge) == (413, INVALID, None, "payload_too_large")
    direct.breaks["One"] = InvalidRequest("text has nothing to say", field="text")
    assert told(await speak(client)) == (400, INVALID, "input", "invalid_request")
    direct.breaks["One"] = ModelUnavailable("no replica survived")
    answer = await speak(client)
    assert told(answer) == (503, "server_error", None, "model_unavailable")
    direct.breaks["One"] = TimeLimitExceeded("too long")
    answer = await speak(client)
    assert (answer.status_code, answer.headers["x-should-retry"]) == (504, "false")
    direct.breaks["One"] = RuntimeError("a secret")
    answer = await speak(client)
    assert told(answer) == (500, "server_error", None, "internal_error")
    assert "secret" not in answer.text
    assert direct.active == 0


@pytest.mark.parametrize("sections", [{"auth": {"required": True}}])
async def test_a_key_is_asked_for_in_the_same_shape(client: httpx.AsyncClient, backend: Backend) -> None:
    assert told(await speak(client)) == (401, INVALID, None, "invalid_api_key")
    key = Keys(backend.store.database).create("me")
    answer = await client.post(PATH, json=BODY, headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 200


# During generation


async def test_too_many_at_a_time(client: httpx.AsyncClient, direct: FakeDirect) -> None:
    direct.gates["One"] = threading.Event()
    direct.slots = 1
    first = asyncio.create_task(speak(client))
    await until(lambda: direct.asked)
    refused = await speak(client, input="Something else.")
    assert told(refused) == (429, "rate_limit_error", None, "rate_limit_exceeded")
    assert refused.headers["retry-after"] == "2"
    direct.gates["One"].set()
    assert (await first).status_code == 200
    assert (await speak(client, input="Something else.")).status_code == 200


async def test_the_same_at_the_same_time_is_made_once(client: httpx.AsyncClient, direct: FakeDirect) -> None:
    direct.gates["Four"] = threading.Event()
    answers = [asyncio.create_task(speak(client)) for _ in range(3)]
    await until(lambda: len(direct.asked) == 2)
    direct.gates["Four"].set()
    first, *others = [(await answer).content for answer in answers]
    assert others == [first, first]
    assert len(direct.asked) == 3
    assert (await speak(client)).content == first
    assert len(direct.asked) == 6


@pytest.mark.parametrize("sections", [{"http": {"max_direct_seconds": 0.1}}])
async def test_it_takes_no_longer_than_it_may(client: httpx.AsyncClient, direct: FakeDirect) -> None:
    direct.gates["One"] = threading.Event()
    answer = await speak(client)
    assert told(answer) == (504, "server_error", None, "time_limit_exceeded")
    assert (direct.canceled, direct.active) == (["One"], 0)


@pytest.mark.parametrize("form", ["audio", "sse"])
@pytest.mark.parametrize("format_", ["mp3", "opus", "aac", "flac", "wav", "pcm"])
def test_the_first_bytes_come_before_the_last_piece_is_spoken(
    served: Served, direct: FakeDirect, format_: str, form: str
) -> None:
    direct.gates["Six"] = threading.Event()
    body = BODY | {"response_format": format_, "stream_format": form}
    with httpx.stream("POST", served.url + PATH, json=body, timeout=20) as answer:
        chunks = answer.iter_bytes()
        early = b""
        while len(early) < 1000:
            early += next(chunks)
        assert not direct.gates["Six"].is_set()
        direct.gates["Six"].set()
        assert sum(map(len, chunks)) > 100


@pytest.mark.parametrize("form", ["audio", "sse"])
def test_a_client_that_goes_away_ends_it(served: Served, direct: FakeDirect, form: str) -> None:
    direct.gates["Six"] = threading.Event()
    body = BODY | {"stream_format": form}
    with httpx.stream("POST", served.url + PATH, json=body, timeout=20) as answer:
        chunks = answer.iter_bytes()  # which closes the connection when it goes
        next(chunks)
        wait_until(lambda: len(direct.asked) == 3)
    wait_until(lambda: direct.canceled == ["Six"])
    wait_until(lambda: direct.active == 0)


def test_a_client_that_goes_away_before_the_first_byte_ends_it(served: Served, direct: FakeDirect) -> None:
    direct.gates["One"] = threading.Event()
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(served.url + PATH, json=BODY, timeout=0.3)
    wait_until(lambda: (direct.canceled, direct.active) == (["One"], 0))


def test_a_failure_midway_breaks_off(served: Served, direct: FakeDirect) -> None:
    direct.breaks["Six"] = ModelUnavailable("no replica survived")
    with (
        httpx.stream("POST", served.url + PATH, json=BODY, timeout=20) as answer,
        pytest.raises(httpx.RemoteProtocolError),
    ):
        assert answer.status_code == 200
        for _ in answer.iter_bytes():
            pass
    assert direct.active == 0


async def test_a_failure_midway_is_an_event(client: httpx.AsyncClient, direct: FakeDirect) -> None:
    direct.breaks["Six"] = ModelUnavailable("no replica survived")
    answer = await speak(client, stream_format="sse")
    *_, last = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert last["error"]["code"] == "model_unavailable"
    assert "speech.audio.done" not in answer.text


@pytest.mark.parametrize("voice", ["alloy", "low", "nobody"])
async def test_a_model_without_its_package_is_unavailable_in_any_voice(
    client: httpx.AsyncClient, backend: Backend, voice: str
) -> None:
    cards = backend.registry.cards
    for name, card in cards.items():
        cards[name] = replace(card, missing="install the package toys")
    answer = await speak(client, voice=voice)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (503, "model_unavailable", "model")
    assert "install the package toys" in error["message"]
