"""Time stretching: duration, pitch, level and continuity, by measurement."""

import numpy as np
import pytest

from deployments.audio.tempo import time_stretch
from tests.support.sounds import level_db, peak_frequency, speech_like, tone


@pytest.mark.parametrize("speed", [0.25, 0.5, 0.8, 1.5, 2.65, 4.0])
@pytest.mark.parametrize("hz", [150, 440, 1000])
def test_the_pitch_stays_and_the_duration_changes(hz: float, speed: float) -> None:
    rate = 24_000
    sound = tone(hz, seconds=2, sample_rate=rate).T
    samples = time_stretch(sound, rate, speed)[:, 0]
    assert len(samples) == pytest.approx(2 * rate / speed, rel=1e-3)
    middle = samples[len(samples) // 4 : len(samples) * 3 // 4]
    assert peak_frequency(middle, rate) == pytest.approx(hz, rel=0.01)
    assert level_db(middle) == pytest.approx(level_db(sound), abs=0.5)
    assert np.abs(np.diff(samples)).max() < 1.25 * np.abs(np.diff(sound[:, 0])).max()  # no clicks


@pytest.mark.parametrize("speed", [0.25, 4.0])
def test_the_end_is_not_lost(speed: float) -> None:
    rate = 22_050
    sound = np.concatenate([np.zeros(rate), tone(440, seconds=0.2, sample_rate=rate)[0]]).astype(np.float32)
    samples = time_stretch(sound[:, None], rate, speed)[:, 0]
    end = samples[round(rate / speed) :]
    assert len(end) == pytest.approx(0.2 * rate / speed, rel=0.01)
    assert level_db(end) == pytest.approx(level_db(sound[rate:]), abs=3)


def test_speed_one_changes_nothing() -> None:
    sound = speech_like().T
    np.testing.assert_array_equal(time_stretch(sound, 16_000, 1.0), sound)


def test_channels_stay_apart() -> None:
    rate = 24_000
    sound = np.concatenate([tone(300, sample_rate=rate), tone(700, sample_rate=rate)]).T
    samples = time_stretch(sound, rate, 0.5)
    frequencies = [peak_frequency(channel[rate // 2 : -rate // 2], rate) for channel in samples.T]
    assert frequencies == pytest.approx([300, 700], rel=0.01)


@pytest.mark.parametrize("frames", [0, 1, 100])
def test_what_is_shorter_than_a_window(frames: int) -> None:
    assert len(time_stretch(np.zeros((frames, 1), np.float32), 24_000, 0.25)) == 4 * frames
