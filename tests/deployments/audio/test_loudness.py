"""Loudness of silence and of nothing; that of speech is tested with the turns of dialogues."""

import numpy as np
import pytest

from deployments.audio.loudness import normalize_loudness


@pytest.mark.parametrize("frames", [0, 1, 24_000])
def test_silence_stays_silence(frames: int) -> None:
    normalized = normalize_loudness(np.zeros(frames, np.float32), 24_000)
    np.testing.assert_array_equal(normalized, np.zeros(frames, np.float32))
