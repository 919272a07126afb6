"""Builds a tiny random Chatterbox checkpoint of the true architecture, with a default voice.

Its speech is some seconds of noise for any text, at the true sample rate (24 kHz) and token rate (25 Hz). The
package has the sizes of its networks in its code, so `reduced` replaces them while a tiny checkpoint is built
or loaded.
"""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployments.models.kit.checkpoints import build_once

if TYPE_CHECKING:
    import torch
    from torch import nn

SEED = 0
REVISION = 1
"""Part of the folder's name; raise it with every change of the checkpoint."""

HIDDEN = 64
TRANSFORMER = {
    "hidden_size": HIDDEN,
    "intermediate_size": 2 * HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": HIDDEN // 4,
}
SIZES: dict[str, dict[str, Any]] = {
    "t3.modules.cond_enc:Perceiver": {"pre_attention_query_size": HIDDEN, "embedding_dim": HIDDEN},
    "s3gen.transformer.upsample_encoder:PreLookaheadLayer": {"channels": HIDDEN},
    "s3gen.transformer.upsample_encoder:Upsample1D": {"channels": HIDDEN, "out_channels": HIDDEN},
    "s3gen.s3gen:UpsampleConformerEncoder": {
        "input_size": HIDDEN,
        "output_size": HIDDEN,
        "attention_heads": 2,
        "linear_units": HIDDEN,
        "num_blocks": 1,
    },
    "s3gen.s3gen:CausalMaskedDiffWithXvec": {"input_size": HIDDEN},
    "s3gen.s3gen:ConditionalDecoder": {
        "channels": [HIDDEN],
        "n_blocks": 1,
        "num_mid_blocks": 1,
        "num_heads": 2,
        "attention_head_dim": 16,
    },
    "s3gen.s3gen:CAMPPlus": {"growth_rate": 4, "init_channels": 16},
    "s3gen.s3gen:ConvRNNF0Predictor": {"cond_channels": 32},
    "s3gen.s3gen:HiFTGenerator": {"base_channels": 32},
}
"""Arguments of these classes of ``chatterbox.models`` in place of the true sizes."""

LETTERS = "etaoinshrdlucmfwypvbgkjqxzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,!?'-\""
START_TOKEN = 255
"""Start of a text, in the published vocabulary."""

SPEECH_TOKENS, END_OF_SPEECH = 512, 6562
"""Number of tokens that are sampled, and the end token; no other tokens are sampled."""
BIAS_INPUT = 8.0
"""Constant value of the first hidden dimension, by which the head's weights act as biases."""
EXCLUDED_WEIGHT, END_WEIGHT = -10.0, 0.21
"""Head weights of that dimension: they exclude tokens, and make the end token likelier than others."""

LEVEL = 0.3
"""Level of the audio, relative to that of a vocoder with random weights."""

_reducing = threading.Lock()


def build_checkpoint(folder: Path) -> Path:
    """Return the checkpoint's folder below `folder`, and build it first if it does not exist."""
    return build_once(folder / f"chatterbox-{REVISION}", _write)


@contextmanager
def reduced() -> Iterator[None]:
    """Make the package build tiny networks within the block; one caller at a time."""
    with _reducing, ExitStack() as stack:
        for owner, name, value in _replacements():
            stack.enter_context(_replaced(owner, name, value))
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _replacements() -> Iterator[tuple[Any, str, Any]]:
    from s3tokenizer.model_v2 import ModelConfig, S3TokenizerV2

    for path, sizes in SIZES.items():
        module_name, _, name = path.partition(":")
        module = import_module(f"chatterbox.models.{module_name}")
        yield module, name, _with_sizes(getattr(module, name), sizes)
    config = ModelConfig(n_audio_state=HIDDEN, n_audio_head=1, n_audio_layer=1)
    yield S3TokenizerV2, "__init__", _with_sizes(S3TokenizerV2.__init__, {"config": config})
    for module_name in ("t3.t3", "t3.modules.t3_config"):
        module = import_module(f"chatterbox.models.{module_name}")
        configs = {name: config | TRANSFORMER for name, config in module.LLAMA_CONFIGS.items()}
        yield module, "LLAMA_CONFIGS", configs


