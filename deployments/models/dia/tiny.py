"""Builds a tiny random Dia checkpoint of the true architecture: text encoder, decoder and codec.

Its speech is noise at the true sample rate (44.1 kHz). Number and delays of the codebooks and the vocabulary
are the true ones. It never ends by itself, so a dialogue always has the maximum length.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployments.models.kit.checkpoints import build_once

if TYPE_CHECKING:
    import torch
    from torch import nn

SEED = 0
REVISION = 1
"""Part of the folder's name; raise it with every change of the checkpoint."""

CODEC = "codec"
"""The codec's folder below that of the checkpoint."""
END_TOKEN = 1024
PAD_TOKEN = 1025
START_TOKEN = 1026
HIDDEN = 32
HEADS = 4
CODE_DEVIATION = 0.03
"""Standard deviation of the codebooks: with it the noise is as loud as speech, well below full scale."""


def build_checkpoint(folder: Path) -> Path:
    """Return the checkpoint's folder below `folder`, and build it first if it does not exist."""
    return build_once(folder / f"dia-{REVISION}", _write)


def _write(path: Path) -> None:
    import torch

    generator = torch.Generator().manual_seed(SEED)
    model, codec = _model().eval(), _codec().eval()
    with torch.no_grad():
        _randomize(model, generator)
        _randomize(codec, generator)
        _never_end(model)
    _set_generation(model.generation_config)
    model.save_pretrained(path)
    codec.save_pretrained(path / CODEC)


def _model() -> Any:
    import transformers as hf

    size = {
        "num_hidden_layers": 2,
        "hidden_size": HIDDEN,
        "intermediate_size": 2 * HIDDEN,
        "num_attention_heads": HEADS,
        "head_dim": HIDDEN // HEADS,
    }
    cross = {
        "cross_hidden_size": HIDDEN,
        "cross_num_attention_heads": HEADS,
        "cross_num_key_value_heads": HEADS,
        "cross_head_dim": HIDDEN // HEADS,
    }
    encoder = hf.DiaEncoderConfig(**size, num_key_value_heads=HEADS)
    decoder = hf.DiaDecoderConfig(**size, **cross, num_key_value_heads=HEADS // 2)
    return hf.DiaForConditionalGeneration(hf.DiaConfig(encoder_config=encoder, decoder_config=decoder))


def _codec() -> Any:
    import transformers as hf

    config = hf.DacConfig(
        sampling_rate=44_100,
        downsampling_ratios=[2, 4, 8, 8],  # 512 samples a frame
        n_codebooks=9,
        codebook_size=1024,
        encoder_hidden_size=4,
        decoder_hidden_size=32,
    )
    return hf.DacModel(config)


def _randomize(model: "nn.Module", generator: "torch.Generator") -> None:
    """Draw all weights from one generator: other threads may draw from torch's global one."""
    import torch

    for name, parameter in model.named_parameters():
        if name.endswith("codebook.weight"):
            parameter.normal_(std=CODE_DEVIATION, generator=generator)
        elif name.endswith("bias"):
            parameter.zero_()
        elif parameter.dim() > 1 and not name.endswith("alpha"):  # the codec's activations keep ones
            torch.nn.init.xavier_normal_(parameter, generator=generator)


def _never_end(model: Any) -> None:
    """Set the logit of the end token to 0: some of the thousand others are always greater."""
    rows = model.logits_dense.weight.view(model.config.decoder_config.num_channels, -1, HIDDEN)
    rows[:, END_TOKEN:] = 0


def _set_generation(config: Any) -> None:
    """Set the generation parameters of the published checkpoint."""
    config.eos_token_id, config.pad_token_id = END_TOKEN, PAD_TOKEN
    config.bos_token_id = config.decoder_start_token_id = START_TOKEN
    config.do_sample, config.guidance_scale, config.max_length = True, 3.0, 3072
    config.temperature, config.top_p, config.top_k = 1.8, 0.9, 45
