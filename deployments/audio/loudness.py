"""Loudness normalization by broadcast standards (ITU-R BS.1770, EBU R 128)."""

import numpy as np
from numpy.typing import NDArray

TARGET_LUFS = -23.0
"""Target of EBU R 128."""
WINDOW_SECONDS = 0.4
"""Window of the meter; shorter samples are repeated to be measured."""
MAX_PEAK = 0.99


def normalize_loudness(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Scale mono samples ``[frames]`` to `TARGET_LUFS`. Silence stays silence, and peaks are not limited."""
    if not samples.any():  # the meter measures no empty samples
        return samples
    import pyloudnorm  # noqa: PLC0415  # imports scipy, which takes a second

    repeats = -(-round(WINDOW_SECONDS * sample_rate) // len(samples))
    meter = pyloudnorm.Meter(sample_rate)
    loudness = meter.integrated_loudness(np.tile(samples, repeats).astype(np.float64))
    if not np.isfinite(loudness):
        return samples
    return samples * np.float32(10 ** ((TARGET_LUFS - loudness) / 20))


def prevent_clipping(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale all samples down by the same factor if a peak exceeds `MAX_PEAK`."""
    return samples * np.float32(min(1.0, MAX_PEAK / max(float(np.abs(samples).max(initial=0)), 1e-9)))
