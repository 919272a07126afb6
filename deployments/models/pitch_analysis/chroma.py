"""Chroma over time: how strongly each of the twelve pitch classes sounds, in three ways.

All take mono float32 audio at `SAMPLE_RATE` in blocks of a minute, so that hours fit in memory, and give
a frame every `HOP` samples, each seen through a window of `WINDOW` samples around it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Protocol

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.sparse
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from deployments.models.base import Samples

SAMPLE_RATE = 11_025
"""Hz: enough for every fundamental and its first harmonics."""
HOP = 1024
"""Samples from frame to frame: 93 ms."""
WINDOW = 8192
"""Samples that a frame sees: 0.74 s, which tells the semitones around 65 Hz apart."""
BLOCK_FRAMES = 646
"""Frames of a block: one minute."""

Array = NDArray[np.float32]

_LOWEST = 65.40639  # Hz: C2
_OCTAVES = 6
_PER_SEMITONE = 3  # bins, so that a tone a little out of tune still has one in the middle
_NOTES = 12 * _OCTAVES
_BINS = _PER_SEMITONE * _NOTES


class ChromaMaker(Protocol):
    """One way from sound to chroma."""

    @property
    def tuning(self) -> float | None:
        """Of the recording, in semitones from A = 440 Hz; None if it was not looked for."""
        ...

    def __call__(self, block: Samples) -> Array:
        """Chroma ``[12, frames]`` from C to B, in units of its own, for a block of `blocks`."""
        ...


def blocks(samples: Samples) -> Iterator[Samples]:
    """Cut samples into blocks whose frames, one after the other, are those of the whole.

    Each block has half a window of its neighbours, or zeros, on either side: ``n`` frames take
    ``(n - 1) * HOP + WINDOW`` samples.
    """
    frames = frame_count(samples)
    for first in range(0, frames, BLOCK_FRAMES):
        last = min(first + BLOCK_FRAMES, frames) - 1
        start, stop = first * HOP - WINDOW // 2, last * HOP + WINDOW // 2
        inside = samples[max(start, 0) : stop]
        missing = stop - start - max(-start, 0) - len(inside)
        yield np.pad(inside, (max(-start, 0), missing))


def frame_count(samples: Samples) -> int:
    """Frames of all blocks together."""
    return 1 + len(samples) // HOP


def loudest(samples: Samples) -> Samples:
    """The block with the most energy."""
    return max(blocks(samples), key=lambda block: float(np.dot(block, block)))


class BasicChroma:
    """The power of a short-time Fourier transform, each bin given to its nearest pitch. No tuning."""

    tuning = None

    def __call__(self, block: Samples) -> Array:
        """See `ChromaMaker`."""
        power = np.abs(scipy.fft.rfft(_frames(block) * np.hanning(WINDOW).astype(np.float32), axis=1)) ** 2
        chroma: Array = (power @ _nearest_pitches()).T
        return chroma


class LibrosaChroma:
    """librosa's ``chroma_cqt`` as it comes, tuned by its ``estimate_tuning``."""

    def __init__(self, samples: Samples) -> None:
        import librosa

        self.tuning: float = float(librosa.estimate_tuning(y=loudest(samples), sr=SAMPLE_RATE))

    def __call__(self, block: Samples) -> Array:
        """See `ChromaMaker`."""
        import librosa

        chroma: Array = librosa.feature.chroma_cqt(
            y=block, sr=SAMPLE_RATE, hop_length=HOP, tuning=self.tuning
        )
        edge = WINDOW // 2 // HOP  # librosa's frames start at the block's first sample
        return chroma[:, edge : edge + len(_frames(block))]


class EnhancedChroma:
    """A tuned constant-Q transform, less its noise floor, explained as notes with harmonics.

    The last step matters most: a note's third harmonic is its fifth's fundamental, and its fifth harmonic
    its major third's, which turns minor into major in any chroma that just folds octaves.
    """

    def __init__(self, samples: Samples) -> None:
        self.tuning: float = estimate_tuning(_constant_q(0.0)(loudest(samples)))
        self._transform = _constant_q(round(25 * self.tuning) / 25)

    def __call__(self, block: Samples) -> Array:
        """See `ChromaMaker`."""
        notes = explain(above_floor(self._transform(block)))
        chroma: Array = notes.reshape(_OCTAVES, 12, -1).sum(axis=0)
        return chroma


