"""Kokoro's speech: Whisper writes down what was said, and it sounds good."""

import pytest

from benchmarks.kokoro_speech import SENTENCES, VOICES, score
from tests.support.real_weights import real_engine
from tests.support.spoken import SPEAKER, whisper_base

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

MOST_WRONG = 0.02
"""Of all words."""
DNSMOS = 3.3
"""On a scale of 1 to 5."""


@pytest.mark.parametrize("voice", VOICES)
def test_a_voice_is_understood_and_sounds_good(voice: str) -> None:
    found = score(SPEAKER, real_engine(SPEAKER, "82m"), whisper_base(), voice, SENTENCES)
    print(f"{voice}: {found.errors} of {found.words} words wrong, DNSMOS {found.quality:.2f}")
    assert found.errors <= MOST_WRONG * found.words, found.wrong
    assert found.quality >= DNSMOS
