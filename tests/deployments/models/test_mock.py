"""The mock model: recordings and tones instead of generated speech."""

from typing import Any

import numpy as np
import pytest

from audiograph.errors import Canceled
from audiograph.schemas import DialogueRequest, DialogueResult, SpeakRequest, SpeakResult, Turn
from deployments.models.base import AudioOutput, Output, Samples, VoiceSample
from deployments.models.kit.speech_model import SpeechRequest
from deployments.models.mock import SAMPLE_RATE, Mock, MockOptions
from tests.deployments.models.fakes import FakeContext
from tests.support.sounds import speech_like

MOCK = Mock(MockOptions(load_seconds=0, speak_seconds=0))
RECORDED = speech_like(seconds=2.0, sample_rate=SAMPLE_RATE)[0]
VOICES = {"art_1": VoiceSample("anna", RECORDED, SAMPLE_RATE, None)}


def run(request: SpeechRequest, **kwargs: Any) -> tuple[Output, FakeContext]:
    context = FakeContext(voices=VOICES, **kwargs)
    return MOCK.run(None, request, context), context


def samples_of(output: Output) -> Samples:
    audio = output.files[0]
    assert isinstance(audio, AudioOutput)
    frames = audio.frames()
    assert frames.shape[1] == 1
    return frames[:, 0]


def test_a_voice_speaks_its_own_recording() -> None:
    output, _ = run(SpeakRequest(text="Whatever.", voice="art_1", format="flac"))
    assert output.result == SpeakResult(voice="anna", duration=2.0, sample_rate=SAMPLE_RATE, channels=1)
    (audio,) = output.files
    assert isinstance(audio, AudioOutput)
    assert (audio.name, audio.format) == ("speech", "flac")
    np.testing.assert_array_equal(audio.frames(), RECORDED[:, None])


def test_without_a_voice_there_is_a_tone() -> None:
    output, _ = run(SpeakRequest(text="Whatever."))
    assert isinstance(output.result, SpeakResult)
    assert output.result.voice == "tone"
    assert 0.1 < np.abs(samples_of(output)).max() < 0.5


def test_a_dialogue_joins_the_recordings() -> None:
    turns = [Turn(text="Hello.", voice="art_1"), Turn(text="Hi."), Turn(text="Bye.", voice="art_1")]
    output, context = run(DialogueRequest(turns=turns))
    result = output.result
    assert isinstance(result, DialogueResult)
    assert [(turn.voice, turn.text) for turn in result.turns] == [
        ("anna", "Hello."),
        ("tone", "Hi."),
        ("anna", "Bye."),
    ]
    assert len(samples_of(output)) == round(result.duration * SAMPLE_RATE)
    assert {file.name for file in output.files[1:]} == {"dialogue.json", "dialogue.srt", "dialogue.vtt"}
    assert context.fractions == sorted(context.fractions)
    assert context.fractions[-1] == 1.0


def test_ignored_parameters_are_noted() -> None:
    output, _ = run(SpeakRequest(text="x", seed=1, parameters={"temperature": 9, "whatever": []}))
    assert [note.split()[0] for note in output.result.notes] == ["temperature", "whatever", "seed"]


def test_a_slow_one_can_be_canceled() -> None:
    slow = Mock(MockOptions(load_seconds=0, speak_seconds=600))
    with pytest.raises(Canceled):
        slow.run(None, SpeakRequest(text="x"), FakeContext(cancel_after=3))
