"""Mixing to mono, also of channels out of phase."""

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.audio.mono import MonoMixer
from tests.support.sounds import level_db, speech_like

RATE = 16_000
SPEECH = speech_like(seconds=8)[0]


def mixed(*channels: NDArray[np.float32], block: int = 8_000) -> tuple[NDArray[np.float32], list[str]]:
    frames = np.stack(channels, axis=1)
    mixer = MonoMixer(RATE)
    blocks = [*mixer.mix(frames[start : start + block] for start in range(0, len(frames), block))]
    return np.concatenate(blocks)[:, 0], mixer.notes()


def test_channels_in_phase_are_averaged() -> None:
    other = speech_like(seconds=8, seed=1)[0]
    for pair in ((SPEECH, SPEECH), (SPEECH, other), (SPEECH, 0 * SPEECH), (SPEECH, -0.4 * SPEECH)):
        mono, notes = mixed(*pair)
        np.testing.assert_array_equal(mono, np.mean(pair, axis=0, dtype=np.float32))
        assert notes == []


@pytest.mark.parametrize("gain", [-1.0, -0.95, -1.1])
def test_one_channel_is_heard_where_two_cancel_out(gain: float) -> None:
    mono, notes = mixed(SPEECH, np.float32(gain) * SPEECH)
    assert level_db(mono) == pytest.approx(level_db(SPEECH), abs=1)
    assert notes == [
        "The channels cancel each other in mono: they are out of phase. "
        f"Where mono is needed, channel {1 if gain > -1.05 else 2} alone is heard."
    ]


def test_only_the_part_that_cancels_out_is_replaced() -> None:
    turned = SPEECH.copy()
    turned[64_000:] *= -1
    mono, notes = mixed(SPEECH, turned)
    np.testing.assert_array_equal(mono[:64_000], SPEECH[:64_000])
    np.testing.assert_array_equal(mono[66_000:], SPEECH[66_000:])
    assert "(4.00 s from 4.00 s on)" in notes[0]


def test_the_change_makes_no_click() -> None:
    steady = np.sin(np.arange(RATE * 4) * 0.05).astype(np.float32)
    turning = np.cos(np.clip(np.arange(RATE * 4) / RATE - 1, 0, 1) * np.pi).astype(np.float32)
    mono, notes = mixed(steady, steady * turning)
    assert np.abs(np.diff(mono)).max() < 0.06
    assert level_db(mono[-RATE:]) == pytest.approx(level_db(steady), abs=0.1)
    assert notes


def test_more_channels_cancel_out_as_well() -> None:
    mono, notes = mixed(SPEECH, -SPEECH, SPEECH, -SPEECH)
    np.testing.assert_allclose(mono, SPEECH)
    assert notes


def test_silence_and_mono_stay_as_they_are() -> None:
    silent, notes = mixed(0 * SPEECH, 0 * SPEECH)
    assert not silent.any()
    assert notes == []
    mono, notes = mixed(SPEECH)
    np.testing.assert_array_equal(mono, SPEECH)
    assert notes == []


def test_a_pause_does_not_end_the_replacement() -> None:
    spoken = SPEECH.copy()
    spoken[32_000:48_000] = 0
    mono, notes = mixed(spoken, -spoken)
    np.testing.assert_array_equal(mono, spoken)
    assert len(notes) == 1
