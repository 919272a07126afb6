"""Filtering a recording in the frequency domain, in blocks of a few seconds that join without a seam."""

from collections.abc import Callable, Iterator

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from deployments.audio.recording import Recording
from deployments.models.base import Samples

Spectra = NDArray[np.complex64]
"""``[frames, channels, bins]``."""

OVERLAP = 4
"""Windows that cover each sample."""
BLOCK_FRAMES = 512
"""Spectra in a block: about six seconds of music."""
_GAIN = 1.5  # the sum of squared Hann windows that are a quarter of their length apart


def filter_spectra(
    recording: Recording, window: int, reach: int, transform: Callable[[Spectra], Spectra]
) -> Iterator[Samples]:
    """Transform a recording's spectra and yield the result as consecutive blocks ``[frames, channels]``.

    The result is the same as if `transform` were given all spectra at once, provided that each spectrum it
    returns depends on at most `reach` spectra before and after it.

    Args:
        recording: of any length.
        window: samples per spectrum, a multiple of four.
        reach: spectra on either side that `transform` takes into account.
        transform: returns as many spectra as it is given.
    """
    hop = window // OVERLAP
    hann = np.hanning(window + 1)[:-1].astype(np.float32)
    before = window - hop  # samples by which the first window starts before the recording
    count = -(-(recording.frames + before) // hop)
    tail = np.zeros((before, recording.channels), np.float32)
    for start in range(0, count, BLOCK_FRAMES):
        stop = min(start + BLOCK_FRAMES, count)
        first, last = max(0, start - reach), min(count, stop + reach)
        samples = recording.read(first * hop - before, (last - 1) * hop + hop)
        spectra = transform(_stft(samples, window, hop, hann))[start - first : stop - first]
        block = _inverse_stft(spectra, window, hop, hann)
        block[:before] += tail
        done, tail = block[:-before], block[-before:]
        at = start * hop - before
        yield done[max(0, -at) : recording.frames - at]


def _stft(samples: Samples, window: int, hop: int, hann: Samples) -> Spectra:
    frames = sliding_window_view(samples, window, axis=0)[::hop]
    spectra: Spectra = scipy.fft.rfft(frames * hann)
    return spectra


def _inverse_stft(spectra: Spectra, window: int, hop: int, hann: Samples) -> Samples:
    """Overlap-add all windows to samples ``[frames, channels]``, from the first one's start."""
    count, channels, _ = spectra.shape
    frames = (scipy.fft.irfft(spectra, n=window) * (hann / _GAIN)).transpose(0, 2, 1)
    samples = np.zeros(((count - 1) * hop + window, channels), np.float32)
    for at in range(0, window, hop):  # the same quarter of consecutive windows is contiguous
        samples[at : at + count * hop] += frames[:, at : at + hop].reshape(count * hop, channels)
    return samples
