"""Tonalness: what counts as tones."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.models.pitch_analysis.chroma import SAMPLE_RATE, blocks
from deployments.models.pitch_analysis.tonalness import tonalness

TIME = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
NOISE = np.random.default_rng(0).normal(0, 0.1, len(TIME))


def sine(hertz: float) -> NDArray[Any]:
    samples: NDArray[Any] = np.sin(2 * np.pi * hertz * TIME)
    return samples


def share(samples: NDArray[Any]) -> float:
    (block,) = blocks(samples.astype(np.float32))
    return tonalness(block, len(samples) / SAMPLE_RATE).overall()


@pytest.mark.parametrize("hertz", [21, 27.5, 49, 440, 4186])
def test_a_tone_is_all_tone_at_any_pitch(hertz: float) -> None:
    assert share(sine(hertz)) > 0.95


def test_a_tone_of_a_fiftieth_of_a_second_is_tone() -> None:
    assert share(sine(440)[: SAMPLE_RATE // 50]) > 0.5


def test_noise_counts_by_its_share_of_the_power() -> None:
    assert share(sine(440) * np.sqrt(2) * NOISE.std() + NOISE) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("hertz", [1, 5, 10, 15, 19])
def test_a_hum_below_hearing_is_no_tone(hertz: float) -> None:
    assert share(sine(hertz)) < 0.01


@pytest.mark.parametrize("per_second", [1, 4, 8, 12])
def test_clicks_that_are_heard_one_by_one_are_no_tone(per_second: int) -> None:
    clicks = np.zeros(len(TIME))
    clicks[100 :: SAMPLE_RATE // per_second] = 1
    assert share(clicks) < 0.01


def test_noise_offset_drift_and_silence_are_no_tone() -> None:
    for samples in (NOISE, np.full(len(TIME), 0.5), 0.1 + 0.2 * TIME, np.zeros(len(TIME))):
        assert share(samples) < 0.01
