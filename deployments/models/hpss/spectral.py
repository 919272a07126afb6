"""Filtering a recording in the frequency domain, a few seconds at a time, without a seam."""

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
"""Windows that hear each sample."""
GROUP = 512
"""Frames that are filtered at a time: about six seconds of music."""
_GAIN = 1.5  # what squared Hann windows at a quarter of their length add up to


def filtered(
    recording: Recording, window: int, reach: int, change: Callable[[Spectra], Spectra]
) -> Iterator[Samples]:
    """The recording with its spectra changed, as blocks ``[frames, channels]`` from beginning to end.

    The result is the same as if `change` saw all spectra at once, provided that what it makes of one depends
    on no more than `reach` others before and after it.

    Args:
        recording: of any length.
        window: samples that a spectrum is taken from, a multiple of four.
        reach: spectra on either side that `change` takes into account.
        change: from spectra to as many others.
    """
    hop = window // OVERLAP
    hann = np.hanning(window + 1)[:-1].astype(np.float32)
    before = window - hop  # the first spectrum starts so long before the recording
    count = -(-(recording.frames + before) // hop)
    tail = np.zeros((before, recording.channels), np.float32)
    for start in range(0, count, GROUP):
        stop = min(start + GROUP, count)
        first, last = max(0, start - reach), min(count, stop + reach)
        heard = recording.read(first * hop - before, (last - 1) * hop + hop)
        spectra = change(_spectra(heard, window, hop, hann))[start - first : stop - first]
        sound = _overlapped(spectra, window, hop, hann)
        sound[:before] += tail
        done, tail = sound[:-before], sound[-before:]
        at = start * hop - before
        yield done[max(0, -at) : recording.frames - at]


def _spectra(samples: Samples, window: int, hop: int, hann: Samples) -> Spectra:
    frames = sliding_window_view(samples, window, axis=0)[::hop]
    spectra: Spectra = scipy.fft.rfft(frames * hann)
    return spectra


def _overlapped(spectra: Spectra, window: int, hop: int, hann: Samples) -> Samples:
    """Samples ``[frames, channels]`` from the first spectrum's beginning to the last one's end."""
    count, channels, _ = spectra.shape
    frames = (scipy.fft.irfft(spectra, n=window) * (hann / _GAIN)).transpose(0, 2, 1)
    sound = np.zeros(((count - 1) * hop + window, channels), np.float32)
    for at in range(0, window, hop):  # each quarter of all windows lies seamlessly side by side
        sound[at : at + count * hop] += frames[:, at : at + hop].reshape(count * hop, channels)
    return sound
