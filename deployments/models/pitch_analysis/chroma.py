"""Chroma over time: the strength of each of the twelve pitch classes, by three methods.

All take mono float32 audio at `SAMPLE_RATE` in blocks of a minute, so that hours fit in memory. They return
one frame per `HOP` samples, computed from the `WINDOW` samples around it. All that they and the tonalness
need of a block comes from one Fourier transform of its frames.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any, Protocol

import numpy as np
import scipy.fft
import scipy.sparse
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from deployments.models.base import Samples

SAMPLE_RATE = 11_025
"""Hz: enough for every pitch up to `HIGHEST_HZ`."""
HOP = 1024
"""Samples from frame to frame: 93 ms."""
WINDOW = 8192
"""Samples per frame: 0.74 s, long enough to resolve semitones around 65 Hz."""
BLOCK_FRAMES = 646
"""Frames of a block: one minute."""

LOWEST_HZ = 20.60172
"""E0, the lowest pitch of hearing; a piano starts with A0, 27.5 Hz."""
_OCTAVES = 8
HIGHEST_HZ = LOWEST_HZ * 2**_OCTAVES
"""The highest pitch, above every piano's C8: beyond it listeners hear tones, but tell no notes."""

Array = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

_LOWEST_CLASS = 4  # E, counted from C
_CENTER_HZ = 330.0  # E4
_CENTER_OCTAVES = 2.0  # the standard deviation
_BASS_HZ, _TREBLE_HZ = 65.0, 740.0  # the fundamentals of most music
_BASS_OCTAVES, _TREBLE_OCTAVES = 1.3, 0.7  # the standard deviations beyond
_BINS_PER_SEMITONE = 3  # so that a tone a little out of tune still peaks in the middle one
_NOTES = 12 * _OCTAVES
_BINS = _BINS_PER_SEMITONE * _NOTES
_TUNING_STEPS = 25  # per semitone: steps of four cents
_NARROW_BINS = 740  # 1 kHz: from here on, a semitone is far wider than the peak of a tone


class ChromaExtractor(Protocol):
    """A method of computing chroma, prepared for one recording."""

    @property
    def tuning(self) -> float | None:
        """Tuning of the recording in semitones from A = 440 Hz; None if the method does not estimate it."""
        ...

    def __call__(self, block: "Block") -> Array:
        """Return chroma ``[12, frames]`` from C to B, in a unit of its own, for a block of `blocks`."""
        ...


@dataclass(frozen=True)
class Block:
    """A part of a recording, and the spectra of its frames."""

    samples: Samples
    """``[n]``, with half a window around the middles of the first and last frame."""
    hop: int = HOP

    @cached_property
    def spectrum(self) -> Spectrum:
        """The Fourier transform ``[frames, WINDOW // 2 + 1]`` of the frames, without a window function."""
        frames = sliding_window_view(self.samples, WINDOW)[:: self.hop]
        spectrum: Spectrum = scipy.fft.rfft(frames, axis=1)
        return spectrum

    @cached_property
    def windowed(self) -> Spectrum:
        """The same with a Hann window, which is a sum of three neighbouring bins; 0 in the outermost bins."""
        windowed = np.zeros_like(self.spectrum)
        inner = windowed[:, 1:-1]
        np.add(self.spectrum[:, :-2], self.spectrum[:, 2:], out=inner)
        inner *= -0.5
        inner += self.spectrum[:, 1:-1]
        inner *= 0.5
        return windowed

    @cached_property
    def power(self) -> Array:
        """Power ``[frames, WINDOW // 2 + 1]`` of the windowed frames."""
        power: Array = self.windowed.real**2 + self.windowed.imag**2
        return power


def blocks(samples: Samples) -> Iterator[Block]:
    """Cut samples ``[n]`` into blocks whose frames, concatenated, are those of the whole.

    Each block includes half a window of its neighbours on either side: ``n`` frames take
    ``(n - 1) * HOP + WINDOW`` samples. The first and the last sample are held beyond
    the ends, so that drift does not begin and end with a click.
    """
    frames = frame_count(samples)
    for first in range(0, frames, BLOCK_FRAMES):
        last = min(first + BLOCK_FRAMES, frames) - 1
        start, stop = first * HOP - WINDOW // 2, last * HOP + WINDOW // 2
        inside = samples[max(start, 0) : stop]
        missing = stop - start - max(-start, 0) - len(inside)
        yield Block(np.pad(inside, (max(-start, 0), missing), mode="edge"))


