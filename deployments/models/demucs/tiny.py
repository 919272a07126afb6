"""Tiny Demucs checkpoints of the real classes, with random weights, under the published signatures.

They are loaded like the published ones, take segments of the same length, and have the same kinds of layers.
Their stems are the mixture, filtered at random.
"""

import hashlib
import io
import shutil
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployments.models.kit.checkpoints import build_once

if TYPE_CHECKING:
    from torch import nn

    from demucs.apply import Model as DemucsModel

SOURCES = ["drums", "bass", "other", "vocals"]
SIX_SOURCES = [*SOURCES, "guitar", "piano"]
SEED = 0
REVISION = 1
"""Part of the folder's name: raise it with every change to the content of the checkpoints."""

HYBRID_TRANSFORMER: dict[str, Any] = {
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
HYBRID: dict[str, Any] = {"channels": 4, "dconv_depth": 1}
WAVEFORM: dict[str, Any] = {"channels": 4, "depth": 3, "dconv_depth": 1}


def build_repository(variant: str, folder: Path) -> Path:
    """Return a folder with a variant's tiny checkpoints, for ``demucs.pretrained.get_model``.

    It is a folder inside ``folder``, and is built if it does not exist yet.
    """
    return build_once(folder / f"demucs-{variant}-{REVISION}", partial(_write_repository, variant))


def _write_repository(variant: str, folder: Path) -> None:
    from deployments.models.demucs.weights import bag_file, signatures

    folder.mkdir()
    shutil.copyfile(bag_file(variant), folder / f"{variant}.yaml")
    for index, signature in enumerate(signatures(variant)):
        content = _serialize(_build_model(variant, index))
        digest = hashlib.sha256(content).hexdigest()[:8]
        (folder / f"{signature}-{digest}.th").write_bytes(content)


def _build_model(variant: str, index: int) -> "DemucsModel":
    """Build one model of a bag: the published mdx bags, too, alternate waveform and hybrid models."""
    import torch

    from demucs.demucs import Demucs
    from demucs.hdemucs import HDemucs
    from demucs.htdemucs import HTDemucs

    model: DemucsModel
    if variant.startswith("htdemucs"):
        sources = SIX_SOURCES if variant == "htdemucs_6s" else SOURCES
        model = HTDemucs(sources=sources, **HYBRID_TRANSFORMER)
    elif index % 2:
        model = HDemucs(sources=SOURCES, **HYBRID)
    else:
        model = Demucs(sources=SOURCES, **WAVEFORM)
    with torch.no_grad():
        _randomize(model, SEED + index)
    return model


def _randomize(model: "nn.Module", seed: int) -> None:
    """Draw every matrix from a separate generator, since other threads may draw from torch's own."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            torch.nn.init.xavier_normal_(parameter, generator=generator)
        elif "bias" in name.rpartition(".")[2]:  # an LSTM has bias_hh_l0 and the like
            parameter.zero_()


def _serialize(model: "DemucsModel") -> bytes:
    """Return a checkpoint for `demucs.states.load_model`: class, arguments and half-precision state."""
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
