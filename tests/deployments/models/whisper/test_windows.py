"""Windows of a recording, and their spectrograms, against openai-whisper's own."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import whisper
from numpy.typing import NDArray

from deployments.models.base import Samples
from deployments.models.whisper import windows as whisper_windows
from deployments.models.whisper.windows import (
    WINDOW_FRAMES,
    Window,
    split_into_windows,
    window_spectrogram,
)
from tests.support import transcription
from tests.support.transcription import RATE


def check() -> None:
    pass


def noise(seconds: float) -> Samples:
    """Return noise as mono samples ``[frames]``."""
    samples: Samples = transcription.noise(seconds)[0]
    return samples


def speech_windows(
    monkeypatch: pytest.MonkeyPatch, *speech: tuple[float, float], quiet_at: tuple[float, ...] = ()
) -> list[tuple[float, float]]:
    """Return the windows of a recording with speech in these segments, as start and end in seconds.

    Speech is least probable around the seconds `quiet_at`.
    """
    segments = [(round(start * RATE), round(end * RATE)) for start, end in speech]
    monkeypatch.setattr(whisper_windows, "speech_segments", lambda levels, frames: segments)
    levels = np.full(round(speech[-1][1] * RATE / 512) + 1, 0.9, np.float32)
    for second in quiet_at:
        levels[round(second * RATE / 512)] = 0.1

    class Detector:
        def probabilities(self, samples: Samples, check: Callable[[], None]) -> NDArray[np.float32]:
            return levels

    monkeypatch.setattr(whisper_windows, "speech_detector", Detector)
    found = split_into_windows(noise(speech[-1][1]), vad=True, check=check)
    return [(window.start / 100, window.end / 100) for window in found]


@pytest.mark.parametrize("seconds", [0.004, 0.5, 29.999, 30.0, 30.01, 61.3, 300.0])
def test_windows_cover_the_whole_recording(seconds: float) -> None:
    found = split_into_windows(noise(seconds), vad=False, check=check)
    edges = [window.start for window in found] + [round(seconds * RATE) // 160]
    assert edges[0] == 0
    assert [window.end for window in found] == edges[1:]
    assert all(0 < window.frames <= WINDOW_FRAMES for window in found)
    assert len(found) <= -(-seconds // 25)
    assert [window.last_speech_end for window in found[1:]] == [window.end for window in found[:-1]]


def test_a_long_recording_is_cut_where_it_is_quietest() -> None:
    samples = noise(50)
    samples[26 * RATE : 26 * RATE + RATE // 5] *= 0.01
    first, second = split_into_windows(samples, vad=False, check=check)
    assert 26.0 < second.offset < 26.2
    assert first.end == second.start


def test_neighboring_speech_shares_a_window_if_it_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    found = speech_windows(monkeypatch, (1, 5), (6, 20), (25, 30.5), (31.5, 40))
    assert found == [(1, 30.5), (31.5, 40)]


def test_long_speech_is_cut_where_speech_is_least_probable(monkeypatch: pytest.MonkeyPatch) -> None:
    found = speech_windows(monkeypatch, (2, 60), quiet_at=(28, 55))
    (_, first), (second, third), (fourth, _) = found
    assert first == second == pytest.approx(28, abs=0.05)
    assert third == fourth == pytest.approx(55, abs=0.05)


def test_no_speech_no_window() -> None:
    assert split_into_windows(np.zeros(40 * RATE, np.float32), vad=True, check=check) == []


@pytest.mark.parametrize(("start", "end"), [(0, 700), (0, 3000), (1500, 2200), (2400, 5000)])
@pytest.mark.parametrize("bands", [80, 128])
def test_the_spectrogram_is_whispers_own(start: int, end: int, bands: int) -> None:
    samples = noise(50)
    theirs = whisper.log_mel_spectrogram(samples, bands, padding=480_000)
    expected = whisper.pad_or_trim(theirs[:, start:end], WINDOW_FRAMES)
    ours = window_spectrogram(Window(start, end), samples, bands=bands, device="cpu")
    assert ours.shape == (bands, WINDOW_FRAMES)
    assert torch.allclose(ours, expected, atol=1e-4)


def test_the_rest_of_a_window_knows_where_speech_ended() -> None:
    rest = Window(100, 900).rest(400)
    assert (rest, rest.offset, rest.frames) == (Window(400, 900, last_speech_end=400), 4.0, 500)
