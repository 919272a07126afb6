"""Tiny Demucs checkpoints of the true classes, with random weights, under the published signatures.

They are loaded as the published ones are, hear segments of the same length, and pass them through the same
kinds of layers. Their stems are the mixture, filtered at random.
"""

import hashlib
import io
import shutil
from collections.abc import Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from deployments.models.kit.checkpoints import built

SOURCES = ["drums", "bass", "other", "vocals"]
SIX_SOURCES = [*SOURCES, "guitar", "piano"]
SEED = 0
REVISION = 1
"""Part of the folder's name: raise it with every change of what is built."""

HYBRID_TRANSFORMER = {
    "channels": 4,
    "growth": 1,
    "nfft": 4096,
    "rewrite": False,
    "dconv_mode": 0,
    "bottom_channels": 8,
    "t_layers": 1,
    "t_heads": 2,
    "t_hidden_scale": 1.0,
    "segment": Fraction(39, 5),
}
HYBRID: Mapping[str, Any] = {"channels": 4, "dconv_depth": 1}
WAVEFORM: Mapping[str, Any] = {"channels": 4, "depth": 3, "dconv_depth": 1}


def build_repository(variant: str, folder: Path) -> Path:
    """A folder with the checkpoints of a variant, for ``demucs.pretrained.get_model``, built if need be."""
    return built(folder / f"demucs-{variant}-{REVISION}", partial(_write, variant))


def _write(variant: str, folder: Path) -> None:
    from demucs.pretrained import REMOTE_ROOT
    from deployments.models.demucs.weights import signatures

    folder.mkdir()
    shutil.copyfile(REMOTE_ROOT / f"{variant}.yaml", folder / f"{variant}.yaml")
    for index, signature in enumerate(signatures(variant)):
        content = _packaged(_model(variant, index))
        digest = hashlib.sha256(content).hexdigest()[:8]
        (folder / f"{signature}-{digest}.th").write_bytes(content)


def _model(variant: str, index: int) -> Any:
    """The published bags ``mdx`` and ``mdx_q`` too are of waveform and hybrid models by turns."""
    import torch

    from demucs.demucs import Demucs
    from demucs.hdemucs import HDemucs
    from demucs.htdemucs import HTDemucs

    if variant.startswith("htdemucs"):
        sources = SIX_SOURCES if variant == "htdemucs_6s" else SOURCES
        model: Any = HTDemucs(sources=sources, **HYBRID_TRANSFORMER)
    elif index % 2:
        model = HDemucs(sources=SOURCES, **HYBRID)
    else:
        model = Demucs(sources=SOURCES, **WAVEFORM)
    with torch.no_grad():
        _randomize(model, SEED + index)
    return model


def _randomize(model: Any, seed: int) -> None:
    """Draw every matrix from a generator of its own, since other threads may be drawing from torch's."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            torch.nn.init.xavier_normal_(parameter, generator=generator)
        elif "bias" in name.rpartition(".")[2]:  # an LSTM has bias_hh_l0 and the like
            parameter.zero_()


def _packaged(model: Any) -> bytes:
    """The file, as demucs writes it: how to make the model, and its weights in half precision."""
    import torch

    from demucs.states import get_state

    args, kwargs = model._init_args_kwargs
    package = {
        "klass": type(model),
        "args": args,
        "kwargs": kwargs,
        "state": get_state(model, None, half=True),
    }
    target = io.BytesIO()
    torch.save(package, target)
    return target.getvalue()
