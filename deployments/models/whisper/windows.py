"""Divides a recording into windows of at most 30 s, and computes the input of Whisper's encoder for each."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deployments.models.base import Samples
from deployments.models.whisper.vad import CHUNK_SAMPLES, SAMPLE_RATE, speech_detector, speech_segments

if TYPE_CHECKING:
    import torch
    from torch import Tensor

HOP_LENGTH = 160
"""Samples from one frame of the spectrogram to the next; `whisper.audio` has the same name."""
FRAMES_PER_SECOND = SAMPLE_RATE // HOP_LENGTH
"""Frames of the spectrogram: 100 per second."""
WINDOW_FRAMES = 3000
"""Length of the encoder's input in frames: 30 s."""
WINDOW_SAMPLES = WINDOW_FRAMES * HOP_LENGTH
"""Length of the encoder's input in samples."""
MIN_CUT_SAMPLES = 25 * SAMPLE_RATE
"""Minimum length of a window that is cut from longer audio; it is cut at the quietest chunk after that.
In noise, words of shorter windows are heard worse."""

N_FFT = 400
"""Samples of a Fourier transform; `whisper.audio` has the same name."""
MARGIN_FRAMES = 2
"""Frames before a window whose samples are part of the spectrum of its first frame."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a recording, in frames of 10 ms; Whisper's timestamps count from its start."""

    start: int
    end: int
    last_speech_end: int = 0
    """The frame in which the speech before the window ends."""

    @property
    def frames(self) -> int:
        """Length in frames of 10 ms."""
        return self.end - self.start

    @property
    def offset(self) -> float:
        """Start in seconds."""
        return self.start / FRAMES_PER_SECOND

    def samples_of(self, recording: Samples) -> Samples:
        """Return the window's part of a recording, float32 ``[frames]`` at 16 kHz."""
        return recording[self.start * HOP_LENGTH : self.end * HOP_LENGTH]

    def rest(self, frame: int) -> "Window":
        """Return the part of the window from a frame of the recording on."""
        return Window(frame, self.end, last_speech_end=frame)


def split_into_windows(samples: Samples, *, vad: bool, check: Callable[[], None]) -> list[Window]:
    """Divide a recording into windows, in order and without overlap.

    Args:
        samples: float32 ``[frames]`` at 16 kHz.
        vad: leave out audio without speech; neighboring segments of speech share a window if they fit.
        check: called once per minute of audio; may raise.
    """
    if vad:
        levels = speech_detector().probabilities(samples, check)
        speech = speech_segments(levels, len(samples))
    else:
        levels = _mean_power(samples)
        speech = [(0, len(samples))]
    parts = (part for start, end in speech for part in _cut(start, end, levels))
    return list(_windows(_merged(parts)))


def window_spectrogram(
    window: Window, samples: Samples, *, bands: int, device: "torch.device | str"
) -> "Tensor":
    """Compute the log-mel spectrogram of a window, float32 ``[bands, 3000]`` on the device.

    It is that of `whisper.transcribe`, with zeros after the end of the window, except for one thing: the
    range of 80 dB is relative to the maximum of the window, not of the whole recording.

    Args:
        window: of the recording.
        samples: the recording, float32 ``[frames]`` at 16 kHz.
        bands: number of mel bands.
        device: of the spectrogram.
    """
    import torch
    from torch.nn import functional

    import whisper

    margin = min(MARGIN_FRAMES, window.start)
    part = samples[(window.start - margin) * HOP_LENGTH : window.end * HOP_LENGTH + N_FFT]
    mel = whisper.log_mel_spectrogram(torch.from_numpy(part), bands, padding=N_FFT, device=device)
    mel = mel[:, margin : margin + window.frames]
    return functional.pad(mel, (0, WINDOW_FRAMES - mel.shape[1]))


def _mean_power(samples: Samples) -> NDArray[np.float32]:
    """Return the mean power of every chunk."""
    chunks = samples[: len(samples) // CHUNK_SAMPLES * CHUNK_SAMPLES].reshape(-1, CHUNK_SAMPLES)
    power: NDArray[np.float32] = np.einsum("ij,ij->i", chunks, chunks) / CHUNK_SAMPLES
    return power


def _cut(start: int, end: int, levels: NDArray[np.float32]) -> Iterator[tuple[int, int]]:
    """Cut audio into parts of at most 30 s, in the middle of the chunks with the lowest levels.

    Levels are mean powers, or probabilities of speech.
    """
    while end - start > WINDOW_SAMPLES:
        first = (start + MIN_CUT_SAMPLES) // CHUNK_SAMPLES + 1
        last = (start + WINDOW_SAMPLES) // CHUNK_SAMPLES - 1
        quietest = first + int(levels[first:last].argmin())
        cut = quietest * CHUNK_SAMPLES + CHUNK_SAMPLES // 2
        yield start, cut
        start = cut
    yield start, end


def _merged(parts: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Merge neighbors as long as they and the pauses between them fit into 30 s."""
    merged: tuple[int, int] | None = None
    for start, end in parts:
        if merged and end - merged[0] <= WINDOW_SAMPLES:
            merged = (merged[0], end)
            continue
        if merged:
            yield merged
        merged = (start, end)
    if merged:
        yield merged


def _windows(parts: Iterable[tuple[int, int]]) -> Iterator[Window]:
    """Convert samples to frames, rounded down, so that no window is too long or overlaps the next one."""
    last_speech_end = 0
    for start, end in parts:
        window = Window(start // HOP_LENGTH, end // HOP_LENGTH, last_speech_end)
        last_speech_end = window.end
        if window.frames:
            yield window
