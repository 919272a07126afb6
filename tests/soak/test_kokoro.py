"""Kokoro's speech: Whisper writes down what was said, and it sounds good."""

from statistics import fmean

import pytest

from benchmarks.kokoro_speech import SENTENCES, VOICES, Score, score
from tests.support.real_weights import real_engine
from tests.support.spoken import SPEAKER, whisper_base

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

MOST_WRONG = 0.02
"""Of all words."""
DNSMOS = 3.3
"""Mean of all sentences, on a scale of 1 to 5."""


@pytest.fixture(scope="module")
def scores() -> list[Score]:
    """What was measured of each voice; prints the figures."""
    found = []
    for voice in VOICES:
        one = score(SPEAKER, real_engine(SPEAKER, "82m"), whisper_base(), voice, SENTENCES)
        print(f"{voice}: {one.errors} of {one.words} words wrong, DNSMOS {one.quality:.2f}")
        found.append(one)
    return found


def test_whisper_writes_down_what_was_said(scores: list[Score]) -> None:
    wrong = [pair for one in scores for pair in one.wrong]
    assert sum(one.errors for one in scores) <= MOST_WRONG * sum(one.words for one in scores), wrong


def test_the_speech_sounds_good(scores: list[Score]) -> None:
    assert fmean(one.quality for one in scores) >= DNSMOS
