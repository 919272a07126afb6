"""Tonalness over time: the share of the sound that is tones, rather than noise, clicks or drift."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from deployments.models.pitch_analysis.chroma import (
    HIGHEST_HZ,
    LOWEST_HZ,
    SAMPLE_RATE,
    WINDOW,
    Array,
    Block,
)

_FLOOR_BINS = 61  # 82 Hz
_RHYTHM_BINS = (
    11  # 15 Hz: pulses as slow as this are heard one by one, and their spectral lines are no partials
)
_PEAK = 16.0  # 12 dB: noise hardly ever exceeds its mean by as much
_LEAST = 1e-12  # power whose logarithm is finite


class Tonalness(NamedTuple):
    """Frames of a recording, as those of its chroma."""

    share: Array
    """Share of the frame's power that is tones ``[frames]``, 0..1."""
    level: Array
    """Level of all audible sound in the frame ``[frames]``, in a unit of its own."""

    def overall(self) -> float:
        """Return the share of tones in the whole recording, 0..1; its nearly silent frames count less."""
        weights = emphasis(self.level)
        return float(self.share @ weights / max(float(weights.sum()), _LEAST))


def tonalness(block: Block, seconds: float) -> Tonalness:
    """Measure the frames of a block of `blocks`, from the lowest to the highest audible pitch.

    A tone is a narrow peak that stands out of the spectrum around it. The spectra of noise and clicks have
    no such peaks, nor has the slope that an offset, a drift or a hum below hearing leaves above it.

    Args:
        block: one of `blocks`.
        seconds: duration of the recording. In one that is shorter than a window, even tones have wide peaks.
    """
    spectrum = block.power
    lowest, highest = (round(hertz * WINDOW / SAMPLE_RATE) for hertz in (LOWEST_HZ, HIGHEST_HZ))
    floor = _floor(spectrum[:, :highest], max(1.0, WINDOW / SAMPLE_RATE / seconds))[:, lowest:]
    slope = _slope_from_below(spectrum[:, lowest - 1 : highest])
    audible = spectrum[:, lowest:highest]
    tones = np.where((audible > _PEAK * floor) & ~slope, audible, 0)
    total = audible.sum(axis=1)
    share: Array = tones.sum(axis=1) / np.maximum(total, _LEAST)
    return Tonalness(share, np.sqrt(total))


def emphasis(level: Array) -> Array:
    """Return weights ``[frames]`` that make loud and soft frames count alike, and nearly silent ones less."""
    weights: Array = level / (level + 0.1 * np.percentile(level, 95) + _LEAST)
    return weights


def _floor(spectrum: Array, peak_width: float) -> Array:
    """Return the geometric mean of the power around each bin of ``[frames, bins]``, after some smoothing.

    Args:
        spectrum: power.
        peak_width: how much wider the peaks of tones are than in a recording that fills the window.
    """
    smooth = uniform_filter1d(spectrum, round(_RHYTHM_BINS * peak_width), axis=1)
    logarithms = np.log(np.maximum(smooth, _LEAST))
    floor: Array = np.exp(
        uniform_filter1d(logarithms, round(_FLOOR_BINS * peak_width), axis=1, mode="nearest")
    )
    return floor


def _slope_from_below(spectrum: Array) -> NDArray[np.bool_]:
    """Return where ``[frames, bins]`` has only fallen since its first bin, which the result leaves out.

    There it belongs to a peak below the first bin.
    """
    rising = np.diff(spectrum, axis=1) > 0
    first_rise = np.where(rising.any(axis=1), rising.argmax(axis=1), rising.shape[1])
    slope: NDArray[np.bool_] = np.arange(rising.shape[1]) < first_rise[:, None]
    return slope
