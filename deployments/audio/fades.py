"""What is spoken piece by piece, one after the other: without clicks, and with a breath in between."""

import numpy as np
from numpy.typing import NDArray

PAUSE_SECONDS = 0.25
FADE_SECONDS = 0.005
"""Of both ends of a piece: long enough for no click, too short to be heard."""


def faded(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """Mono samples ``[frames]`` with their ends faded, so that what comes before and after may be silence."""
    length = min(round(FADE_SECONDS * sample_rate), len(samples) // 2)
    ramp = np.sin(np.linspace(0, np.pi / 2, length, dtype=np.float32)) ** 2
    shaped = samples.copy()
    shaped[:length] *= ramp
    shaped[len(samples) - length :] *= ramp[::-1]
    return shaped


def pause(sample_rate: int) -> NDArray[np.float32]:
    """The silence between two pieces, ``[frames]``."""
    return np.zeros(round(PAUSE_SECONDS * sample_rate), np.float32)
