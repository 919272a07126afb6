"""Chroma over time: the strength of each of the twelve pitch classes, by three methods.

All take mono float32 audio at `SAMPLE_RATE` in blocks of a minute, so that hours fit in memory. They return
one frame per `HOP` samples, computed from the `WINDOW` samples around it.
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
"""Samples per frame: 0.74 s, long enough to resolve semitones around 65 Hz."""
BLOCK_FRAMES = 646
"""Frames of a block: one minute."""

Array = NDArray[np.float32]

_LOWEST_HZ = 65.40639  # C2
_OCTAVES = 6
_BINS_PER_SEMITONE = 3  # so that a tone a little out of tune still peaks in the middle one
_NOTES = 12 * _OCTAVES
_BINS = _BINS_PER_SEMITONE * _NOTES
_TUNING_STEPS = 25  # per semitone: steps of four cents


class ChromaExtractor(Protocol):
    """A method of computing chroma, prepared for one recording."""

    @property
    def tuning(self) -> float | None:
        """Tuning of the recording in semitones from A = 440 Hz; None if the method does not estimate it."""
        ...

    def __call__(self, block: Samples) -> Array:
        """Return chroma ``[12, frames]`` from C to B, in a unit of its own, for a block of `blocks`."""
        ...


def blocks(samples: Samples) -> Iterator[Samples]:
    """Cut samples ``[n]`` into blocks whose frames, concatenated, are those of the whole.

    Each block includes half a window of its neighbours, or zeros, on either side: ``n`` frames take
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
    """Return the number of frames of all blocks together."""
    return 1 + len(samples) // HOP


def loudest_block(samples: Samples) -> Samples:
    """Return the block with the most energy."""
    return max(blocks(samples), key=lambda block: float(np.dot(block, block)))


class BasicChroma:
    """Chroma from the power of a short-time Fourier transform: each bin counts for its nearest pitch.

    It assumes a tuning of A = 440 Hz.
    """

    tuning = None

    def __call__(self, block: Samples) -> Array:
        """Return chroma ``[12, frames]``."""
        power = np.abs(scipy.fft.rfft(_frames(block) * np.hanning(WINDOW).astype(np.float32), axis=1)) ** 2
        chroma: Array = (power @ _pitch_classes_of_bins()).T
        return chroma


class LibrosaChroma:
    """Chroma of `librosa.feature.chroma_cqt` with its defaults, tuned by `librosa.estimate_tuning`."""

    def __init__(self, samples: Samples) -> None:
        import librosa

        self.tuning: float = float(librosa.estimate_tuning(y=loudest_block(samples), sr=SAMPLE_RATE))

    def __call__(self, block: Samples) -> Array:
        """Return chroma ``[12, frames]``."""
        import librosa

        chroma: Array = librosa.feature.chroma_cqt(
            y=block, sr=SAMPLE_RATE, hop_length=HOP, tuning=self.tuning
        )
        edge = WINDOW // 2 // HOP  # librosa centers its first frame on the block's first sample
        return chroma[:, edge : edge + len(_frames(block))]


class EnhancedChroma:
    """Chroma from a tuned constant-Q transform, less its noise floor, decomposed into notes with harmonics.

    The decomposition matters most: a note's third harmonic has the pitch class of its fifth, and its fifth
    harmonic that of its major third. In chroma that only folds octaves, they make minor sound like major.
    NNLS chroma (Mauch and Dixon, 2010) rests on the same idea.
    """

    def __init__(self, samples: Samples) -> None:
        self.tuning: float = estimate_tuning(_constant_q(0.0)(loudest_block(samples)))
        self._transform = _constant_q(round(_TUNING_STEPS * self.tuning) / _TUNING_STEPS)

    def __call__(self, block: Samples) -> Array:
        """Return chroma ``[12, frames]``."""
        notes = decompose(subtract_noise_floor(self._transform(block)))
        chroma: Array = notes.reshape(_OCTAVES, 12, -1).sum(axis=0)
        return chroma


