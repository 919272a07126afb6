"""Fades and pauses between spoken pieces."""

import numpy as np
from numpy.typing import NDArray

PAUSE_SECONDS = 0.25
FADE_SECONDS = 0.005
"""Duration of the fade at either end of a piece: long enough to prevent clicks, too short to be audible."""


def fade(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Fade both ends of mono samples ``[frames]``, so that they join silence without a click."""
    length = min(round(FADE_SECONDS * sample_rate), len(samples) // 2)
    ramp = np.sin(np.linspace(0, np.pi / 2, length, dtype=np.float32)) ** 2
    shaped = samples.copy()
    shaped[:length] *= ramp
    shaped[len(samples) - length :] *= ramp[::-1]
    return shaped


def silence(sample_rate: int) -> NDArray[np.float32]:
    """Return the pause between two pieces, ``[frames]``."""
    return np.zeros(round(PAUSE_SECONDS * sample_rate), np.float32)
