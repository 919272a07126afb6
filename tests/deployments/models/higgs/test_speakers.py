import numpy as np
import pytest

from audiograph.errors import InvalidAudio, InvalidRequest, NotFound
from audiograph.schemas import Turn
from deployments.models.base import VoiceSample
from deployments.models.higgs.speakers import resolve_speakers
from tests.deployments.models.fakes import FakeContext

RATE = 24_000


def recorded(seconds=1.0, transcript="it was night", rate=RATE):
    return VoiceSample("Ann", np.full(round(seconds * rate), 0.1, np.float32), rate, transcript)


def cast_of(voice, transcripts=None):
    context = FakeContext(voices={"a": voice})
    return resolve_speakers([Turn(text="x", voice="a"), Turn(text="y")], transcripts or {}, RATE, context)


def test_a_voice_has_its_name_and_what_it_says():
    speakers = cast_of(recorded(rate=48_000))
    assert (speakers["a"].name, speakers["a"].reference.transcript) == ("Ann", "it was night")
    assert speakers["a"].reference.samples.shape == (RATE,)
    assert (speakers[None].name, speakers[None].reference) == ("default", None)


def test_what_the_request_says_of_a_voice_goes_before_what_is_stored():
    assert cast_of(recorded(), {"a": " by\tday "})["a"].reference.transcript == "by day"
    assert cast_of(recorded(), {"a": None})["a"].reference.transcript == "it was night"


@pytest.mark.parametrize(
    ("voice", "error", "fault"),
    [
        (recorded(transcript=None), InvalidRequest, "'Ann' has no transcript.*parameters.transcription"),
        (recorded(transcript=" "), InvalidRequest, "has no transcript"),
        (recorded(0.4), InvalidAudio, "has 0.40 s.*0.5 to 60 s"),
        (recorded(61), InvalidAudio, "has 61.00 s"),
    ],
)
def test_a_voice_that_cannot_be_used_is_refused(voice, error, fault):
    with pytest.raises(error, match=fault) as refused:
        cast_of(voice)
    assert refused.value.field == "voice"


def test_a_voice_that_is_gone_is_not_found():
    with pytest.raises(NotFound):
        resolve_speakers([Turn(text="x", voice="b")], {}, RATE, FakeContext())
