"""Higgs Audio's own parameters: their defaults, ranges and error messages."""

from typing import Any

import pytest

from audiograph.errors import InvalidRequest
from audiograph.schemas import DialogueRequest, SpeakRequest, Turn
from deployments.models.higgs.model import Higgs
from deployments.models.higgs.parameters import HiggsParameters
from deployments.models.kit.speech_model import SpeechRequest

MODEL = Higgs(Higgs.options_class())


def dialogue(*turns: tuple[str | None, str], **parameters: Any) -> DialogueRequest:
    """Build a request from pairs of a voice and a text."""
    return DialogueRequest(
        turns=[Turn(voice=voice, text=text) for voice, text in turns], parameters=parameters
    )


def refusal(request: SpeechRequest) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as refused:
        MODEL.check_request(request, "v2-3B")
    return refused.value


def test_the_defaults_are_those_of_the_model() -> None:
    assert HiggsParameters.checked({}, "higgs").model_dump() == {
        "scene_prompt": "Audio is recorded from a quiet room.",
        "transcription": None,
        "audio_transcriptions": [],
        "max_new_tokens": 1024,
        "temperature": 0.3,
        "top_p": 0.95,
        "top_k": 50,
        "ras_win_len": 7,
        "ras_win_max_num_repeat": 2,
    }


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("speed", 2, "is unknown; higgs takes scene_prompt, transcription"),
        ("temperature", -0.1, "greater than or equal to 0, not -0.1"),
        ("temperature", 2.1, "less than or equal to 2"),
        ("temperature", "hot", "valid number, not 'hot'"),
        ("temperature", True, "valid number"),
        ("temperature", float("nan"), "finite number"),
        ("top_p", 0, "greater than 0"),
        ("top_p", 1.1, "less than or equal to 1"),
        ("top_k", 1.5, "valid integer"),
        ("top_k", -1, "greater than or equal to 0"),
        ("max_new_tokens", 15, "greater than or equal to 16"),
        ("max_new_tokens", 8193, "less than or equal to 8192"),
        ("max_new_tokens", None, "valid integer"),
        ("ras_win_len", -1, "greater than or equal to 0"),
        ("ras_win_max_num_repeat", "2", "valid integer"),
        ("scene_prompt", 3, "valid string"),
        ("transcription", "", "at least 1 character"),
        ("audio_transcriptions", "hello", "valid list"),
    ],
)
def test_wrong_parameters_are_refused(name: str, value: object, message: str) -> None:
    refused = refusal(SpeakRequest(text="x", parameters={name: value}))
    assert refused.field == f"parameters.{name}"
    assert message in str(refused)


def test_a_wrong_transcript_is_named_by_its_number() -> None:
    refused = refusal(dialogue(("a", "x"), audio_transcriptions=["a", 2]))
    assert refused.field == "parameters.audio_transcriptions.1"


def test_more_transcripts_than_voices_are_refused() -> None:
    turns: list[tuple[str | None, str]] = [("a", "x"), (None, "y"), ("a", "z")]
    MODEL.check_request(dialogue(*turns, audio_transcriptions=["1"]), "v2-3B")
    refused = refusal(dialogue(*turns, audio_transcriptions=["1", "2"]))
    assert refused.field == "parameters.audio_transcriptions"
    assert "2 texts for 1 voices" in str(refused)


def test_text_of_nothing_is_refused() -> None:
    assert refusal(SpeakRequest(text=" …! ")).field == "text"
    refused = refusal(dialogue((None, "one"), (None, "?")))
    assert refused.field == "turns.1.text"
    assert "nothing that can be spoken: '?'" in str(refused)
