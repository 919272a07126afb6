"""Builds tiny random MusicGen checkpoints of the true architecture: text encoder, decoder and codec.

They generate noise at the true sample rate (32 kHz) and frame rate (50 Hz), with the true number of codebooks
and the true vocabulary.
"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployments.models.kit.checkpoints import build_once

if TYPE_CHECKING:
    from torch import nn

SEED = 0
REVISION = 1
"""Part of the folder's name; raise it with every change of the checkpoint."""

CODEBOOK_SIZE = 2048
START_TOKEN = 2048
HIDDEN = 32
LETTERS = "etaoinshrdlucmfwypvbgkjqxz0123456789,.-'&!?:;()ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def build_checkpoint(folder: Path, *, melody: bool, stereo: bool) -> Path:
    """Return the checkpoint's folder below `folder`, and build it first if it does not exist."""
    kind = ("stereo-" if stereo else "") + ("melody" if melody else "text")
    write = partial(_write, melody=melody, stereo=stereo)
    return build_once(folder / f"musicgen-{kind}-{REVISION}", write)


def _write(path: Path, *, melody: bool, stereo: bool) -> None:
    import torch

    model = _model(melody=melody, stereo=stereo).eval()
    with torch.no_grad():
        _randomize(model)
    set_generation(model.generation_config)
    model.save_pretrained(path)
    tokenizer().save_pretrained(path)


def _model(*, melody: bool, stereo: bool) -> Any:
    import transformers as hf

    text = hf.T5Config(vocab_size=256, d_model=HIDDEN, d_kv=8, d_ff=64, num_layers=2, num_heads=4)
    codec = hf.EncodecConfig(
        sampling_rate=32_000,
        target_bandwidths=[2.2],  # four codebooks
        num_filters=4,
        hidden_size=16,
        codebook_size=CODEBOOK_SIZE,
        codebook_dim=16,
        upsampling_ratios=[8, 5, 4, 4],  # 640 samples per frame
        num_lstm_layers=1,
        use_causal_conv=False,
        use_conv_shortcut=False,
    )
    decoder = {
        "vocab_size": CODEBOOK_SIZE,
        "max_position_embeddings": 2048,
        "num_hidden_layers": 2,
        "ffn_dim": 2 * HIDDEN,
        "num_attention_heads": 4,
        "hidden_size": HIDDEN,
        "num_codebooks": 8 if stereo else 4,
        "audio_channels": 2 if stereo else 1,
    }
    if melody:
        own = hf.MusicgenMelodyDecoderConfig(**decoder)
        config = hf.MusicgenMelodyConfig(text_encoder=text, audio_encoder=codec, decoder=own)
        return hf.MusicgenMelodyForConditionalGeneration(config)
    config = hf.MusicgenConfig(
        text_encoder=text, audio_encoder=codec, decoder=hf.MusicgenDecoderConfig(**decoder)
    )
    return hf.MusicgenForConditionalGeneration(config)


def _randomize(model: "nn.Module") -> None:
    """Initialize every matrix from a generator of its own: other threads may use torch's global one."""
    import torch

    generator = torch.Generator().manual_seed(SEED)
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        if parameter.dim() > 1 and not name.endswith("original0"):
            torch.nn.init.xavier_normal_(parameter, generator=generator)
        elif name.endswith("bias"):
            parameter.zero_()
    for name, length in parameters.items():
        if name.endswith("original0"):  # weight normalization: norms of the vectors in original1
            vectors = parameters[name.removesuffix("0") + "1"]
            length.copy_(vectors.flatten(1).norm(dim=1).view_as(length))
    for name, codebook in model.named_buffers():
        if name.endswith("codebook.embed"):
            codebook.normal_(generator=generator)


def set_generation(config: Any) -> None:
    """Set the generation parameters of the published checkpoints."""
    config.decoder_start_token_id = config.pad_token_id = config.bos_token_id = START_TOKEN
    config.eos_token_id = None
    config.do_sample, config.guidance_scale, config.max_length = True, 3.0, 1500


def tokenizer() -> Any:
    """Build a tokenizer of letters, within the vocabulary of any T5."""
    import transformers as hf

    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    letters = [(letter, -3.0 - 0.01 * rank) for rank, letter in enumerate(LETTERS)]
    return hf.T5Tokenizer(vocab=special + letters, extra_ids=0, model_max_length=512)