@dataclass(frozen=True)
class ConstantQ:
    """A constant-Q transform from C2 to B7: filters a third of a semitone apart, of constant relative width.

    After Brown and Puckette, "An efficient algorithm for the calculation of a constant Q transform" (1992):
    one long FFT per frame, and filters that are sparse in frequency.
    """

    tuning: float = 0.0
    """Tuning of the recording in semitones from A = 440 Hz."""

    def __call__(self, block: Samples) -> Array:
        """Return magnitudes ``[216, frames]``."""
        magnitudes: Array = np.abs(self._filters @ scipy.fft.rfft(_frames(block), axis=1).T)
        return magnitudes

    @cached_property
    def _filters(self) -> scipy.sparse.csr_array:
        pitches = np.arange(_BINS) / _BINS_PER_SEMITONE + self.tuning
        frequencies = (_LOWEST_HZ * 2 ** (pitches / 12)).astype(np.float32)[:, None]
        spacing = 2 ** (1 / (12 * _BINS_PER_SEMITONE)) - 1
        lengths = np.minimum(WINDOW, SAMPLE_RATE / (frequencies * spacing))
        offsets = np.arange(WINDOW // 2 + 1, dtype=np.float32) / WINDOW - frequencies / SAMPLE_RATE
        # The spectrum of a Hann window of the filter's length, shifted to its frequency; the alternating sign
        # moves the window's middle to the middle of the frame.
        periods = lengths * offsets
        filters = np.sinc(periods) + (np.sinc(periods - 1) + np.sinc(periods + 1)) / 2
        filters[:, 1::2] *= -1
        filters[np.abs(filters) < 0.01] = 0
        return scipy.sparse.csr_array(filters / WINDOW)


@lru_cache(maxsize=32)  # more than there are tunings in these steps
def _constant_q(tuning: float) -> ConstantQ:
    return ConstantQ(tuning)


def estimate_tuning(spectrum: Array) -> float:
    """Return the semitones, -0.5 to 0.5, by which a recording is tuned above A = 440 Hz.

    Each bin has an angle, its position within the semitone, and its energy as a weight. The tuning is the
    weighted circular mean of the angles.

    Args:
        spectrum: constant-Q magnitudes ``[216, frames]``, at a tuning of 0.
    """
    energies = (spectrum**2).sum(axis=1)
    directions = np.exp(2j * np.pi * np.arange(_BINS) / _BINS_PER_SEMITONE)
    return float(np.angle(energies @ directions) / (2 * np.pi))


def subtract_noise_floor(spectrum: Array) -> Array:
    """Subtract from magnitudes ``[216, frames]`` their median over nine semitones on either side."""
    floor = scipy.ndimage.median_filter(spectrum, size=(18 * _BINS_PER_SEMITONE + 1, 1), mode="reflect")
    peaks: Array = np.maximum(spectrum - floor, 0)
    return peaks


def decompose(spectrum: Array, iterations: int = 20) -> Array:
    """Decompose magnitudes ``[216, frames]`` into notes with harmonics, as strengths ``[72, frames]``.

    Solves the non-negative least squares problem of all frames at once by the multiplicative updates of Lee
    and Seung, "Algorithms for non-negative matrix factorization" (2001).
    """
    templates = _note_templates()
    target = templates.T @ spectrum
    overlaps = templates.T @ templates
    notes: Array = np.maximum(target, 1e-9)
    for _ in range(iterations):
        notes *= target / (overlaps @ notes + 1e-9)
    return notes


@cache
def _note_templates(decay: float = 0.7, harmonics: int = 8) -> Array:
    """Return the spectra of single notes ``[216, 72]``, blurred as by the filters.

    Each harmonic has ``decay`` times the strength of the one below it.
    """
    bins = np.arange(_BINS)[:, None]
    fundamentals = _BINS_PER_SEMITONE * np.arange(_NOTES)
    templates = np.zeros((_BINS, _NOTES), np.float32)
    for harmonic in range(1, harmonics + 1):
        centers = fundamentals + 12 * _BINS_PER_SEMITONE * np.log2(harmonic)
        templates += decay ** (harmonic - 1) * np.exp(-0.5 * ((bins - centers) / 0.8) ** 2)
    templates /= np.linalg.norm(templates, axis=0)
    return templates


@cache
def _pitch_classes_of_bins() -> Array:
    """Return a matrix ``[bins, 12]`` of 0 and 1 from Fourier bins, C2 to C7 only, to pitch classes."""
    frequencies = np.arange(1, WINDOW // 2 + 1) * SAMPLE_RATE / WINDOW
    pitches = np.round(12 * np.log2(frequencies / _LOWEST_HZ)).astype(int)
    in_range = (pitches >= 0) & (pitches <= 60)
    classes = np.zeros((WINDOW // 2 + 1, 12), np.float32)
    classes[np.flatnonzero(in_range) + 1, pitches[in_range] % 12] = 1
    return classes


def _frames(block: Samples) -> Array:
    """Return the frames of a block as a view ``[frames, WINDOW]``."""
    return sliding_window_view(block, WINDOW)[::HOP]