def frame_count(samples: Samples) -> int:
    """Return the number of frames of all blocks together."""
    return 1 + len(samples) // HOP


def loudest_block(samples: Samples) -> Block:
    """Return the block with the most energy."""
    return max(blocks(samples), key=lambda block: float(np.dot(block.samples, block.samples)))


class BasicChroma:
    """Chroma from the power of a short-time Fourier transform: each bin counts for its nearest pitch.

    It assumes a tuning of A = 440 Hz. Octaves above those of most fundamentals count little, since
    what sounds there is mostly overtones, which have other pitch classes.
    """

    tuning = None

    def __call__(self, block: Block) -> Array:
        """Return chroma ``[12, frames]``."""
        power, pitches = _low_pitches(block)
        notes = np.round(pitches).astype(int)
        heard = (notes >= 0) & (notes < _NOTES)
        bins = _NOTES * np.arange(len(notes))[:, None] + notes
        low = np.bincount(bins[heard], weights=power[heard], minlength=notes.shape[0] * _NOTES)
        strengths = low.reshape(-1, _NOTES) + block.power[:, _NARROW_BINS:] @ _notes_of_high_bins()
        classes = (strengths * _fundamental_weights()).reshape(-1, _OCTAVES, 12).sum(axis=1)
        return _from_c(classes.T.astype(np.float32))


