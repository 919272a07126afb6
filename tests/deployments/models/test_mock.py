"""The model that is none."""

import numpy as np
import pytest

from audiograph.errors import Canceled
from audiograph.schemas import DialogueRequest, DialogueResult, SpeakRequest, SpeakResult
from deployments.models.base import VoiceSample
from deployments.models.mock import SAMPLE_RATE, Mock, MockOptions
from tests.deployments.models.fakes import FakeContext
from tests.support.sounds import speech_like

MOCK = Mock(MockOptions(load_seconds=0, speak_seconds=0))
RECORDED = speech_like(seconds=2.0, sample_rate=SAMPLE_RATE)[0]
VOICES = {"art_1": VoiceSample("anna", RECORDED, SAMPLE_RATE, None)}


def run(request, **kwargs):
    context = FakeContext(voices=VOICES, **kwargs)
    return MOCK.run(None, request, context), context


def test_a_voice_speaks_its_own_recording():
    output, _ = run(SpeakRequest(text="Whatever.", voice="art_1", format="flac"))
    assert output.result == SpeakResult(voice="anna", duration=2.0, sample_rate=SAMPLE_RATE, channels=1)
    (audio,) = output.files
    assert (audio.name, audio.format) == ("speech", "flac")
    np.testing.assert_array_equal(audio.samples, RECORDED)


def test_without_a_voice_there_is_a_tone():
    output, _ = run(SpeakRequest(text="Whatever."))
    assert output.result.voice == "tone"
    assert 0.1 < np.abs(output.files[0].samples).max() < 0.5


def test_a_dialogue_joins_the_recordings():
    turns = [{"text": "Hello.", "voice": "art_1"}, {"text": "Hi."}, {"text": "Bye.", "voice": "art_1"}]
    output, context = run(DialogueRequest(turns=turns))
    result = output.result
    assert isinstance(result, DialogueResult)
    assert [(turn.voice, turn.text) for turn in result.turns] == [
        ("anna", "Hello."),
        ("tone", "Hi."),
        ("anna", "Bye."),
    ]
    assert len(output.files[0].samples) == round(result.duration * SAMPLE_RATE)
    assert {file.name for file in output.files[1:]} == {"dialogue.json", "dialogue.srt", "dialogue.vtt"}
    assert context.fractions == sorted(context.fractions)
    assert context.fractions[-1] == 1.0


def test_what_is_ignored_is_said():
    output, _ = run(SpeakRequest(text="x", seed=1, parameters={"temperature": 9, "whatever": []}))
    assert [note.split()[0] for note in output.result.notes] == ["temperature", "whatever", "seed"]


def test_a_slow_one_can_be_canceled():
    slow = Mock(MockOptions(load_seconds=0, speak_seconds=600))
    with pytest.raises(Canceled):
        slow.run(None, SpeakRequest(text="x"), FakeContext(cancel_after=3))
