"""Speech with recorded voices, and dialogues with subtitles."""

import io
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from audiograph import Artifact, Audiograph
from audiograph.errors import Conflict, InvalidRequest, NotFound
from audiograph.schemas import DialogueResult, SpeakResult, Turn

pytestmark = pytest.mark.cluster

PATIENCE = 120
TRANSCRIPT = "This is how I sound, and this is all that I say."


def decoded(client: Audiograph, artifact: Artifact) -> tuple[NDArray[np.float64], int]:
    """Decode an artifact to samples ``[frames]`` and their rate in Hz."""
    samples, rate = soundfile.read(io.BytesIO(client.artifacts.download(artifact)))
    return samples, rate


def test_a_recorded_voice_is_cloned_and_deleted(client: Audiograph) -> None:
    spoken = client.speak(TRANSCRIPT, timeout=PATIENCE)
    voice = client.voices.create("me", spoken.artifacts[0].id, transcript=TRANSCRIPT)
    assert (voice.transcript, voice.models) == (TRANSCRIPT, ["dia", "higgs", "chatterbox", "mock"])
    assert voice in client.voices.list()
    with pytest.raises(Conflict, match="me"):
        client.voices.create("me", spoken.artifacts[0].id)

    job = client.speak("Whatever.", model="mock", voice="me", format="flac", timeout=PATIENCE)
    assert isinstance(job.result, SpeakResult)
    assert job.result.voice == "me"
    samples, rate = decoded(client, job.artifacts[0])
    assert voice.artifact is not None
    assert len(samples) / rate == pytest.approx(voice.artifact.duration, abs=0.01)

    client.voices.delete("me")
    with pytest.raises(NotFound):
        client.voices.get("me")
    job = client.speak("Whatever.", model="mock", voice="me", timeout=PATIENCE)
    assert isinstance(job.result, SpeakResult)
    assert job.result.voice == "tone"
    assert "voice 'me' not found; using the default voice" in job.result.notes
    with pytest.raises(InvalidRequest, match="voices folder"):
        client.speak("Whatever.", model="mock", voice="../me")


@pytest.mark.parametrize(("model", "rate"), [("dia", 44_100), ("higgs", 24_000), ("chatterbox", 24_000)])
def test_cloning_models_speak_in_a_recorded_voice(client: Audiograph, model: str, rate: int) -> None:
    spoken = client.speak(TRANSCRIPT, timeout=PATIENCE)
    client.voices.create(f"guest of {model}", spoken.artifacts[0].id, transcript=TRANSCRIPT)
    turns = [Turn(text="Who is there?", voice=f"guest of {model}"), Turn(text="Only me.", voice="nobody")]
    job = client.dialogue(turns, model=model, seed=1, parameters={"max_new_tokens": 60}, timeout=PATIENCE)
    assert isinstance(job.result, DialogueResult)
    assert job.weights == "random"
    assert job.result.turns[0].voice == f"guest of {model}"
    samples, found_rate = decoded(client, job.artifacts[0])
    assert found_rate == rate
    assert len(samples) / rate == pytest.approx(job.result.duration)
    assert any("voice 'nobody' not found; using the default voice" in note for note in job.result.notes)


def test_chatterbox_speaks_in_a_recorded_voice(client: Audiograph) -> None:
    spoken = client.speak(TRANSCRIPT, timeout=PATIENCE)
    voice = client.voices.create("a voice without words", spoken.artifacts[0].id)
    parameters = {"max_new_tokens": 50, "top_k": 50}
    fields: dict[str, Any] = {"model": "chatterbox", "voice": voice.id, "seed": 1, "parameters": parameters}
    first, again = (client.speak("Hello there.", timeout=PATIENCE, **fields) for _ in range(2))
    assert isinstance(first.result, SpeakResult)
    assert (first.weights, first.result.voice, first.result.sample_rate) == ("random", voice.id, 24_000)
    assert first.result.notes[0].startswith("top_k was ignored")
    assert not any("watermark" in note for note in first.result.notes)
    samples, _ = decoded(client, first.artifacts[0])
    assert 0.02 < samples.std() < 0.2
    np.testing.assert_array_equal(decoded(client, again.artifacts[0])[0], samples)


def test_a_dialogue_says_who_speaks_when(client: Audiograph) -> None:
    turns = [("en-us", "Who is there?"), ("de", "Nur ich."), ("en-us", "Come in.")]
    job = client.dialogue(turns, timeout=PATIENCE)
    assert isinstance(job.result, DialogueResult)
    assert [(turn.voice, turn.text) for turn in job.result.turns] == turns
    audio, *subtitles = job.artifacts
    samples, rate = decoded(client, audio)
    assert len(samples) / rate == pytest.approx(job.result.turns[-1].end)
    assert 0.02 < np.abs(samples).max() < 1.0
    assert [artifact.name for artifact in subtitles] == ["dialogue.json", "dialogue.srt", "dialogue.vtt"]
    assert b"de: Nur ich." in client.artifacts.download(subtitles[1])
