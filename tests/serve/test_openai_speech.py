"""Speech for OpenAI's own client, at ``/v1/audio/speech``."""

import base64
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import openai
import pytest
from numpy.typing import NDArray
from openai import OpenAI

from audiograph import Audiograph
from deployments.audio.fades import PAUSE_SECONDS
from tests.support.server import Server

pytestmark = pytest.mark.cluster

SENTENCES = ["Good morning to all of you.", "It is a fine day, is it not?", "Let us begin."]
TEXT = " ".join(SENTENCES)
CONTAINERS = {"mp3": "mp3", "opus": "ogg", "aac": "aac", "flac": "flac", "wav": "wav"}


@pytest.fixture
def official(server: Server) -> Iterator[OpenAI]:
    """OpenAI's own client, without retries, so that each error is raised at once."""
    with OpenAI(
        base_url=f"{server.url}/v1",
        api_key="x",
        max_retries=0,
        timeout=240,
        _strict_response_validation=True,
    ) as client:
        yield client


def decoded(content: bytes) -> tuple[NDArray[np.float32], int]:
    """Decode a file to mono samples ``[frames]`` and their rate in Hz."""
    with av.open(io.BytesIO(content)) as container:
        rate = container.streams.audio[0].rate
        resampler = av.AudioResampler("flt", "mono", rate)
        blocks = [
            part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)
        ]
    return np.concatenate(blocks), rate


def pcm(official: OpenAI, text: str, **fields: Any) -> NDArray[np.floating[Any]]:
    """Speak a text as ``pcm``: samples ``[frames]`` at 24 kHz."""
    response = official.audio.speech.create(
        **{"model": "espeak", "voice": "en-us", "input": text, "response_format": "pcm", **fields}
    )
    return np.frombuffer(response.content, "<i2") / np.float32(32768)


@pytest.mark.parametrize("sound_format", CONTAINERS)
def test_every_format(official: OpenAI, sound_format: Any, tmp_path: Path) -> None:
    expected = len(pcm(official, TEXT)) / 24_000
    path = tmp_path / f"speech.{sound_format}"
    with official.audio.speech.with_streaming_response.create(
        model="tts-1", voice="alloy", input=TEXT, response_format=sound_format
    ) as response:
        response.stream_to_file(path)
    with av.open(str(path)) as container:
        assert container.format.name == CONTAINERS[sound_format]
    samples, rate = decoded(path.read_bytes())
    assert rate == (48_000 if sound_format == "opus" else 22_050)
    assert len(samples) / rate == pytest.approx(expected, abs=0.15)
    assert 0.02 < np.abs(samples).max() < 1.0


def test_sentences_are_joined_with_a_pause_and_without_clicks(official: OpenAI) -> None:
    parts = [pcm(official, sentence) for sentence in SENTENCES]
    whole = pcm(official, TEXT)
    pauses = (len(SENTENCES) - 1) * PAUSE_SECONDS
    assert len(whole) / 24_000 == pytest.approx(sum(map(len, parts)) / 24_000 + pauses, abs=0.005)
    at = 0
    for part in parts[:-1]:
        at += len(part)
        join = whole[at - 24 : at + 24]  # one millisecond before and after the end
        assert np.abs(np.diff(join)).max() < 10 ** (-50 / 20)
        at += round(PAUSE_SECONDS * 24_000)
        assert np.abs(whole[at - 2_000 : at - 100]).max() < 1e-3


@pytest.mark.parametrize("model", ["kokoro", "espeak", "mock"])
@pytest.mark.parametrize("speed", [0.25, 0.5, 2.0, 4.0])
def test_speed(official: OpenAI, model: str, speed: float) -> None:
    voice = "alloy"
    natural = pcm(official, SENTENCES[0], model=model, voice=voice)
    changed = pcm(official, SENTENCES[0], model=model, voice=voice, speed=speed)
    tolerance = 0.01 if model == "mock" else 0.15  # the others' own pace is not exactly the requested one
    assert len(changed) == pytest.approx(len(natural) / speed, rel=tolerance)