@dataclass(frozen=True)
class ConstantQ:
    """A constant-Q transform: filters a third of a semitone apart, C2 to B7, each as long as it needs.

    The way of Brown and Puckette (1992): one long FFT a frame, and filters that are sparse in frequency.
    """

    tuning: float = 0.0
    """Of the recording, in semitones from A = 440 Hz."""

    def __call__(self, block: Samples) -> Array:
        """Magnitudes ``[216, frames]``."""
        magnitudes: Array = np.abs(self._filters @ scipy.fft.rfft(_frames(block), axis=1).T)
        return magnitudes

    @cached_property
    def _filters(self) -> scipy.sparse.csr_array:
        pitches = np.arange(_BINS) / _PER_SEMITONE + self.tuning
        frequencies = (_LOWEST * 2 ** (pitches / 12)).astype(np.float32)[:, None]
        spacing = 2 ** (1 / (12 * _PER_SEMITONE)) - 1
        lengths = np.minimum(WINDOW, SAMPLE_RATE / (frequencies * spacing))
        steps = np.arange(WINDOW // 2 + 1, dtype=np.float32) / WINDOW - frequencies / SAMPLE_RATE
        # The transform of a Hann window as long as the filter, around its frequency; (-1)^k puts its middle
        # into the middle of the frame.
        turns = lengths * steps
        filters = np.sinc(turns) + (np.sinc(turns - 1) + np.sinc(turns + 1)) / 2
        filters[:, 1::2] *= -1
        filters[np.abs(filters) < 0.01] = 0
        return scipy.sparse.csr_array(filters / WINDOW)


@lru_cache(maxsize=32)  # every tuning there is in steps of four cents
def _constant_q(tuning: float) -> ConstantQ:
    return ConstantQ(tuning)


def estimate_tuning(spectrum: Array) -> float:
    """Semitones, -0.5 to 0.5, by which an untuned constant-Q spectrum lies above A = 440 Hz.

    Every bin votes by its energy for its place within the semitone; the votes are angles, and their mean
    is the tuning.
    """
    votes = (spectrum**2).sum(axis=1)
    places = np.exp(2j * np.pi * np.arange(_BINS) / _PER_SEMITONE)
    return float(np.angle(votes @ places) / (2 * np.pi))


def above_floor(spectrum: Array) -> Array:
    """What stands out of noise: the magnitudes over their median within nine semitones either way."""
    floor = scipy.ndimage.median_filter(spectrum, size=(18 * _PER_SEMITONE + 1, 1), mode="reflect")
    peaks: Array = np.maximum(spectrum - floor, 0)
    return peaks


def explain(spectrum: Array, rounds: int = 20) -> Array:
    """How strongly each of 72 notes sounds, ``[72, frames]``, so that their harmonics add up to the spectrum.

    Non-negative least squares for all frames at once, by Lee and Seung's multiplicative updates.
    """
    shapes = _note_shapes()
    target = shapes.T @ spectrum
    overlaps = shapes.T @ shapes
    notes: Array = np.maximum(target, 1e-9)
    for _ in range(rounds):
        notes *= target / (overlaps @ notes + 1e-9)
    return notes


@cache
def _note_shapes(decay: float = 0.7, harmonics: int = 8) -> Array:
    """Spectra of single notes ``[216, 72]``: harmonics that fall by ``decay``, blurred as the filters do."""
    bins = np.arange(_BINS)[:, None]
    fundamentals = _PER_SEMITONE * np.arange(_NOTES)
    shapes = np.zeros((_BINS, _NOTES), np.float32)
    for harmonic in range(1, harmonics + 1):
        centers = fundamentals + 12 * _PER_SEMITONE * np.log2(harmonic)
        shapes += decay ** (harmonic - 1) * np.exp(-0.5 * ((bins - centers) / 0.8) ** 2)
    shapes /= np.linalg.norm(shapes, axis=0)
    return shapes


@cache
def _nearest_pitches() -> Array:
    """Which pitch class each bin of the Fourier transform belongs to, ``[bins, 12]``; C2 to C7 alone."""
    frequencies = np.arange(1, WINDOW // 2 + 1) * SAMPLE_RATE / WINDOW
    pitches = np.round(12 * np.log2(frequencies / _LOWEST)).astype(int)
    heard = (pitches >= 0) & (pitches <= 60)
    classes = np.zeros((WINDOW // 2 + 1, 12), np.float32)
    classes[np.flatnonzero(heard) + 1, pitches[heard] % 12] = 1
    return classes


def _frames(block: Samples) -> Array:
    """``[frames, WINDOW]``, a view."""
    return sliding_window_view(block, WINDOW)[::HOP]
