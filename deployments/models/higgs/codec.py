"""Higgs Audio's codec from transformers, with or without torchaudio.

Its module imports torchaudio for a single call: it resamples recordings from 24 to 16 kHz for the codec's
semantic encoder. Every release of torchaudio is compiled for one release of torch, and some releases of torch
have none. Where torchaudio is missing, this module substitutes that function, with the same formula.
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
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

ZERO_CROSSINGS = 6
"""On either side of the filter; torchaudio's default ``lowpass_filter_width``."""
ROLLOFF = 0.99
"""The filter's cutoff, relative to the Nyquist frequency; torchaudio's default."""

_importing = threading.Lock()
"""Admits one stand-in at a time, since each import removes its own."""
_CODEC_MODULE = "transformers.models.higgs_audio_v2_tokenizer.modeling_higgs_audio_v2_tokenizer"


def codec_class() -> Any:
    """Import transformers' `HiggsAudioV2TokenizerModel`."""
    with _importing, _torchaudio():
        return import_module(_CODEC_MODULE).HiggsAudioV2TokenizerModel


def resample(waveform: "Tensor", old_rate: int, new_rate: int) -> "Tensor":
    """Resample as torchaudio's ``functional.resample`` does by default: with a sinc and a Hann window.

    The method is J. O. Smith's ("Digital Audio Resampling Home Page").

    Args:
        waveform: ``[..., frames]``; silence is assumed before and after it.
        old_rate: its sample rate in Hz.
        new_rate: the sample rate of the result in Hz.

    Returns:
        A tensor ``[..., ceil(frames * new_rate / old_rate)]``.
    """
    import torch
    from torch.nn import functional

    common = math.gcd(old_rate, new_rate)
    old, new = old_rate // common, new_rate // common
    cutoff = ROLLOFF * min(old, new)
    width = math.ceil(ZERO_CROSSINGS * old / cutoff)
    # There is one filter for each of `new` phases. After `new` outputs they repeat, `old` inputs further on.
    times = torch.arange(-width, width + old, dtype=torch.float64) / old
    times = times - torch.arange(new, dtype=torch.float64)[:, None] / new
    times = (cutoff * times).clamp(-ZERO_CROSSINGS, ZERO_CROSSINGS)
    filters = cutoff / old * torch.sinc(times) * torch.cos(times * (math.pi / 2 / ZERO_CROSSINGS)) ** 2
    frames = waveform.shape[-1]
    padded = functional.pad(waveform.reshape(-1, 1, frames), (width, width + old))
    phases = functional.conv1d(padded, filters[:, None].to(waveform), stride=old)
    resampled = phases.transpose(1, 2).flatten(1)[:, : -(-frames * new // old)]
    return resampled.reshape(*waveform.shape[:-1], -1)


@contextmanager
def _torchaudio() -> Iterator[None]:
    """Make torchaudio importable within the block; if it is missing, by a module with `resample` alone."""
    from transformers.utils import is_torchaudio_available

    if is_torchaudio_available():  # transformers caches the answer, so it uses the stand-in nowhere else
        yield
        return
    stand_in = module_from_spec(ModuleSpec("torchaudio", None))
    vars(stand_in)["functional"] = SimpleNamespace(resample=resample)
    sys.modules["torchaudio"] = stand_in
    try:
        yield
    finally:
        del sys.modules["torchaudio"]
