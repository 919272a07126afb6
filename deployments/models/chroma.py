"""Chroma over time: how strongly each of the twelve pitch classes sounds, in three ways of increasing care.

Each way takes mono float32 audio at `SAMPLE_RATE` block by block, so that hours fit in memory.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.sparse
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from deployments.models.base import Samples

SAMPLE_RATE = 11_025
"""Hz; enough for the fundamentals of every instrument and their first harmonics."""
HOP = 1024
"""Samples from frame to frame: 93 ms."""

Chroma = NDArray[np.float32]
"""``[12, frames]``, C to B."""

_LOWEST = 65.40639  # Hz: C2
_OCTAVES = 6
_PER_SEMITONE = 3
_PER_OCTAVE = 12 * _PER_SEMITONE
_WINDOW = 8192


@dataclass(frozen=True)
class ConstantQ:
    """A constant-Q transform: a filter for every third of a semitone, C2 to B7, as long as its pitch needs.

    Brown and Puckette's way: one long FFT a frame, and the filters as sparse rows in the frequency domain.
    """

    tuning: float = 0.0
    """Of the recording, in semitones from A = 440 Hz."""

    @cached_property
    def _filters(self) -> scipy.sparse.csr_array:
        bins = np.arange(_OCTAVES * _PER_OCTAVE)
        frequencies = _LOWEST * 2 ** ((bins / _PER_SEMITONE + self.tuning) / 12)
        lengths = np.minimum(_WINDOW, SAMPLE_RATE / (frequencies * (2 ** (1 / _PER_OCTAVE) - 1))).astype(int)
        rows = []
        for frequency, length in zip(frequencies, lengths, strict=True):
            kernel = np.zeros(_WINDOW, np.complex64)
            start = (_WINDOW - length) // 2
            time = np.arange(start, start + length) - _WINDOW // 2
            wave = np.hanning(length) * np.exp(2j * np.pi * frequency / SAMPLE_RATE * time)
            kernel[start : start + length] = wave / length
            row = scipy.fft.fft(kernel)[: _WINDOW // 2 + 1]
            row[np.abs(row) < 0.01 * np.abs(row).max()] = 0
            rows.append(scipy.sparse.csr_array(row.conj()[None]))
        return scipy.sparse.csr_array(scipy.sparse.vstack(rows))

    def __call__(self, samples: Samples) -> NDArray[np.float32]:
        """Magnitudes ``[216, frames]``."""
        frames = _frames(samples)
        spectra = scipy.fft.rfft(frames, axis=1)
        return np.abs(self._filters @ spectra.T).astype(np.float32)


def _frames(samples: Samples) -> NDArray[np.float32]:
    padded = np.pad(samples, (_WINDOW // 2, _WINDOW // 2))
    return sliding_window_view(padded, _WINDOW)[::HOP]


def estimate_tuning(spectrum: NDArray[np.float32]) -> float:
    total = (spectrum ** 2).sum(axis=1)
    angle = np.angle(np.sum(total * np.exp(2j * np.pi * np.arange(len(total)) / _PER_SEMITONE)))
    return float(angle / (2 * np.pi))
