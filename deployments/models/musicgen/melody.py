"""Melody features of MusicGen's melody variants: the loudest pitch class of every 128 ms.

They are equal to those of transformers' `MusicgenMelodyFeatureExtractor`, whose module needs torchaudio.
"""

from typing import TYPE_CHECKING

from deployments.models.base import Samples

if TYPE_CHECKING:
    from torch import Tensor

SAMPLE_RATE = 32_000
PITCH_CLASSES = 12
WINDOW, HOP = 16_384, 4096


def pitch_classes(samples: Samples) -> "Tensor":
    """Extract the loudest pitch class of every frame, as one-hot vectors.

    Args:
        samples: float32 ``[frames]`` at 32 kHz.

    Returns:
        float32 ``[1, frames, 12]``, one frame per 4096 samples.
    """
    import torch
    from transformers.audio_utils import chroma_filter_bank

    wave = torch.from_numpy(samples)
    if len(wave) < WINDOW:
        missing = WINDOW - len(wave)
        wave = torch.nn.functional.pad(wave, (missing // 2, missing - missing // 2))
    window = torch.hann_window(WINDOW)
    spectrum = torch.stft(wave, WINDOW, HOP, window=window, return_complex=True)
    power = (spectrum / window.square().sum().sqrt()).abs().square()
    filters = chroma_filter_bank(
        sampling_rate=SAMPLE_RATE, num_frequency_bins=WINDOW, tuning=0, num_chroma=PITCH_CLASSES
    )
    chroma = torch.from_numpy(filters).float() @ power
    chroma = torch.nn.functional.normalize(chroma, p=float("inf"), dim=0, eps=1e-6)
    loudest = chroma.argmax(dim=0)
    return torch.nn.functional.one_hot(loudest, PITCH_CLASSES).float()[None]
