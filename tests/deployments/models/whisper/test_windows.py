import numpy as np
import pytest
import torch
import whisper

from deployments.models.whisper import windows as whisper_windows
from deployments.models.whisper.windows import WINDOW_FRAMES, Window, mel_of, windows

RATE = 16_000


def check():
    pass


def noise(seconds):
    return np.random.default_rng(0).normal(0, 0.1, round(seconds * RATE)).astype(np.float32)


def spoken(monkeypatch, *seconds, quiet_at=()):
    """Let speech be found in these places, and let it be least probable around those."""
    pairs = [(round(start * RATE), round(end * RATE)) for start, end in seconds]
    monkeypatch.setattr(whisper_windows, "stretches", lambda levels, frames: pairs)
    levels = np.full(round(seconds[-1][1] * RATE / 512) + 1, 0.9, np.float32)
    for second in quiet_at:
        levels[round(second * RATE / 512)] = 0.1

    class Detector:
        def probabilities(self, samples, check):
            return levels

    monkeypatch.setattr(whisper_windows, "speech_detector", Detector)
    found = windows(noise(seconds[-1][1]), vad=True, check=check)
    return [(window.start / 100, window.end / 100) for window in found]


@pytest.mark.parametrize("seconds", [0.004, 0.5, 29.999, 30.0, 30.01, 61.3, 300.0])
def test_windows_share_out_the_whole(seconds):
    found = windows(noise(seconds), vad=False, check=check)
    edges = [window.start for window in found] + [round(seconds * RATE) // 160]
    assert edges[0] == 0
    assert [window.end for window in found] == edges[1:]
    assert all(0 < window.frames <= WINDOW_FRAMES for window in found)
    assert len(found) <= -(-seconds // 20)
    assert [window.after for window in found[1:]] == [window.end for window in found[:-1]]


def test_what_is_too_long_is_cut_where_it_is_quietest():
    samples = noise(50)
    samples[26 * RATE : 26 * RATE + RATE // 5] *= 0.01
    first, second = windows(samples, vad=False, check=check)
    assert 26.0 < second.offset < 26.2
    assert first.end == second.start


def test_neighbours_in_speech_share_a_window_as_long_as_they_fit(monkeypatch):
    assert spoken(monkeypatch, (1, 5), (6, 20), (25, 30.5), (31.5, 40)) == [(1, 30.5), (31.5, 40)]


def test_long_speech_is_cut_where_it_is_least_like_speech(monkeypatch):
    found = spoken(monkeypatch, (2, 60), quiet_at=(24, 50))
    (_, first), (second, third), (fourth, _) = found
    assert first == second == pytest.approx(24, abs=0.05)
    assert third == fourth == pytest.approx(50, abs=0.05)


def test_no_speech_no_window():
    assert windows(np.zeros(40 * RATE, np.float32), vad=True, check=check) == []


@pytest.mark.parametrize(("start", "end"), [(0, 700), (0, 3000), (1500, 2200), (2400, 5000)])
@pytest.mark.parametrize("bands", [80, 128])
def test_the_spectrogram_is_whispers_own(start, end, bands):
    samples = noise(50)
    theirs = whisper.log_mel_spectrogram(samples, bands, padding=480_000)
    expected = whisper.pad_or_trim(theirs[:, start:end], WINDOW_FRAMES)
    ours = mel_of(Window(start, end), samples, bands=bands, device="cpu")
    assert ours.shape == (bands, WINDOW_FRAMES)
    assert torch.allclose(ours, expected, atol=1e-4)


def test_what_is_left_of_a_window_knows_where_speech_ended():
    rest = Window(100, 900).behind(400)
    assert (rest, rest.offset, rest.frames) == (Window(400, 900, after=400), 4.0, 500)
