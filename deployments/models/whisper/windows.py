"""From a recording to windows of at most 30 s, and from a window to what Whisper's encoder takes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.models.base import Samples
from deployments.models.whisper.vad import CHUNK, SAMPLE_RATE, speech_detector, stretches

HOP = 160
FRAMES_PER_SECOND = SAMPLE_RATE // HOP
WINDOW_FRAMES = 3000
"""30 s: what the encoder takes, no more and no less."""
WINDOW_SAMPLES = WINDOW_FRAMES * HOP

LEAST_SAMPLES = 20 * SAMPLE_RATE
"""What is too long is cut at its quietest place between this and `WINDOW_SAMPLES`."""

FFT_SAMPLES = 400
MARGIN_FRAMES = 2
"""Frames before a window whose samples the spectrum of its first frame takes in."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a recording in frames of 10 ms; Whisper's times count from its start."""

    start: int
    end: int
    after: int = 0
    """The frame in which the speech before it ended."""

    @property
    def frames(self) -> int:
        """Its length."""
        return self.end - self.start

    @property
    def offset(self) -> float:
        """Its start in seconds."""
        return self.start / FRAMES_PER_SECOND

    def behind(self, frame: int) -> "Window":
        """What is left of it from a frame of the recording on."""
        return Window(frame, self.end, after=frame)


def windows(samples: Samples, *, vad: bool, check: Callable[[], None]) -> list[Window]:
    """Windows that share out a recording, in order and without overlap.

    Args:
        samples: float32 ``[frames]`` at 16 kHz.
        vad: with speech alone, neighbouring stretches of it together as long as they fit; otherwise all.
        check: called once per minute of audio; may raise.
    """
    if vad:
        levels = speech_detector().probabilities(samples, check)
        speech = stretches(levels, len(samples))
    else:
        levels = _loudness(samples)
        speech = [(0, len(samples))]
    parts = [part for start, end in speech for part in _cut(start, end, levels)]
    return list(_windows(_merged(parts), len(samples)))


def mel_of(window: Window, samples: Samples, *, bands: int, device: Any) -> Any:
    """The log-mel spectrogram of one window, float32 ``[bands, 3000]`` on ``device``.

    As `whisper.transcribe` makes it, zeros behind the window's end included, but for one thing: the range of
    80 dB is that below this window's maximum, not below the whole recording's.
    """
    import torch
    from torch.nn import functional

    import whisper

    margin = min(MARGIN_FRAMES, window.start)
    heard = samples[(window.start - margin) * HOP : window.end * HOP + FFT_SAMPLES]
    mel = whisper.log_mel_spectrogram(torch.from_numpy(heard), bands, padding=FFT_SAMPLES, device=device)
    mel = mel[:, margin : margin + window.frames]
    return functional.pad(mel, (0, WINDOW_FRAMES - mel.shape[1]))


def _loudness(samples: Samples) -> NDArray[np.float32]:
    """Mean power of every chunk."""
    whole = samples[: len(samples) // CHUNK * CHUNK].reshape(-1, CHUNK)
    power: NDArray[np.float32] = np.einsum("ij,ij->i", whole, whole) / CHUNK
    return power


def _cut(start: int, end: int, levels: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Pieces of at most 30 s: as long as may be, each cut in the middle of the chunk with the least level."""
    while end - start > WINDOW_SAMPLES:
        first, last = (start + LEAST_SAMPLES) // CHUNK + 1, (start + WINDOW_SAMPLES) // CHUNK - 1
        place = (first + int(levels[first:last].argmin())) * CHUNK + CHUNK // 2
        yield start, place
        start = place
    yield start, end


def _merged(parts: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Neighbours together, as long as they and the pauses between them fit into 30 s."""
    waiting: tuple[int, int] | None = None
    for start, end in parts:
        if waiting and end - waiting[0] <= WINDOW_SAMPLES:
            waiting = (waiting[0], end)
            continue
        if waiting:
            yield waiting
        waiting = (start, end)
    if waiting:
        yield waiting


def _windows(parts: Iterator[tuple[int, int]], samples: int) -> Iterator[Window]:
    """In frames, rounded towards their start, so that none is too long or reaches into the next."""
    after = 0
    for start, end in parts:
        window = Window(start // HOP, end // HOP, after)
        after = window.end
        if window.frames:
            yield window