def _with_sizes(make: Callable[..., Any], sizes: dict[str, Any]) -> Callable[..., Any]:
    return lambda *args, **given: make(*args, **{**given, **sizes})


def _write(path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from chatterbox.models.s3gen import S3Gen
    from chatterbox.models.t3 import T3
    from chatterbox.models.voice_encoder import VoiceEncoder

    generator = torch.Generator().manual_seed(SEED)
    with reduced():
        models = {"t3_cfg": T3(), "s3gen": S3Gen(), "ve": VoiceEncoder()}
    path.mkdir()
    with torch.no_grad():
        for model in models.values():
            _randomize(model, generator)
        _end_after_seconds(models["t3_cfg"])
        _soften(models["s3gen"].mel2wav)
    for name, model in models.items():
        weights = {key: tensor.contiguous().clone() for key, tensor in model.state_dict().items()}
        save_file(weights, path / f"{name}.safetensors")
    _tokenizer().save(str(path / "tokenizer.json"))
    _voice(generator).save(path / "conds.pt")


def _randomize(model: "nn.Module", generator: "torch.Generator") -> None:
    """Initialize every matrix from the given generator: other threads may use torch's global one."""
    import torch

    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        if "bias" in name.rpartition(".")[2]:
            parameter.zero_()
        elif parameter.dim() > 1 and not name.endswith("original0"):
            torch.nn.init.xavier_normal_(parameter, generator=generator)
    for name, length in parameters.items():
        if name.endswith("original0"):  # weight normalization: norms of the vectors in original1
            vectors = parameters[name.removesuffix("0") + "1"]
            length.copy_(vectors.flatten(1).norm(dim=1).view_as(length))


def _end_after_seconds(t3: Any) -> None:
    """Make the speech of random tokens end after some seconds."""
    t3.speech_emb.weight[:, 0] = BIAS_INPUT
    t3.speech_pos_emb.emb.weight[:, 0] = 0
    for layer in t3.tfmr.layers:
        layer.self_attn.o_proj.weight[0] = 0
        layer.mlp.down_proj.weight[0] = 0
    biases = t3.speech_head.weight[:, 0]
    biases.fill_(EXCLUDED_WEIGHT)
    biases[:SPEECH_TOKENS] = 0
    biases[END_OF_SPEECH] = END_WEIGHT


def _soften(vocoder: Any) -> None:
    """Make the noise as loud as speech: half of the last layer's outputs are the spectrum's logarithm."""
    bias = vocoder.conv_post.bias
    bias[: len(bias) // 2] = math.log(LEVEL)


def _tokenizer() -> Any:
    """Build a tokenizer of letters, with the published vocabulary's special tokens at their places."""
    from tokenizers import Tokenizer, models

    special = ["[STOP]", "[UNK]", "[SPACE]"]
    known = [*special, *LETTERS]
    unused = [f"[UNUSED{number}]" for number in range(len(known), START_TOKEN)]
    vocabulary = {token: rank for rank, token in enumerate([*known, *unused, "[START]"])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="[UNK]"))
    tokenizer.add_special_tokens([*special, "[START]"])
    return tokenizer


def _voice(generator: "torch.Generator") -> Any:
    """Build a random default voice, as if encoded from a recording of 6 s."""
    import torch

    from chatterbox.models.t3.modules.cond_enc import T3Cond
    from chatterbox.tts import Conditionals

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    tokens = torch.randint(SPEECH_TOKENS, (1, 150), generator=generator)
    speaker = torch.nn.functional.normalize(normal(1, 256))
    style = T3Cond(speaker, cond_prompt_speech_tokens=tokens, emotion_adv=torch.full((1, 1, 1), 0.5))
    sounds = {
        "prompt_token": tokens,
        "prompt_token_len": torch.tensor([150]),
        "prompt_feat": normal(1, 300, 80),
        "prompt_feat_len": None,
        "embedding": normal(1, 192),
    }
    return Conditionals(style, sounds)