class LibrosaChroma:
    """Chroma of `librosa.feature.chroma_cqt` from the peaks of `librosa.cqt`, tuned by librosa as well."""

    def __init__(self, samples: Samples) -> None:
        import librosa

        self.tuning: float = float(
            librosa.estimate_tuning(
                y=loudest_block(samples).samples,
                sr=SAMPLE_RATE,
                n_fft=WINDOW,
                fmin=LOWEST_HZ,
                fmax=HIGHEST_HZ,
            )
        )

    def __call__(self, block: Block) -> Array:
        """Return chroma ``[12, frames]``."""
        import librosa

        magnitudes = librosa.cqt(
            block.samples,
            sr=SAMPLE_RATE,
            hop_length=HOP,
            fmin=LOWEST_HZ,
            n_bins=_BINS,
            bins_per_octave=_BINS // _OCTAVES,
            tuning=self.tuning,
        )
        peaks = _prominent_peaks(np.abs(magnitudes))
        chroma: Array = librosa.feature.chroma_cqt(
            C=peaks, fmin=LOWEST_HZ, bins_per_octave=_BINS // _OCTAVES, norm=None
        )
        edge = WINDOW // 2 // HOP  # librosa centers its first frame on the block's first sample
        return chroma[:, edge : edge + len(block.samples[WINDOW:]) // HOP + 1]


class EnhancedChroma:
    """Chroma from a tuned constant-Q transform, less its noise floor, decomposed into notes with harmonics.

    The decomposition matters most: a note's third harmonic has the pitch class of its fifth, and its fifth
    harmonic that of its major third. In chroma that only folds octaves, they make minor sound like major.
    NNLS chroma (Mauch and Dixon, 2010) rests on the same idea.
    """

    def __init__(self, samples: Samples) -> None:
        self.tuning: float = estimate_tuning(loudest_block(samples))
        self._transform = _constant_q(round(_TUNING_STEPS * self.tuning) / _TUNING_STEPS)

    def __call__(self, block: Block) -> Array:
        """Return chroma ``[12, frames]``."""
        notes = decompose(_prominent_peaks(self._transform(block)))
        return _from_c(notes.reshape(_OCTAVES, 12, -1).sum(axis=0))


@dataclass(frozen=True)
class ConstantQ:
    """A constant-Q transform from E0 to D#8: filters a third of a semitone apart, of constant relative width.

    After Brown and Puckette, "An efficient algorithm for the calculation of a constant Q transform" (1992):
    one long FFT per frame, and filters that are sparse in frequency.
    """

    tuning: float = 0.0
    """Tuning of the recording in semitones from A = 440 Hz."""

    def __call__(self, block: Block) -> Array:
        """Return magnitudes ``[288, frames]``."""
        magnitudes: Array = np.abs(self._filters @ block.spectrum.T)
        return magnitudes

    @cached_property
    def _filters(self) -> scipy.sparse.csr_array:
        bins = np.arange(_BINS) + _BINS_PER_SEMITONE * self.tuning
        frequencies = _frequencies(bins).astype(np.float32)[:, None]
        lengths = np.minimum(WINDOW, _filter_lengths(frequencies))
        offsets = np.arange(WINDOW // 2 + 1, dtype=np.float32) / WINDOW - frequencies / SAMPLE_RATE
        # The spectrum of a Hann window of the filter's length, shifted to its frequency; the alternating sign
        # moves the window's middle to the middle of the frame.
        periods = lengths * offsets
        filters = np.sinc(periods) + (np.sinc(periods - 1) + np.sinc(periods + 1)) / 2
        filters[:, 1::2] *= -1
        filters[np.abs(filters) < 0.01] = 0
        return scipy.sparse.csr_array(filters / WINDOW)


def _frequencies(bins: NDArray[Any]) -> NDArray[Any]:
    """Return the frequencies in Hz of constant-Q bins."""
    frequencies: NDArray[Any] = LOWEST_HZ * 2 ** (bins / (12 * _BINS_PER_SEMITONE))
    return frequencies


def _filter_lengths(frequencies: NDArray[Any]) -> NDArray[Any]:
    """Return the samples that filters at frequencies in Hz need to tell neighbouring bins apart."""
    spacing = 2 ** (1 / (12 * _BINS_PER_SEMITONE)) - 1
    lengths: NDArray[Any] = SAMPLE_RATE / (frequencies * spacing)
    return lengths


@lru_cache(maxsize=32)  # more than there are tunings in these steps
def _constant_q(tuning: float) -> ConstantQ:
    return ConstantQ(tuning)


def estimate_tuning(block: Block) -> float:
    """Return the semitones, -0.5 to 0.5, by which a recording is tuned above A = 440 Hz.

    All that is heard has an angle, its position within the semitone, and its power as a weight. The tuning is
    the weighted circular mean of the angles. Windows that overlap by half tell as much as closer ones.
    """
    sparse = Block(block.samples, hop=WINDOW // 2)
    power, pitches = _low_pitches(sparse)
    frequencies = _frequencies(_BINS_PER_SEMITONE * pitches)
    weights = power * _prominence(frequencies) * (pitches >= -0.5)
    high = sparse.power[:, _NARROW_BINS:].sum(axis=0) * _prominence(_high_frequencies())
    high *= _high_frequencies() < HIGHEST_HZ
    directions = (weights * np.exp(2j * np.pi * pitches)).sum() + high @ np.exp(2j * np.pi * _high_pitches())
    return float(np.angle(directions) / (2 * np.pi))


def subtract_noise_floor(spectrum: Array) -> Array:
    """Subtract from magnitudes ``[288, frames]`` their median over nine semitones on either side.

    The median changes so little from bin to bin that one for each semitone will do.
    """
    radius = 9 * _BINS_PER_SEMITONE
    padded = np.pad(spectrum, ((radius, radius), (0, 0)), mode="symmetric").T
    around = sliding_window_view(padded, 2 * radius + 1, axis=1)[:, 1::_BINS_PER_SEMITONE]
    floor = np.partition(around, radius, axis=2)[..., radius].T
    peaks: Array = np.maximum(spectrum - np.repeat(floor, _BINS_PER_SEMITONE, axis=0), 0)
    return peaks


def _prominent_peaks(spectrum: Array) -> Array:
    """Return magnitudes ``[288, frames]`` less their noise floor, weighted by `_prominence`."""
    weights = _prominence(_frequencies(np.arange(_BINS))).astype(np.float32)
    peaks: Array = subtract_noise_floor(spectrum) * weights[:, None]
    return peaks


def decompose(spectrum: Array, iterations: int = 20) -> Array:
    """Decompose magnitudes ``[288, frames]`` into notes with harmonics, as strengths ``[96, frames]``.

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
    """Return the spectra of single notes ``[288, 96]``, blurred as by the filters.

    Each harmonic has ``decay`` times the strength of the one below it.
    """
    bins = np.arange(_BINS)[:, None]
    fundamentals = _BINS_PER_SEMITONE * np.arange(_NOTES)
    templates = np.zeros((_BINS, _NOTES), np.float32)
    for harmonic in range(1, harmonics + 1):
        centers = fundamentals + 12 * _BINS_PER_SEMITONE * np.log2(harmonic)
        # Below 65 Hz the window is shorter than the filters should be, and peaks are wider.
        widths = 0.8 * np.maximum(1, _filter_lengths(_frequencies(centers)) / WINDOW)
        templates += decay ** (harmonic - 1) * np.exp(-0.5 * ((bins - centers) / widths) ** 2)
    templates /= np.linalg.norm(templates, axis=0)
    return templates


def _low_pitches(block: Block) -> tuple[Array, Array]:
    """Return the power of the bins below `_NARROW_BINS` and its pitches, both ``[frames, bins]``.

    Pitches are in semitones from the lowest one. They are those of the instantaneous frequencies of the bins
    (Auger and Flandrin, 1995), since peaks are wider than low semitones. The derivative of the window, which
    these need, is a sum of neighbouring bins, as is the window itself.
    """
    inner = slice(1, _NARROW_BINS)
    sloped = (block.spectrum[:, : _NARROW_BINS - 1] - block.spectrum[:, 2 : _NARROW_BINS + 1]) / 4j
    power = block.power[:, inner]
    offsets = (sloped * block.windowed[:, inner].conj()).imag / np.maximum(power, 1e-12)
    frequencies = (np.arange(1, _NARROW_BINS, dtype=np.float32) - offsets) * (SAMPLE_RATE / WINDOW)
    pitches: Array = 12 * np.log2(np.maximum(frequencies, 1.0) / LOWEST_HZ)
    return power, pitches


def _high_frequencies() -> NDArray[Any]:
    """Return the frequencies in Hz of the Fourier bins from `_NARROW_BINS` on."""
    frequencies: NDArray[Any] = np.arange(_NARROW_BINS, WINDOW // 2 + 1) * (SAMPLE_RATE / WINDOW)
    return frequencies


def _high_pitches() -> NDArray[Any]:
    """Return the pitches of the Fourier bins from `_NARROW_BINS` on, in semitones from the lowest one."""
    pitches: NDArray[Any] = 12 * np.log2(_high_frequencies() / LOWEST_HZ)
    return pitches


@cache
def _notes_of_high_bins() -> Array:
    """Return a matrix ``[bins, 96]`` of 0 and 1 from the Fourier bins from `_NARROW_BINS` on to notes."""
    matrix: Array = (np.round(_high_pitches())[:, None] == np.arange(_NOTES)).astype(np.float32)
    return matrix


@cache
def _fundamental_weights() -> Array:
    """Return weights ``[96]`` 0..1 of notes: 1 for the octaves of most fundamentals, less beyond."""
    frequencies = _frequencies(_BINS_PER_SEMITONE * np.arange(_NOTES))
    below = np.minimum(np.log2(frequencies / _BASS_HZ), 0) / _BASS_OCTAVES
    above = np.maximum(np.log2(frequencies / _TREBLE_HZ), 0) / _TREBLE_OCTAVES
    weights: Array = np.exp(-0.5 * (below**2 + above**2)).astype(np.float32)
    return weights


def _prominence(frequencies: NDArray[Any]) -> NDArray[Any]:
    """Return weights 0..1 of sound at frequencies in Hz: most for the octaves in which most music is played.

    As in the chroma of Ellis (2007), a bell over octaves. Without it, drums would outweigh the notes in the
    lowest octaves, and overtones in the highest ones.
    """
    octaves = np.log2(frequencies / _CENTER_HZ)
    weights: NDArray[Any] = np.exp(-0.5 * (octaves / _CENTER_OCTAVES) ** 2)
    return weights


def _from_c(chroma: Array) -> Array:
    """Reorder chroma ``[12, frames]`` that starts with the lowest pitch: from C to B."""
    return np.roll(chroma, _LOWEST_CLASS, axis=0)
