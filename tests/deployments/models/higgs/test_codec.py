"""The codec's resampling in place of torchaudio's."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from julius.resample import resample_frac

from deployments.models.higgs.codec import codec_class, resample


@pytest.fixture(scope="module")
def noise() -> torch.Tensor:
    return torch.randn(2, 3, 1200, generator=torch.Generator().manual_seed(0))


def test_it_gives_what_torchaudio_gave() -> None:
    """The expected samples are those of torchaudio 2.11.0."""
    chirp = torch.sin(torch.arange(12) ** 2 / 7.0)[None]
    expected = [0.015449, 0.272073, 1.051165, 0.065877, -0.574259, 0.426313, -0.198341, 0.006371]
    torch.testing.assert_close(resample(chirp, 24_000, 16_000), torch.tensor([expected]), atol=1e-6, rtol=0)


@pytest.mark.parametrize(("old", "new"), [(24_000, 16_000), (16_000, 24_000), (44_100, 48_000)])
def test_inside_it_is_the_other_implementation_of_its_formula(
    noise: torch.Tensor, old: int, new: int
) -> None:
    """julius pads by repetition and torchaudio by silence; julius also makes the sum of each filter one."""
    actual = resample(noise, old, new)
    expected = resample_frac(noise, old, new, zeros=6, rolloff=0.99, full=True)
    assert actual.shape == expected.shape
    torch.testing.assert_close(actual[..., 20:-20], expected[..., 20:-20], atol=0.01, rtol=0)


@pytest.mark.parametrize(("frames", "resampled"), [(1, 1), (2, 2), (3, 2), (4, 3), (1201, 801)])
def test_the_length_is_rounded_up(frames: int, resampled: int) -> None:
    assert resample(torch.zeros(1, frames), 24_000, 16_000).shape == (1, resampled)


def test_a_tone_keeps_its_pitch_and_one_beyond_the_cutoff_goes() -> None:
    times = torch.arange(24_000) / 24_000
    for hertz, level in ((440, 1.0), (11_500, 0.0)):
        tone = resample(torch.sin(2 * torch.pi * hertz * times)[None], 24_000, 16_000)[0].numpy()
        expected = level * np.sin(2 * np.pi * hertz * np.arange(16_000) / 16_000)
        np.testing.assert_allclose(tone[100:-100], expected[100:-100], atol=0.02)


@pytest.mark.skipif(find_spec("torchaudio") is not None, reason="the real torchaudio is used")
def test_nobody_else_sees_the_stand_in() -> None:
    module = sys.modules[codec_class().__module__]
    assert module.torchaudio.functional.resample is resample
    assert "torchaudio" not in sys.modules
    assert find_spec("torchaudio") is None