def test_recorded_voices_by_name_and_id(official: OpenAI, client: Audiograph) -> None:
    spoken = client.speak(TEXT, timeout=120)
    client.voices.create("shimmer", spoken.artifacts[0].id)
    try:
        named = pcm(official, "Whatever.", model="mock", voice="shimmer")
        assert len(named) > 24_000
        np.testing.assert_array_equal(
            pcm(official, "Whatever.", model="mock", voice={"id": "shimmer"}), named
        )
    finally:
        client.voices.delete("shimmer")
    tone = pcm(official, "Whatever.", model="mock", voice="shimmer")
    assert len(tone) == 24_000  # the default voice again


def test_a_model_that_samples(official: OpenAI) -> None:
    with official.audio.speech.with_streaming_response.create(
        model="higgs", voice="alloy", input="Who is there? Only me. And you?", instructions="Be calm."
    ) as response:
        assert response.headers["x-audiograph-weights"] == "random"
        assert "instructions was ignored" in response.headers["x-audiograph-notes"]
        samples, rate = decoded(response.read())
    assert rate == 24_000
    assert len(samples) > PAUSE_SECONDS * rate  # random weights end each of the two parts at a random time


def test_events(official: OpenAI) -> None:
    with official.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="coral", input=TEXT, response_format="pcm", stream_format="sse"
    ) as response:
        lines = [line for line in response.iter_lines() if line.startswith("data: ")]
    *deltas, done = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert len(deltas) >= len(SENTENCES)
    audio = b"".join(base64.b64decode(event["audio"]) for event in deltas)
    np.testing.assert_array_equal(np.frombuffer(audio, "<i2") / np.float32(32768), pcm(official, TEXT))
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["total_tokens"] == done["usage"]["input_tokens"] + done["usage"]["output_tokens"]


def test_4096_characters(official: OpenAI) -> None:
    text = ("And so it went on, " * 10 + "and on. ") * 30
    samples = pcm(official, text[:4096])
    assert 150 < len(samples) / 24_000 < 500


@pytest.mark.parametrize(
    ("fields", "kind", "param"),
    [
        ({"model": "gpt-9"}, openai.NotFoundError, "model"),
        ({"model": "whisper"}, openai.NotFoundError, "model"),
        ({"voice": "nobody"}, openai.BadRequestError, "voice"),
        ({"input": ""}, openai.BadRequestError, "input"),
        ({"input": "x" * 4097}, openai.BadRequestError, "input"),
        ({"input": "♪ ♪"}, openai.BadRequestError, "input"),
        ({"speed": 5.0}, openai.BadRequestError, "speed"),
        ({"response_format": "ogg"}, openai.BadRequestError, "response_format"),
    ],
)
def test_refusals_are_raised_as_the_right_classes(
    official: OpenAI, fields: dict[str, Any], kind: type[openai.APIStatusError], param: str
) -> None:
    body: dict[str, Any] = {"model": "tts-1", "voice": "alloy", "input": "Hello.", **fields}
    with pytest.raises(kind) as caught:
        official.audio.speech.create(**body)
    assert caught.value.param == param
    assert caught.value.code in ("model_not_found", "invalid_request")
    assert len(caught.value.message) > 30


def test_a_disconnect_ends_the_run(official: OpenAI, client: Audiograph) -> None:
    def wait_for(ongoing: int, checks: int) -> None:
        """Wait until consecutive checks agree, since nothing runs for a moment between two sentences."""
        deadline, found = time.monotonic() + 60, 0
        while found < checks:
            replicas = client.models.get("mock").replicas
            assert time.monotonic() < deadline, replicas
            found = found + 1 if [replica.ongoing for replica in replicas] == [ongoing] else 0
            time.sleep(0.05)

    with official.audio.speech.with_streaming_response.create(
        model="mock", voice="alloy", input="And so it went on. " * 200
    ) as response:
        content = response.iter_bytes()  # garbage collection of it would close the response
        next(content)
        wait_for(ongoing=1, checks=1)
    wait_for(ongoing=0, checks=10)
