"""Names of voices: languages, genders, mixtures, and those of OpenAI."""

import pytest

from deployments.config import OPENAI_VOICES
from deployments.models.kokoro.voices import VOICES, mixture


def test_voices_have_language_and_gender() -> None:
    voices = {voice.id: (voice.name, voice.language, voice.gender) for voice in VOICES}
    assert voices["bm_george"] == ("George", "en-gb", "male")
    assert voices["pf_dora"] == ("Dora", "pt-br", "female")
    assert len(voices) == 37
    assert {language for _, language, _ in voices.values()} == {"en-us", "en-gb", "es", "fr", "it", "pt-br"}


def test_openais_voices_are_different_voices() -> None:
    names = list(OPENAI_VOICES.values())
    assert set(names) <= {voice.id for voice in VOICES}
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("af_heart", {"af_heart": 1.0}),
        ("af_heart+am_michael", {"af_heart": 0.5, "am_michael": 0.5}),
        ("af_heart:3 + am_michael:1", {"af_heart": 0.75, "am_michael": 0.25}),
        ("af_heart:.5+am_michael:1.5", {"af_heart": 0.25, "am_michael": 0.75}),
        ("af_heart+am_michael+af_heart:2", {"af_heart": 0.75, "am_michael": 0.25}),
    ],
)
def test_the_weights_of_a_mixture_have_the_sum_1(name: str, weights: dict[str, float]) -> None:
    assert dict(mixture(name).weights) == pytest.approx(weights)


def test_the_first_voice_of_a_mixture_decides_on_the_language() -> None:
    assert mixture("ff_siwis+af_heart").language == "fr"
