"""Speakers of Higgs Audio: recordings, transcripts and refusals."""

from collections.abc import Mapping

import numpy as np
import pytest

from audiograph.errors import AudiographError, InvalidAudio, InvalidRequest, NotFound
from audiograph.schemas import DialogueRequest, SpeakRequest, Turn
from deployments.models.base import VoiceSample
from deployments.models.higgs.speakers import HiggsSpeaker, resolve_speakers
from tests.deployments.models.fakes import FakeContext

RATE = 24_000
REQUEST = DialogueRequest(turns=[Turn(text="x", voice="a"), Turn(text="y")])


def recorded(seconds: float = 1.0, transcript: str | None = "it was night", rate: int = RATE) -> VoiceSample:
    return VoiceSample("Ann", np.full(round(seconds * rate), 0.1, np.float32), rate, transcript)


def resolve(
    voice: VoiceSample, transcripts: Mapping[str, str | None] | None = None
) -> dict[str | None, HiggsSpeaker]:
    context = FakeContext(voices={"a": voice})
    return resolve_speakers(REQUEST, transcripts or {}, RATE, context)


def test_a_voice_has_its_name_and_what_it_says() -> None:
    speakers = resolve(recorded(rate=48_000))
    assert (speakers["a"].name, speakers["a"].reference.transcript) == ("Ann", "it was night")
    assert speakers["a"].reference.samples.shape == (RATE,)
    assert (speakers[None].name, speakers[None].reference) == ("default", None)


def test_what_the_request_says_of_a_voice_goes_before_what_is_stored() -> None:
    assert resolve(recorded(), {"a": " by\tday "})["a"].reference.transcript == "by day"
    assert resolve(recorded(), {"a": None})["a"].reference.transcript == "it was night"


@pytest.mark.parametrize(
    ("voice", "error", "message"),
    [
        (recorded(transcript=None), InvalidRequest, "'Ann' has no transcript.*parameters.transcription"),
        (recorded(transcript=" "), InvalidRequest, "has no transcript"),
        (recorded(0.4), InvalidAudio, "has 0.40 s.*0.5 to 60 s"),
        (recorded(61), InvalidAudio, "has 61.00 s"),
    ],
)
def test_a_voice_that_cannot_be_used_is_refused(
    voice: VoiceSample, error: type[AudiographError], message: str
) -> None:
    with pytest.raises(error, match=message) as refused:
        resolve(voice)
    assert refused.value.field == "turns.0.voice"


def test_a_voice_that_is_gone_is_not_found() -> None:
    with pytest.raises(NotFound) as refused:
        resolve_speakers(SpeakRequest(text="x", voice="b"), {}, RATE, FakeContext())
    assert refused.value.field == "voice"
