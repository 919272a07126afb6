"""Higgs Audio's codec, as transformers has it, whether or not torchaudio is there.

Its module imports torchaudio for a single call: recordings to be cloned are resampled from 24 to 16 kHz for
the half of the codec that hears what is said. torchaudio is compiled for one release of torch each, and not
for every one; so where it is missing, this module has that function, by the same formula.
"""

import math
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from types import SimpleNamespace
from typing import Any

ZEROS, ROLLOFF = 6, 0.99
"""Of torchaudio's filter: zero crossings on either side, and its cutoff (1 is the Nyquist frequency)."""

_importing = threading.Lock()
"""One stand-in at a time: who is done takes it away."""
_CODEC = "transformers.models.higgs_audio_v2_tokenizer.modeling_higgs_audio_v2_tokenizer"


def codec_class() -> Any:
    """transformers' ``HiggsAudioV2TokenizerModel``."""
    with _importing, _torchaudio():
        return import_module(_CODEC).HiggsAudioV2TokenizerModel


def resample(waveform: Any, old_rate: int, new_rate: int) -> Any:
    """What torchaudio's ``functional.resample`` gives by default: interpolation by a windowed sinc.

    The method is J. O. Smith's ("Digital Audio Resampling"), the window Hann's.

    Args:
        waveform: a tensor ``[..., frames]``; silence is assumed around it.
        old_rate: its sample rate in Hz.
        new_rate: in Hz.

    Returns:
        ``[..., ceil(frames * new_rate / old_rate)]``.
    """
    import torch
    from torch.nn import functional

    common = math.gcd(old_rate, new_rate)
    old, new = old_rate // common, new_rate // common
    cutoff = ROLLOFF * min(old, new)
    width = math.ceil(ZEROS * old / cutoff)
    # Every `new` outputs the same filters are used again, `old` inputs further on: one for each phase.
    times = torch.arange(-width, width + old, dtype=torch.float64) / old
    times = times - torch.arange(new, dtype=torch.float64)[:, None] / new
    times = (cutoff * times).clamp(-ZEROS, ZEROS)
    filters = cutoff / old * torch.sinc(times) * torch.cos(times * (math.pi / 2 / ZEROS)) ** 2
    frames = waveform.shape[-1]
    padded = functional.pad(waveform.reshape(-1, 1, frames), (width, width + old))
    phases = functional.conv1d(padded, filters[:, None].to(waveform), stride=old)
    resampled = phases.transpose(1, 2).flatten(1)[:, : -(-frames * new // old)]
    return resampled.reshape(*waveform.shape[:-1], -1)


@contextmanager
def _torchaudio() -> Iterator[None]:
    """torchaudio, or for as long as this lasts a module of that name with `resample` and nothing else."""
    from transformers.utils import is_torchaudio_available

    if is_torchaudio_available():  # transformers remembers the answer: nothing else of it uses the stand-in
        yield
        return
    stand_in = module_from_spec(ModuleSpec("torchaudio", None))
    vars(stand_in)["functional"] = SimpleNamespace(resample=resample)
    sys.modules["torchaudio"] = stand_in
    try:
        yield
    finally:
        del sys.modules["torchaudio"]
