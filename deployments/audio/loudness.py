"""Loudness as broadcasters measure it (ITU-R BS.1770, EBU R 128), and bringing recordings to one."""

import numpy as np
from numpy.typing import NDArray

LOUDNESS = -23.0
"""LUFS, as in EBU R 128."""
SHORTEST_SECONDS = 0.4
"""The meter's window: what is shorter is measured as if repeated."""
PEAK = 0.99


def leveled(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Mono samples ``[frames]`` at `LOUDNESS`. Silence stays silence; no limit is set to peaks."""
    import pyloudnorm  # type: ignore[import-untyped]  # noqa: PLC0415  # it brings scipy, which takes a second

    times = -(-round(SHORTEST_SECONDS * sample_rate) // max(1, len(samples)))
    meter = pyloudnorm.Meter(sample_rate)
    loudness = meter.integrated_loudness(np.tile(samples, times).astype(np.float64))
    if not np.isfinite(loudness):
        return samples
    return samples * np.float32(10 ** ((LOUDNESS - loudness) / 20))


def within_full_scale(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same, turned down as a whole if a peak passes full scale."""
    return samples * np.float32(min(1.0, PEAK / max(float(np.abs(samples).max(initial=0)), 1e-9)))
