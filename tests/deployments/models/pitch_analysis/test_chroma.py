"""The constant-Q transform of chroma: its blocks and its scale."""

import numpy as np
import pytest

from benchmarks.songs import add_noise, render
from deployments.models.base import Samples
from deployments.models.pitch_analysis import chroma

LOWEST_PITCH = 16  # MIDI number of the transform's first bin


def test_blocks_hear_what_the_whole_would(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = add_noise(
        render([(n, 1, [60 + n]) for n in range(6)], "plucked", 0, 1, np.random.default_rng(0)),
        20,
        np.random.default_rng(1),
    )
    whole = transformed(samples)
    monkeypatch.setattr(chroma, "BLOCK_FRAMES", 7)
    assert np.allclose(transformed(samples), whole, atol=1e-5)


def transformed(samples: Samples) -> chroma.Array:
    """Return the constant-Q transform of all blocks ``[288, frames]``."""
    transform = chroma.ConstantQ()
    return np.concatenate([transform(block) for block in chroma.blocks(samples)], axis=1)


def test_the_transform_is_as_loud_for_every_pitch() -> None:
    transform = chroma.ConstantQ()
    for pitch in (40, 60, 80, 100):
        tone = np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * np.arange(30_000) / chroma.SAMPLE_RATE)
        column = transform(next(chroma.blocks(tone.astype(np.float32))))[:, 15]
        assert column.argmax() == 3 * (pitch - LOWEST_PITCH)
        assert column.max() == pytest.approx(0.5, rel=0.05)
